"use strict";

/* One AdamW step on this digit, and undo; of a run that is training, its last save. */
function OneStep({ answer, rate, steps, live, source, nodes, set }) {
  const { html } = htmPreact;
  const { format } = numbers();
  const w = words();
  const moved = answer.moved;
  return html`<div class="view"><h3>${w.stepTitle}</h3><p class="shows">${w.stepShows(rate)}</p>
    ${source.live
      ? html`<p class="buttons"><button class="main" onClick=${() => set({ steps: Math.min(50, steps + 1) })}>${w.take}</button>
        <button disabled=${!steps} onClick=${() => set({ steps: steps - 1 })}>${w.undo}</button> <span>${w.stepsTaken(steps)}</span></p>`
      : html`<p class="hint">${w.onlyServer}</p>`}
    ${moved && html`<p role="status">${w.lossFell(format(answer.before, 6), format(answer.loss, 6))}</p>
      <h4>${w.moved}</h4><div class="scroll tall" tabindex="0" role="region" aria-label=${w.moved}><table><thead><tr>${w.movedColumns.map((c) => html`<th scope="col" key=${c}>${c}</th>`)}</tr></thead>
      <tbody>${moved.map(([name, norm, most, entries]) => html`<tr key=${name}><th scope="row"><button class="ref" onClick=${() => set({ tensor: name, entry: null })}>${name}</button></th>
        <td>${format(norm)}</td><td>${format(most)}</td><td>${entries} of ${nodes[name].shape.reduce((a, b) => a * b, 1)}</td></tr>`)}</tbody></table></div>`}
    ${live && live.curve && html`<${Training} live=${live} />`}
  </div>`;
}
