"use strict";

/* Shows the page once the models are described. */
async function start() {
  const { html, render } = htmPreact;
  const w = words();
  const root = document.getElementById("root");
  document.title = w.title;
  const wait = (text) => render(html`<main class="wait"><h1>${w.title}</h1><p role="status">${text}</p></main>`, root);
  wait(w.loading);
  try {
    const source = makeSource();
    const meta = await source.meta();
    for (const digit of meta.models.flatMap((model) => model.digits)) digit.values = numbers().decode(digit.pixels);
    root.textContent = "";
    render(html`<${App} source=${source} meta=${meta} />`, root);
  } catch (problem) {
    wait(problem.message || w.failed);
  }
}

start();
