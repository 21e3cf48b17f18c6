"use strict";

/* The views of the middle column as tabs. */
function Tabs({ views, view, marked, onView }) {
  const { html } = htmPreact;
  const w = words();
  function pressed(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = views[(views.indexOf(view) + step + views.length) % views.length];
    onView(next);
    requestAnimationFrame(() => document.getElementById(`tab-${next}`).focus());
  }
  return html`<nav class="tabs" role="tablist" aria-label=${w.viewsLabel} onKeyDown=${pressed}>${views.map((one) => html`<button key=${one} role="tab" id=${`tab-${one}`}
    aria-controls="view" aria-selected=${view === one ? "true" : "false"} tabindex=${view === one ? 0 : -1} onClick=${() => onView(one)}>${w.views[one]}${marked === one ? " •" : ""}</button>`)}</nav>`;
}
