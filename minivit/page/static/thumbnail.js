"use strict";

/* A small picture of a matrix, for buttons and strips; the numbers stand elsewhere, so it is hidden from readers. */
function Thumbnail({ values, start, rows, columns, kind, most, className }) {
  const { html, useEffect, useRef } = htmPreact;
  const canvas = useRef();
  const scheme = useScheme();
  useEffect(() => {
    if (values) colours().paint(canvas.current, values, start || 0, rows, columns, kind, most || colours().largest(values));
  }, [values, start, kind, most, scheme]);
  return html`<canvas ref=${canvas} class=${className || "thumbnail"} aria-hidden="true"></canvas>`;
}
