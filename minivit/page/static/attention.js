"use strict";

/* The attention of one head: of one token over the digit, and of all tokens as a matrix. */
function Attention({ meta, answer, block, head, set }) {
  const { html, useState } = htmPreact;
  const { format, percent } = numbers();
  const w = words();
  const { config } = meta;
  const T = config.tokens, H = config.heads;
  const [token, setToken] = useState(0);
  const start = (block * H + head) * T * T;
  const rows = answer.attention.subarray(start, start + T * T);
  const row = rows.subarray(token * T, token * T + T);
  const name = (i) => w.tokenName(i, config.prefix, config.grid[1]);
  const pick = (n, now, title, key) => html`<div class="slices" role="group" aria-label=${title}>${Array.from({ length: n }, (_, i) =>
    html`<button key=${i} aria-pressed=${i === now ? "true" : "false"} onClick=${() => set({ [key]: i })}>${(key === "block" ? w.block : w.head)(i)}</button>`)}</div>`;
  return html`<div class="view">
    <h3>${w.attentionTitle}</h3><p class="shows">${w.attentionShows}</p>
    ${pick(config.depth, block, w.views.tape, "block")} ${pick(H, head, w.attentionTitle, "head")}
    <div class="twins"><div><h4>${w.attentionOver}</h4>
      <label class="select">${w.tokenRow} <select value=${token} onChange=${(event) => setToken(Number(event.target.value))}>${Array.from({ length: T }, (_, i) => html`<option key=${i} value=${i}>${name(i)}</option>`)}</select></label>
      <${Overlay} pixels=${answer.picture} side=${config.side} grid=${config.grid} shares=${row.subarray(config.prefix)} />
      <p class="hint">${config.prefix ? `${name(0)}: ${percent(row[0])}` : ""}</p>
      <details class="astable"><summary>${w.table}</summary><${ShareTable} shares=${row} name=${name} /></details></div>
    <div><h4>${w.attentionMatrix}</h4><${Matrix} values=${rows} shape=${[T, T]} kind="share" slice=${0} cursor=${[token, 0]} label=${w.attentionMatrix}
      onCursor=${([r]) => setToken(r)} onOpen=${([r, c]) => set({ tensor: `blocks.${block}.attn.attn`, entry: [head, r, c], way: "forward" })} /></div></div>
  </div>`;
}
