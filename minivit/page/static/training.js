"use strict";

/* A run's training: how far it has come, its curves, and their numbers as a table. */
function Training({ live }) {
  const { html } = htmPreact;
  const { format, percent } = numbers();
  const w = words();
  const rows = live.curve.slice(-12).reverse();
  const cell = (value, write) => (value === null ? "" : write(value));
  return html`<section class="live"><h4>${live.training ? w.live : w.liveOver}</h4>
    <p role="status">${live.training ? w.liveShows(live.step, live.seconds) : w.liveOverShows(live.step)}</p>
    ${live.curve.length > 0 && html`<${Curve} points=${live.curve} which=${[1, 3]} title=${w.lossCurve} /><${Curve} points=${live.curve} which=${[2, 4]} title=${w.accuracyCurve} share=${true} />
      <details class="astable"><summary>${w.table}</summary><div class="scroll" tabindex="0" role="region" aria-label=${w.live}><table><thead><tr>${w.curveColumns.map((text) => html`<th scope="col" key=${text}>${text}</th>`)}</tr></thead>
        <tbody>${rows.map(([step, loss, accuracy, validLoss, validAccuracy]) => html`<tr key=${step}><th scope="row">${step}</th><td>${cell(loss, format)}</td><td>${cell(accuracy, percent)}</td><td>${cell(validLoss, format)}</td><td>${cell(validAccuracy, percent)}</td></tr>`)}</tbody></table></div></details>`}
  </section>`;
}
