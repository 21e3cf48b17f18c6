"use strict";

/* Planted bugs: choose one, or have one drawn that is not named; what turned red; and the answer. */
function Breaker({ meta, answer, bug, bugs, source, revealed, checking, onReveal, onSurprise, set, onOpen }) {
  const { html } = htmPreact;
  const { format } = numbers();
  const w = words();
  const apart = (a, b) => {
    let places = 4;
    while (places < 15 && format(a, places) === format(b, places)) places += 2;
    return [format(a, places), format(b, places)];
  };
  const hidden = bug && !bugs.some((one) => one.key === bug);
  const shown = bug && (hidden ? revealed : bugs.find((one) => one.key === bug));
  const of = meta.graph.length - 1;
  return html`<div class="view"><h3>${w.bugsTitle}</h3><p class="shows">${w.bugsShows}</p>
    ${source.live
      ? html`<p class="buttons"><button class="main" onClick=${onSurprise}>${w.surprise}</button>
        <label class="select">${w.chooseBug} <select value=${hidden ? "unnamed" : bug || ""} onChange=${(event) => set({ bug: event.target.value || null })}>
          ${hidden && html`<option value="unnamed">${w.unnamedBug}</option>`}<option value="">${w.noBug}</option>${bugs.map((one) => html`<option key=${one.key} value=${one.key}>${one.title}</option>`)}</select></label>
        ${bug && html`<button onClick=${() => set({ bug: null })}>${w.remove}</button>`}</p>`
      : html`<p class="hint">${w.onlyServer}</p>`}
    ${hidden && !revealed && html`<p class="surprised">${w.surprised} ${w.pointHint}</p>`}
    ${bug && html`<p role="status"><b>${checking ? w.checking : w.red(answer.wrong.length, of)}</b></p>
      <ol class="red">${answer.wrong.map((name, i) => html`<li key=${name}>${i === 0 ? html`<b>${w.redFirst}: </b>` : ""}
        <button class="ref wrong" onClick=${() => onOpen(name, null, "backward")}>${name}</button>
        ${answer.reasons[i] && html` <span class="hint">${w.redReason(...apart(...answer.reasons[i]))}</span>`}</li>`)}</ol>`}
    ${hidden && !revealed && html`<p><button onClick=${onReveal}>${w.reveal}</button></p>`}
    ${shown && shown.old && html`<div class="planted" role="status"><p><b>${shown.title}</b> ${shown.reason}</p>
      <p>${shown.file}:${shown.line}</p><p>${w.lineWas}</p><pre>${shown.old}</pre><p>${w.lineIs}</p><pre class="wrong">${shown.new}</pre></div>`}
  </div>`;
}
