"use strict";

/* A tensor as a picture: one canvas, and one focusable cell, the cursor, that the arrow keys move. Where cells are
   large enough, their numbers stand in them. */
function Matrix({ values, shape, kind, slice, cursor, onCursor, onOpen, label, marks }) {
  const { html, useEffect, useRef, useState } = htmPreact;
  const { format } = numbers();
  const { paint, largest } = colours();
  const it = layout(shape);
  const canvas = useRef(), box = useRef(), cell = useRef();
  const [wide, setWide] = useState(0);
  const start = slice * it.rows * it.columns;
  const scheme = useScheme();
  const most = largest(values);
  const size = Math.max(4, Math.min(72, Math.floor(wide / it.columns)));
  const text = size >= 46 && it.rows * it.columns <= 600;
  const high = Math.max(4, Math.min(size, text || !(marks || []).length ? 19 : 12)); // lower, so that the entry below is in sight

  useEffect(() => {
    const watcher = new ResizeObserver(([found]) => setWide(Math.floor(found.contentRect.width)));
    watcher.observe(box.current);
    return () => watcher.disconnect();
  }, []);
  useEffect(() => paint(canvas.current, values, start, it.rows, it.columns, kind, most), [values, start, kind, scheme]);

  const at = cursor ? it.place(cursor) : { row: 0, column: 0 };
  const value = values[start + at.row * it.columns + at.column];
  const go = (row, column) =>
    onCursor(it.at(slice, Math.max(0, Math.min(it.rows - 1, row)), Math.max(0, Math.min(it.columns - 1, column))));

  function pressed(event) {
    const jump = event.shiftKey ? 8 : 1;
    const moves = { ArrowUp: [-jump, 0], ArrowDown: [jump, 0], ArrowLeft: [0, -jump], ArrowRight: [0, jump] };
    if (moves[event.key]) go(at.row + moves[event.key][0], at.column + moves[event.key][1]);
    else if (event.key === "Home") go(at.row, 0);
    else if (event.key === "End") go(at.row, it.columns - 1);
    else if (event.key === "PageUp") go(0, at.column);
    else if (event.key === "PageDown") go(it.rows - 1, at.column);
    else if (event.key === "Enter" || event.key === " ") onOpen(it.at(slice, at.row, at.column));
    else return;
    event.preventDefault();
  }
  function clicked(event) {
    const frame = canvas.current.getBoundingClientRect();
    const column = Math.floor(((event.clientX - frame.left) / frame.width) * it.columns);
    const row = Math.floor(((event.clientY - frame.top) / frame.height) * it.rows);
    go(row, column);
    onOpen(it.at(slice, Math.min(row, it.rows - 1), Math.min(column, it.columns - 1)));
    cell.current.focus({ preventScroll: true });
  }
  const texts = text && wide
    ? Array.from({ length: it.rows * it.columns }, (_, i) => {
        const share = most ? Math.abs(values[start + i]) / most : 0;
        return html`<span class=${share ** 0.75 > 0.65 ? "strong" : ""} key=${i}>${format(values[start + i], 3)}</span>`;
      })
    : null;
  const name = `${words().rows} ${at.row}, ${words().columns} ${at.column}: ${format(value)}`;
  return html`<div class="matrix" ref=${box}>
    <div class="frame" role="grid" aria-label=${label} aria-rowcount=${it.rows} aria-colcount=${it.columns}
      style=${{ width: `${size * it.columns}px`, height: `${high * it.rows}px` }} onClick=${clicked}>
      <canvas ref=${canvas} aria-hidden="true"></canvas>
      ${texts && html`<div class="cells" aria-hidden="true" style=${{ gridTemplateColumns: `repeat(${it.columns}, 1fr)` }}>${texts}</div>`}
      ${(marks || []).map((found) => {
        const place = it.place(found);
        return place.slice === slice && html`<i class="mark" aria-hidden="true" style=${{ left: `${place.column * size}px`, top: `${place.row * high}px`, width: `${size}px`, height: `${high}px` }}></i>`;
      })}
      <div role="row" aria-rowindex=${at.row + 1}>
        <div role="gridcell" class="cursor" tabindex="0" ref=${cell} aria-colindex=${at.column + 1} aria-label=${name} onKeyDown=${pressed}
          style=${{ left: `${at.column * size}px`, top: `${at.row * high}px`, width: `${size}px`, height: `${high}px` }}></div>
      </div>
    </div>
    <p class="legend"><span>${kind === "share" ? `0 … ${format(most)}` : words().scaleSigned(format(most))}</span>
      <i class=${`bar ${kind}`} aria-hidden="true"></i>
      <span class="readout">[${it.at(slice, at.row, at.column).join(", ")}] = <b>${format(value)}</b></span></p>
  </div>`;
}
