"use strict";

/* Two scales. Signed values: blue below zero, orange above, the page's own ground at zero. Shares and ink: one hue, from
   the ground up. Both are read from the style sheet, so that dark mode has its own. */
function colours() {
  function token(name) {
    const text = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    return [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16));
  }

  function blend(from, to, t) {
    return from.map((value, i) => Math.round(value + (to[i] - value) * t));
  }

  /* Computed once for the light and once for the dark page: reading the style sheet makes the browser lay it out. */
  function table(kind) {
    if (!colours.known) {
      colours.known = new Map();
      colours.scheme = matchMedia("(prefers-color-scheme: dark)");
    }
    const key = `${kind} ${colours.scheme.matches}`;
    if (!colours.known.has(key)) colours.known.set(key, computed(kind));
    return colours.known.get(key);
  }

  function computed(kind) {
    const zero = token("--zero");
    const [below, above] = kind === "signed" ? [token("--minus"), token("--plus")] : [zero, token(kind === "ink" ? "--ink" : "--share")];
    return Array.from({ length: 511 }, (_, i) => {
      const t = Math.abs(i - 255) / 255;
      return blend(zero, i < 255 ? below : above, t ** 0.75);
    });
  }

  function largest(values) {
    let most = 0;
    for (const value of values) if (Math.abs(value) > most) most = Math.abs(value);
    return most;
  }

  /* Paint rows x columns values, from `start` on, one pixel each; the canvas is stretched by the style sheet. */
  function paint(canvas, values, start, rows, columns, kind, most) {
    const scale = table(kind);
    canvas.width = columns;
    canvas.height = rows;
    const context = canvas.getContext("2d");
    const image = context.createImageData(columns, rows);
    const top = most || 1;
    for (let i = 0; i < rows * columns; i++) {
      const t = Math.max(-1, Math.min(1, values[start + i] / top));
      const colour = scale[255 + Math.round(255 * t)] || [255, 0, 255]; // no number: a colour that is in no scale
      for (let part = 0; part < 3; part++) image.data[4 * i + part] = colour[part];
      image.data[4 * i + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  }

  return { paint, largest };
}
