"use strict";

/* The right column before a tensor is opened: the two passes on one screen, and where to begin. */
function Overview({ meta, answer, names, nodes, load, live, onOpen, onStop, set }) {
  const { html, useEffect, useState } = htmPreact;
  const { format, percent } = numbers();
  const w = words();
  const { config, graph } = meta;
  const [loaded, setLoaded] = useState({});
  const stream = graph.find((node) => node.uses.some((use) => nodes[use.step].op === "normalise")).name;
  const blocks = Array.from({ length: config.depth }, (_, i) => `blocks.${i}.out`);
  const stations = ["image", "patches", stream, ...blocks, "logits", "loss"].filter((name) => nodes[name]);
  useEffect(() => {
    let current = true;
    const later = setTimeout(() => load(stations).then((found) => current && setLoaded(found)).catch(() => {}), 120);
    return () => ((current = false), clearTimeout(later));
  }, [answer.key]);
  const map = (name, part) => {
    const its = layout(nodes[name].shape), found = loaded[name];
    if (its.size === 1) return html`<b class="one">${format(name === "loss" && part === "grad" ? 1 : answer.loss)}</b>`;
    return found
      ? html`<${Thumbnail} values=${found[part]} rows=${its.rows * its.slices} columns=${its.columns} kind="signed" className=${name === "image" ? "map square" : "map"} />`
      : html`<i class="map"></i>`;
  };
  const title = (name) => (nodes[name].block === null ? w.stations[name] || w.stations.stream : w.block(nodes[name].block));
  const station = (name) => html`<li key=${name}><button onClick=${() => onOpen(name)} aria-label=${w.openStation(title(name), name)}>
    <b>${title(name)}</b><span class="shape">${nodes[name].shape.join("×") || "1"}</span>
    <span class="maps">${map(name, "value")}${map(name, "grad")}</span></button></li>`;
  const last = `blocks.${config.depth - 1}`;
  const first = (name) => layout(nodes[name].shape).entry(0);
  const begin = [
    [w.begin.tour, () => onStop(0)],
    [w.begin.entry, () => onOpen(`${last}.attn.scores`, first(`${last}.attn.scores`), "backward")],
    [w.begin.layernorm, () => onOpen(`${last}.h`, first(`${last}.h`), "backward")],
    [w.begin.attention, () => set({ view: "attention", block: config.depth - 1 })],
    ...(live ? [[w.begin.bugs, () => set({ view: "bugs" })], [w.begin.step, () => set({ view: "step" })]] : []),
  ];
  return html`<aside class="detail overview" id="detail" tabindex="-1" aria-label=${w.levels[0]}>
    <h2>${w.overviewTitle}</h2>
    <p class="lead">${w.overviewForward(names[answer.prediction], percent(answer.probabilities[answer.prediction]), format(answer.loss), names[answer.label])}</p>
    <p class="lead">${w.overviewBackward(meta.graph.length)}</p>
    <ol class="stations">${stations.map(station)}</ol>
    <p class="hint">${w.stationsHint}</p>
    <h3>${w.beginTitle}</h3>
    <ul class="begin">${begin.map(([[name, text], act]) => html`<li key=${name}><button onClick=${act}><b>${name}</b><span>${text}</span></button></li>`)}</ul>
  </aside>`;
}
