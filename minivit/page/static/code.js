"use strict";

/* The code of an operation with a line marked, and what its docstring says, with the step of that line marked. */
function Code({ place, sources, onPoint, answerOf, changed }) {
  const { html, useEffect, useRef } = htmPreact;
  const w = words();
  const box = useRef(), doc = useRef();
  const found = place && sources[place.source];
  useEffect(() => {
    for (const part of [box.current, doc.current]) {
      const line = part && part.querySelector(".marked");
      if (line) part.scrollTop = Math.max(0, line.offsetTop - part.clientHeight / 3);
    }
  }, [place && place.source, place && place.line]);
  if (!found) return null;
  const marked = found.lines.find((line) => line.number === place.line);
  const steps = marked ? [...marked.text.matchAll(/\((\d)\)(?=[^#]*$)/g)].map((m) => m[1]) : [];
  const inComment = marked && marked.text.includes("#") ? steps.filter((s) => marked.text.split("#").pop().includes(`(${s})`)) : [];
  const doclines = found.doc.split("\n");
  let step = null;
  return html`<section class="source">
    <h4>${place.backward ? w.sourceBack : w.source} <code class="place">${found.file}:${place.line}</code></h4>
    ${changed && place.backward && html`<p class="hint">${w.changedSource}</p>`}
    <div class="code" ref=${box} tabindex="0" role="region" aria-label=${w.source}><ol>${found.lines.map((line, i) => html`<li key=${line.number} class=${(line.number === place.line ? "marked" : "") + (i && line.number > found.lines[i - 1].number + 1 ? " gap" : "")} aria-current=${line.number === place.line ? "true" : null}>
      <span class="number">${line.number}</span>${onPoint && html`<span class="pointing">${line.text.trim() && html`<button class="point" onClick=${() => onPoint(found.file, line.number)} title=${w.pointAt} aria-label=${`${w.pointAt}: ${line.number}`}>?</button>`}</span>`}<code>${line.text || " "}</code></li>`)}</ol></div>
    ${answerOf && html`<p role="status" class=${answerOf.right ? "agree" : "agree wrong"}>${answerOf.right ? w.right : w.wrongLine}</p>`}
    <h4>${place.backward ? w.derivation : w.docs} <code class="place">${w.explain(found.explain)}</code></h4>
    <div class="doc" ref=${doc} tabindex="0" role="region" aria-label=${w.derivation}>${doclines.map((text, i) => {
      const head = text.match(/^\s*\((\d)\) /);
      if (head) step = head[1];
      else if (/^\S/.test(text)) step = null;
      return html`<div key=${i} class=${step && inComment.includes(step) ? "marked" : ""}>${text || " "}</div>`;
    })}</div>
  </section>`;
}
