"use strict";

/* Rollout, logit lens and the gradient to the pixels, each with what it shows and what it does not. */
function Views({ view, meta, answer, names, set }) {
  const { html } = htmPreact;
  const { format, percent } = numbers();
  const w = words();
  const { config } = meta;
  const name = (i) => w.tokenName(i, config.prefix, config.grid[1]);
  if (view === "rollout")
    return html`<div class="view"><h3>${w.rolloutTitle}</h3><p class="shows">${w.rolloutShows}</p>
      <${Overlay} pixels=${answer.picture} side=${config.side} grid=${config.grid} shares=${answer.rollout.subarray(config.prefix)} />
      ${config.prefix > 0 && html`<p>${w.ownShare(percent(answer.rollout[0]))}</p>`}
      <details class="astable"><summary>${w.table}</summary><${ShareTable} shares=${answer.rollout} name=${name} /></details></div>`;
  if (view === "pixels")
    return html`<div class="view"><h3>${w.pixelsTitle}</h3><p class="shows">${w.pixelsShows}</p>
      <${Matrix} values=${answer.pixels} shape=${[config.channels, ...config.side]} kind="signed" slice=${0} cursor=${null} label=${w.pixelsTitle}
        onCursor=${() => {}} onOpen=${(entry) => set({ tensor: "image", entry, way: "backward" })} />
      <${ValueTable} values=${answer.pixels} shape=${[config.channels, ...config.side]} slice=${0} label=${w.pixelsTitle} /></div>`;
  const K = names.length;
  return html`<div class="view"><h3>${w.lensTitle}</h3><p class="shows">${w.lensShows}</p>
    <div class="scroll" tabindex="0" role="region" aria-label=${w.lensTitle}><table class="lens"><thead><tr><td></td>${names.map((n) => html`<th scope="col" key=${n}>${n}</th>`)}</tr></thead>
    <tbody>${Array.from({ length: answer.lens.length / K }, (_, i) => {
      const row = answer.lens.subarray(i * K, i * K + K), best = row.indexOf(Math.max(...row));
      return html`<tr key=${i}><th scope="row">${w.lensAfter(i)}</th>${Array.from(row, (share, k) =>
        html`<td key=${k} class=${k === best ? "best" : ""}><i style=${{ width: `${100 * share}%` }}></i><span>${percent(share).replace(" %", "")}</span></td>`)}</tr>`;
    })}</tbody></table></div><p class="hint">%</p></div>`;
}
