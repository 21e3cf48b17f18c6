"use strict";

/* LayerNorm's and softmax's gradients by their formulas, with the numbers of this token or row. */
function Closed({ node, entry, way, tensors, terms }) {
  const { html } = htmPreact;
  const { format } = numbers();
  const w = words();
  if (way !== "backward") return null;
  return node.uses.map((use) => {
    const step = terms.node(use.step);
    if (step.op !== "softmax" && step.op !== "normalise") return null;
    const it = layout(step.shape), at = it.place(entry);
    const start = (at.slice * it.rows + at.row) * it.columns;
    const y = tensors[step.name].value.subarray(start, start + it.columns);
    const dy = tensors[step.name].grad.subarray(start, start + it.columns);
    const dot = y.reduce((sum, value, i) => sum + value * dy[i], 0);
    const j = at.column, D = it.columns;
    const own = node.uses.length === 1 ? tensors[node.name].grad.subarray(start, start + D).reduce((sum, value) => sum + value, 0) : null;
    if (step.op === "softmax")
      return html`<div class="closed" key=${step.name}><h5>${w.closedSoftmax}</h5>
        <p class="math">y·(dy - sum(dy·y)) = ${format(y[j])} × (${format(dy[j])} - (${format(dot)})) = <b>${format(y[j] * (dy[j] - dot))}</b></p>
        <p class="math">${w.sumOfRow(at.row, "")}<b>${format(own)}</b></p></div>`;
    const share = terms.extra(step, "1/D", 0);
    const mean = dy.reduce((sum, value) => sum + value, 0) * share, along = dot * share;
    const rstd = terms.extra(step, "rstd", at.slice * it.rows + at.row);
    const through = rstd * (dy[j] - mean - y[j] * along);
    const sum = Array.from(dy).reduce((total, u, i) => total + rstd * (u - mean - y[i] * along), 0);
    return html`<div class="closed" key=${step.name}><h5>${w.closedLayernorm}</h5>
      <p class="math">rstd·(u - mean(u) - xhat·mean(u·xhat)) = ${format(rstd)} × (${format(dy[j])} - (${format(mean)}) - (${format(y[j])}) × (${format(along)})) = <b>${format(through)}</b></p>
      <p class="math">mean(u) = <b>${format(mean)}</b>, mean(u·xhat) = <b>${format(along)}</b>, rstd = <b>${format(rstd)}</b>; ${w.sumOfToken} <b>${format(sum)}</b></p></div>`;
  });
}
