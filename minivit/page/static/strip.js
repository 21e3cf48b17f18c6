"use strict";

/* One tensor of the tape: a button with its name and shape, its values above and its gradient below. */
function Strip({ node, loaded, norms, wrong, chosen, playing, onOpen }) {
  const { html } = htmPreact;
  const { format } = numbers();
  const w = words();
  const it = layout(node.shape);
  const rows = it.rows * (it.slices > 1 ? it.slices : 1);
  const parameter = node.op === "parameter";
  const last = node.name.replace(/^blocks\.\d+\./, "").replace(/^(attn|mlp)\.(?=\w+$)/, "");
  const map = node.op === "image" ? "map square" : "map";
  const state = wrong ? "wrong" : "";
  const tensor = loaded && loaded[node.name];
  const kind = node.op === "softmax" ? "share" : "signed";
  return html`<button class=${`strip ${parameter ? "parameter" : ""} ${state} ${playing ? "playing" : ""}`} data-tensor=${node.name}
      aria-current=${chosen ? "true" : null} onClick=${() => onOpen(node.name)}
      aria-label=${`${node.name}, ${w.shape} ${node.shape.join(" x ") || "()"}, ${w.norm} ${format(norms[0])}, ${w.dnorm} ${format(norms[1])}, ${wrong ? w.differing : ""}`}>
    <span class="name">${last.split(/(?<=[_.])/).map((part) => html`${part}<wbr />`)} <span class="shape">${node.shape.join("×") || ""}</span></span>
    ${!parameter && html`<span class=${node.op === "image" ? "pair row" : "pair"}>
      ${tensor && it.size > 1 ? html`<${Thumbnail} values=${tensor.value} rows=${rows} columns=${it.columns} kind=${kind} className=${map} />
        <${Thumbnail} values=${tensor.grad} rows=${rows} columns=${it.columns} kind="signed" className=${map} />`
      : html`<i class="map"></i><i class="map"></i>`}
    </span>`}
    <span class="norms"><span>${format(norms[0])}</span><span class=${`d ${state}`}>${wrong ? "≠ " : ""}${format(norms[1])}</span></span>
  </button>`;
}
