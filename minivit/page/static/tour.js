"use strict";

/* The guided tour: the text of a stop, and the buttons to the next one. It drives the page. */
function Tour({ stop, onStop }) {
  const { html, useEffect, useRef } = htmPreact;
  const w = words();
  const heading = useRef();
  useEffect(() => heading.current && heading.current.focus({ preventScroll: true }), [stop]);
  const [title, text] = w.TOUR[stop];
  const n = w.TOUR.length;
  return html`<section class="tour" aria-label=${w.tour}>
    <div><p class="count">${w.tourStop(stop + 1, n)}</p><h2 tabindex="-1" ref=${heading}>${title}</h2><p class="text">${text}</p></div>
    <p class="buttons"><button disabled=${stop === 0} onClick=${() => onStop(stop - 1)}>${w.tourBack}</button>
      <button class="main" disabled=${stop === n - 1} onClick=${() => onStop(stop + 1)}>${w.tourNext}</button>
      <button onClick=${() => onStop(null)}>${w.tourEnd}</button></p>
  </section>`;
}
