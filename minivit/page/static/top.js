"use strict";

/* The head of the page: what it promises, the model, and the buttons that play its passes. */
function Top({ models, model, playing, way, onModel, onTour }) {
  const { html } = htmPreact;
  const w = words();
  const play = (one) => html`<button onClick=${() => playing.toggle(one)}>${playing.way === one ? w.play.stop : w.play[one]}</button>`;
  return html`<header class="top"><div><h1>${w.title}</h1><p><b>${w.promise}</b> ${w.promiseMore}</p></div>
    <div class="controls">
      <label class="select">${w.model} <select value=${model} onChange=${(event) => onModel(event.target.value)}>
        ${models.map((one) => html`<option key=${one.key} value=${one.key}>${one.key === "tiny" ? w.tiny : one.title}</option>`)}</select></label>
      ${play("forward")} ${play("backward")}
      <button onClick=${() => playing.step(way, true)}>${w.play.step}</button>
      <button class="main" onClick=${onTour}>${w.tourStart}</button>
    </div></header>`;
}
