"use strict";

/* The pixels with the grid of patches. With onPixels, an editor: arrow keys move, the space bar sets a pixel. What is set
   shows at once; the answer to it comes later. */
function Picture({ pixels, side, patch, onPixels, label }) {
  const { html, useEffect, useRef, useState } = htmPreact;
  const w = words();
  const canvas = useRef(), now = useRef(pixels), came = useRef(pixels);
  if (came.current !== pixels) came.current = now.current = pixels;
  const [at, setAt] = useState([0, 0]);
  const scheme = useScheme();
  const [height, width] = side;
  const paint = () => colours().paint(canvas.current, now.current, 0, height, width, "ink", 255);
  useEffect(paint, [pixels, scheme]);

  function pressed(event) {
    const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    const [row, column] = at;
    if (moves[event.key]) {
      const step = moves[event.key];
      setAt([Math.max(0, Math.min(height - 1, row + step[0])), Math.max(0, Math.min(width - 1, column + step[1]))]);
    } else if (event.key === " " && onPixels) {
      const changed = Uint8Array.from(now.current);
      changed[row * width + column] = changed[row * width + column] > 127 ? 0 : 255;
      now.current = changed;
      paint();
      onPixels(changed);
    } else return;
    event.preventDefault();
  }
  const name = w.pixelAt(at[0], at[1], now.current[at[0] * width + at[1]]);
  return html`<div class="picture" role="grid" aria-label=${label} aria-rowcount=${height} aria-colcount=${width}>
    <canvas ref=${canvas} aria-hidden="true"></canvas>
    <i class="patches" aria-hidden="true" style=${{ backgroundSize: `${(100 * patch) / width}% ${(100 * patch) / height}%` }}></i>
    <div role="row" aria-rowindex=${at[0] + 1}><div role="gridcell" class="cursor" tabindex="0" aria-colindex=${at[1] + 1} aria-label=${name} onKeyDown=${pressed}
      style=${{ left: `${(100 * at[1]) / width}%`, top: `${(100 * at[0]) / height}%`, width: `${100 / width}%`, height: `${100 / height}%` }}></div></div>
  </div>`;
}
