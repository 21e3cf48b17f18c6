"use strict";

/* What the model answers, class by class; each class is also a choice: the one whose loss flows back. */
function Answer({ answer, names, label, fixed, onLabel, before }) {
  const { html } = htmPreact;
  const { percent, format } = numbers();
  const w = words();
  const best = answer.prediction;
  const many = names.length > 20;
  const order = many ? [...names.keys()].sort((a, b) => answer.probabilities[b] - answer.probabilities[a]).slice(0, 20) : [...names.keys()];
  return html`<section class="answer">
    <h3>${w.answer}</h3>
    <p class="says" role="status" data-prediction=${names[best]}>${w.was(w.says(names[best], percent(answer.probabilities[best])), before)}</p>
    <fieldset class=${names.some((name) => name.length > 2) ? "named" : ""}><legend>${w.flows}</legend>
      ${order.map((k) => html`<label key=${k} class=${k === answer.label ? "chosen" : ""}>
        <input type="radio" name="label" value=${k} checked=${k === (label === undefined || label === null ? answer.label : label)} disabled=${fixed && k !== answer.label} onChange=${() => onLabel(k)} />
        <span class="class">${names[k]}</span><span class="bar"><i style=${{ width: `${100 * answer.probabilities[k]}%` }}></i></span>
        <span class="share">${percent(answer.probabilities[k])}</span></label>`)}
    </fieldset>
    <p class="hint">${w.lossIs(format(answer.loss))}. ${fixed ? w.flowsFixed : w.flowsHint}</p>
  </section>`;
}
