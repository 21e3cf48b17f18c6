"use strict";

/* One entry of a tensor multiplied out, in the direction that is shown, and its finite difference. */
function Entry({ node, nodes, label, entry, way, tensors, terms, config, dtype, slope, measuring, onMeasure, onOpen, source, request, wrong }) {
  const { html, useEffect, useRef, useState } = htmPreact;
  const { format, agreement } = numbers();
  const w = words();
  const [all, setAll] = useState(false);
  const head = useRef();
  useEffect(() => head.current && head.current.scrollIntoView({ block: "nearest" }), []);
  const held = tensors[node.name][way === "forward" ? "value" : "grad"][layout(node.shape).flat(entry)];
  const parts = way === "forward" ? [terms.forward(node.name, entry)].filter(Boolean) : terms.backward(node.name, entry);
  const total = parts.reduce((sum, part) => sum + part.sum, 0);
  const digits = agreement(total, held);
  const tiny = Math.abs(total - held) <= 1e-12 * Math.max(1, ...parts.flatMap((part) => part.terms.map((term) => Math.abs(term.product))));
  const fine = tiny || digits >= (dtype === "f4" ? 3 : 8);

  function factor(found, i) {
    const times = i ? html`<span class="times">×</span>` : null;
    const text = found.name ? `${found.grad ? "d" : ""}${short(found.name)}[${shownEntry(found.entry, found.name)}]` : found.text;
    return html`${times}<span class="factor"><b>${format(found.value)}</b>${found.name
      ? html`<button class=${`ref ${found.grad ? "d" : ""}`} onClick=${() => onOpen(found.name, found.entry, found.grad ? "backward" : "forward")}>${text}</button>`
      : html`<span class="ref">${text}</span>`}</span>`;
  }
  const short = (name) => (nodes[name].op === "parameter" ? name.replace(/^blocks\.\d+\./, "") : name.split(".").pop());
  const shownEntry = (found) => (found.length > 1 && found[0] === 0 ? found.slice(1) : found).join(",");

  function part(found) {
    const most = all ? 600 : 16;
    const ordered = found.terms.length > most ? [...found.terms].sort((a, b) => Math.abs(b.product) - Math.abs(a.product)).slice(0, most) : found.terms;
    return html`<div class="part" key=${found.step || node.name}>
      ${found.step && html`<p class="through">${w.contribution(found.step)}: <code>${found.formula.replace("{label}", label)}</code></p>`}
      ${found.step && w.SLOPES[nodes[found.step].op] && html`<p class="hint">${w.SLOPES[nodes[found.step].op]}</p>`}
      ${!found.terms.length && html`<p>${w.noTerms}</p>`}
      <ul class="terms">${ordered.map((term, i) => html`<li key=${i}><span class="product">${format(term.product)}</span><span class="is">=</span>${term.factors.map(factor)}</li>`)}</ul>
      ${found.terms.length > 1 && html`<p class="hint">${w.termsTotal(found.terms.length, ordered.length)}
        ${found.terms.length > ordered.length && html` <button class="link" onClick=${() => setAll(true)}>${w.allTerms}</button>`}
        ${parts.length > 1 ? html` ${w.equals} <b>${format(found.sum)}</b>` : null}</p>`}
    </div>`;
  }
  const stored = source.storedSlopes ? source.storedSlopes(request, node.name) : null;
  return html`<section class="entry" aria-live="off">
    <h4>${w.entryTitle((way === "backward" ? "d" : "") + node.name, entry.join(", "))}</h4>
    <p class=${`result ${fine || !parts.length ? "" : "wrong"}`}><span class="big">${format(held, 8)}</span>
      ${parts.length > 0 && html`<span>${w.equals} ${format(total, 8)}: ${fine ? (dtype === "f4" ? w.otherFloat32(Math.max(3, digits)) : tiny && digits < 8 ? w.sameNumber(15) : w.sameNumber(digits)) : w.otherNumber}</span>`}</p>
    <i ref=${head}></i>
    ${way === "forward" && !parts.length && html`<p>${w.noOperation}</p>`}
    ${parts.map(part)}
    <${Closed} node=${node} entry=${entry} way=${way} tensors=${tensors} terms=${terms} />
    <div class="measure">
      ${source.live || (stored || []).some((s) => s.entry.join() === entry.join())
        ? html`<button class="main" disabled=${measuring} onClick=${onMeasure}>${w.measure}</button>`
        : html`<p class="hint">${w.notStored}</p>`}
      ${stored && html`<p class="stored">${w.storedEntries}: ${stored.map((s) => html`<button class="ref" key=${s.entry.join()} onClick=${() => onOpen(node.name, s.entry, "backward")}>[${s.entry.join(",")}]</button> `)}</p>`}
      <div role="status">${slope && html`<table class="slope"><tbody>
          <tr><th scope="row">${w.computed}</th><td data-slope="computed">${format(slope.gradient, 12)}</td></tr>
          <tr><th scope="row">${w.measured}</th><td data-slope="measured">${format(slope.measured, 12)}</td></tr></tbody></table>
        <p class=${slope.agrees ? "agree" : "agree wrong"}>${slope.agrees ? (slope.digits ? w.agree(slope.digits) : w.tooSmall) : w.disagree}</p>`}</div>
      <p class="hint">${w.measureShows}</p>
    </div>
  </section>`;
}
