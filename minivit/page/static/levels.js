"use strict";

/* The three levels of the right column: overview, one operation, one entry; where the page is, and the way up. */
function Levels({ name, entry, onLevel }) {
  const { html } = htmPreact;
  const w = words();
  const now = name ? (entry ? 3 : 2) : 1;
  const texts = [w.levels[0], name ? name : w.levels[1], entry ? `[${entry.join(", ")}]` : w.levels[2]];
  return html`<nav class="levels" aria-label=${w.levelsLabel}><ol>${texts.map((text, i) => html`<li key=${i}>
    <button aria-current=${now === i + 1 ? "step" : null} disabled=${i + 1 > now && !(name && i === 2)} title=${w.levels[i]} onClick=${() => onLevel(i + 1)}>${text}</button></li>`)}</ol></nav>`;
}
