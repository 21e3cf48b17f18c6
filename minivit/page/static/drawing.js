"use strict";

/* The drawing field: strokes of a mouse, pen or finger as points of 0 to 255. Ink is shown at once, here; what the
   model sees is made of the points by Python. */
function Drawing({ strokes, ghost, side, onStrokes }) {
  const { html, useEffect, useRef } = htmPreact;
  const w = words();
  const canvas = useRef(), now = useRef(null), done = useRef([]); // the stroke under the pen, and those before it
  const scheme = useScheme();
  const SIDE = 256;

  function draw(all) {
    const ratio = Math.max(1, Math.min(3, window.devicePixelRatio || 1));
    const field = canvas.current;
    if (field.width !== SIDE * ratio) field.width = field.height = SIDE * ratio;
    const pen = field.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, SIDE, SIDE);
    pen.lineWidth = 18;
    pen.lineCap = pen.lineJoin = "round";
    pen.strokeStyle = getComputedStyle(field).color;
    for (const points of all) {
      pen.beginPath();
      pen.moveTo(...points[0]);
      for (const point of points.length > 1 ? points : [[points[0][0] + 0.1, points[0][1]]]) pen.lineTo(...point);
      pen.stroke();
    }
  }
  useEffect(() => draw(now.current ? [...done.current, now.current] : strokes), [strokes, scheme]);

  function point(event) {
    const frame = canvas.current.getBoundingClientRect();
    const along = (at, from, size) => Math.max(0, Math.min(255, Math.round(((at - from) / size) * 255)));
    return [along(event.clientX, frame.left, frame.width), along(event.clientY, frame.top, frame.height)];
  }
  function down(event) {
    if (!event.isPrimary || event.button > 0) return;
    event.preventDefault();
    canvas.current.setPointerCapture(event.pointerId);
    done.current = strokes;
    now.current = [point(event)];
    draw([...done.current, now.current]);
  }
  function move(event) {
    if (!now.current || !event.isPrimary) return;
    const all = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
    for (const one of all.length ? all : [event]) {
      const next = point(one), [x, y] = now.current[now.current.length - 1];
      if (next[0] !== x || next[1] !== y) now.current.push(next);
    }
    draw([...done.current, now.current]);
    onStrokes([...done.current, [...now.current]]);
  }
  function up(event) {
    if (!now.current || !event.isPrimary) return;
    const all = [...done.current, now.current];
    now.current = null;
    onStrokes(all);
  }
  return html`<div class="fieldbox"><canvas class="field" ref=${canvas} width=${SIDE} height=${SIDE} role="img" aria-label=${w.canvas}
    onPointerDown=${down} onPointerMove=${move} onPointerUp=${up} onPointerCancel=${up}></canvas>
    ${ghost && html`<${Thumbnail} values=${ghost} rows=${side[0]} columns=${side[1]} kind="ink" most=${255} className="ghost" />`}
    ${!strokes.length && html`<span aria-hidden="true">${w.drawHere}</span>`}</div>`;
}
