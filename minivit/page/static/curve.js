"use strict";

/* The metrics of a run as a curve over its steps, with the last numbers, and as a table. Points: [step, loss, accuracy,
   loss and accuracy on what was held out]; which: the two places in them. */
function Curve({ points, which, title, share }) {
  const { html } = htmPreact;
  const { format, percent } = numbers();
  const w = words();
  const WIDE = 320, HIGH = 110;
  const known = points.flatMap((point) => which.map((k) => point[k])).filter((value) => value !== null && Number.isFinite(value));
  if (!known.length) return null;
  const top = share ? 1 : Math.max(...known), end = points[points.length - 1][0];
  const at = (step, value) => `${((WIDE * step) / end).toFixed(1)},${(HIGH - (HIGH * value) / (top || 1)).toFixed(1)}`;
  const write = share ? percent : format;
  const lines = which.map((k, i) => ({ k, name: w.curves[i], found: points.filter((point) => point[k] !== null && Number.isFinite(point[k])) })).filter((line) => line.found.length);
  return html`<figure class="curve"><figcaption><b>${title}</b> ${lines.map((line, i) => html`<span key=${line.name} class=${`key line${i}`}>${line.name} <b>${write(line.found[line.found.length - 1][line.k])}</b></span>`)}</figcaption>
    <div class="plot"><span class="top">${write(top)}</span><svg viewBox=${`-2 -2 ${WIDE + 4} ${HIGH + 4}`} preserveAspectRatio="none" aria-hidden="true">
      ${lines.map((line, i) => html`<polyline key=${line.name} class=${`line${i}`} points=${(line.found.length > 1 ? line.found : [line.found[0], line.found[0]]).map((point) => at(point[0], point[line.k])).join(" ")} />`)}</svg>
      <span class="steps"><span>0</span><span>${w.step(end)}</span></span></div></figure>`;
}
