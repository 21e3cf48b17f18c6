"use strict";

/* How a drawing became the pixels that the model sees, in three pictures. */
function Made({ made, picture, strokes, side }) {
  const { html } = htmPreact;
  const { format } = numbers();
  const w = words();
  const [height, width] = side;
  const small = Math.min(height, width); // the drawing is a square in the middle of the picture
  const ink = (values, rows, columns) => html`<${Thumbnail} values=${values} rows=${rows} columns=${columns} kind="ink" most=${255} />`;
  return html`<h3>${w.made}</h3><ol class="made">
    <li><svg viewBox="0 0 255 255" aria-hidden="true">${strokes.map((points, i) =>
      html`<polyline key=${i} points=${(points.length > 1 ? points : [points[0], points[0]]).map((point) => point.join(",")).join(" ")} />`)}</svg><span>${w.madeDrawn}</span></li>
    <li>${ink(made.boxed, small, small)}<span>${w.madeBoxed(small)}</span></li>
    <li>${ink(picture, height, width)}<span>${w.madeMoved(made.mass.map((x) => format(x, 3)), made.shift)}</span></li></ol>`;
}
