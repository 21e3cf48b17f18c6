"use strict";

/* The numbers of one slice as a table, twelve rows and eight columns at a time. */
function ValueTable({ values, shape, slice, label }) {
  const { html, useState } = htmPreact;
  const { format } = numbers();
  const w = words();
  const it = layout(shape);
  const [open, setOpen] = useState(false);
  const [top, setTop] = useState(0);
  const [left, setLeft] = useState(0);
  const ROWS = 12, COLUMNS = 8;
  const rows = Array.from({ length: Math.min(ROWS, it.rows - top) }, (_, i) => top + i);
  const columns = Array.from({ length: Math.min(COLUMNS, it.columns - left) }, (_, i) => left + i);
  const part = (title, from, step, of, set) =>
    of > step && html`<span class="pager"><b>${title}</b>
      <button disabled=${from === 0} onClick=${() => set(from - step)} aria-label=${`${title}: ${w.before}`}>‹</button>
      ${w.tablePart(from, Math.min(of, from + step) - 1, of)}
      <button disabled=${from + step >= of} onClick=${() => set(from + step)} aria-label=${`${title}: ${w.after}`}>›</button></span>`;
  return html`<details class="astable" open=${open} onToggle=${(event) => setOpen(event.target.open)}>
    <summary>${w.table}</summary>
    ${open && html`${part(w.rows, top, ROWS, it.rows, setTop)} ${part(w.columns, left, COLUMNS, it.columns, setLeft)}
      <div class="scroll" tabindex="0" role="region" aria-label=${label}><table><caption class="hidden">${label}</caption>
        <thead><tr><td></td>${columns.map((c) => html`<th scope="col" key=${c}>${c}</th>`)}</tr></thead>
        <tbody>${rows.map((r) => html`<tr key=${r}><th scope="row">${r}</th>
          ${columns.map((c) => html`<td key=${c}>${format(values[(slice * it.rows + r) * it.columns + c])}</td>`)}</tr>`)}</tbody>
      </table></div>`}
  </details>`;
}
