"use strict";

/* The page: its state (which is also in the address), what it asks Python for, and how its parts lie. */
function App({ source, meta: everything }) {
  const { html, useEffect, useMemo, useRef, useState } = htmPreact;
  const w = words();
  const here = address();
  const [moving, setMoving] = useState(false);
  const [state, setState] = usePlace({ model: everything.models[0].key, way: "forward", view: "tape", block: 0, head: 0, steps: 0 }, moving);
  const [error, setError] = useState(null);
  const [changed, setChanged] = useState(null);
  const [slope, setSlope] = useState(null);
  const [measuring, setMeasuring] = useState(false);
  const [pointed, setPointed] = useState(null);
  const [revealed, setRevealed] = useState(null);
  const [unfolded, setUnfolded] = useState([]);
  const [live, setLive] = useState(null);
  const newest = useRef(null);
  const meta = everything.models.find((one) => one.key === state.model) || everything.models[0];
  const names = Array.from({ length: meta.config.classes }, (_, k) => (meta.config.class_names ? meta.config.class_names[k] : `${k}`));
  const nodes = useMemo(() => Object.fromEntries(meta.graph.map((node) => [node.name, node])), [meta]);
  const opened = state.tensor && nodes[state.tensor] ? state.tensor : null;
  const terms = useMemo(() => makeTerms(nodes, (name) => newest.current[name], meta.config), [nodes]);
  const strokes = useMemo(() => (state.strokes ? here.unpackStrokes(state.strokes) : []), [state.strokes]);
  const digit = state.strokes || state.pixels ? null : Math.min(state.digit || 0, meta.digits.length - 1);
  /* Level 3 of a tensor without an entry is its first one. */
  const shape = opened && layout(nodes[opened].shape);
  const wanted = state.entry || (state.level === 3 && opened ? shape.entry(0) : null);
  const entry = opened && wanted && shape.holds(wanted) ? wanted : null;
  useEffect(() => {
    if (entry && !state.entry) setState((old) => ({ ...old, entry }));
  }, [entry && entry.join()]);

  const request = { model: meta.key };
  if (state.strokes) request.strokes = strokes;
  else if (state.pixels) request.pixels = state.pixels;
  else request.digit = digit;
  if (state.label !== undefined && state.label !== null) request.label = state.label;
  if (state.bug) request.bug = state.bug;
  if (state.steps) request.steps = state.steps;
  if (live && meta.live && live.save) request.save = live.save;
  const { answer, checking, tensors, before } = useRun({ source, request, bug: state.bug, needed: opened ? terms.needed(opened) : [], onError: setError });
  newest.current = tensors;

  function set(change) {
    setState((old) => {
      const next = { ...old, level: undefined, ...change };
      if (change.tensor !== undefined && change.tensor !== old.tensor && change.entry === undefined) next.entry = null;
      if (change.model && change.model !== old.model) {
        const there = source.live || source.has(change.model, old.digit || 0) ? {} : { digit: 0 };
        Object.assign(next, { ...there, pixels: null, tensor: null, entry: null, block: 0, head: 0, bug: null, label: null, steps: 0 });
      }
      return next;
    });
  }
  function open(name, found, way, still) {
    set({ tensor: name, entry: found === undefined ? null : found, ...(way ? { way } : {}) });
    if (innerWidth < 1180 && !still) requestAnimationFrame(() => document.getElementById("detail").scrollIntoView());
    const node = nodes[name];
    if (node && node.block !== null) setUnfolded((old) => (old.includes(node.block) ? old : [...old, node.block]));
  }
  const order = meta.graph.filter((node) => node.op !== "parameter").map((node) => node.name);
  const playing = usePlaying(order, state.tensor, (name, way, still) => open(name, null, way, !still));
  useEffect(() => setMoving(Boolean(playing.runs)), [playing.runs]);
  useKeys({ ...state, entry, tensor: opened }, set);

  useEffect(() => {
    setRevealed(null);
    setChanged(null);
    if (state.bug && source.live) source.sources(meta.key, state.bug).then(setChanged).catch((problem) => setError(problem.message));
  }, [state.bug, meta.key]);
  useEffect(() => setPointed(null), [opened, state.bug, meta.key, answer && answer.key]);
  useEffect(() => setSlope(null), [answer && answer.key, opened, entry && entry.join()]);
  useEffect(() => {
    if (!meta.live) return;
    const read = () => source.watch().then((found) => {
      setLive((old) => (old && !found.curve.length ? { ...found, step: old.step, curve: old.curve } : found)); // none while a line is being written
      if (!found.training) clearInterval(clock);
    }).catch(() => {});
    const clock = setInterval(read, 3000);
    read();
    return () => clearInterval(clock);
  }, [meta.key]);

  function goTo(stop) {
    if (stop === null) return set({ stop: undefined });
    const change = stopState(stop, meta);
    if (change.block !== undefined) setUnfolded([change.block]);
    set(change);
  }
  useEffect(() => {
    if (state.stop !== undefined && !state.tensor) goTo(Math.min(state.stop, w.TOUR.length - 1));
  }, []);
  useEffect(() => {
    const block = opened && nodes[opened].block;
    if (block !== null && block !== undefined) setUnfolded((old) => (old.includes(block) ? old : [...old, block]));
  }, [opened]);

  /* Runs what may fail, and says so. */
  const attempt = (work) => work().catch((problem) => setError(problem.message));
  async function measure() {
    setMeasuring(true);
    const start = performance.now();
    await attempt(async () => setSlope(await source.slope(request, opened, entry)));
    setMeasuring(false);
    requestAnimationFrame(() => {
      performance.clearMeasures("minivit slope");
      performance.measure("minivit slope", { start, end: performance.now() });
    });
  }
  const surprise = () => attempt(async () => set({ bug: (await source.draw(state.bug || null)).bug, view: "bugs" }));
  const reveal = () => source.reveal(state.bug).then(setRevealed);
  const newInput = (change) => set({ strokes: null, pixels: null, digit: undefined, label: null, steps: 0, ...change });
  async function fromFile(event) {
    const chosen = event.target.files[0];
    event.target.value = "";
    if (!chosen) return;
    try {
      newInput({ pixels: await source.picture(meta.key, await greyOf(chosen)) });
    } catch (problem) {
      setError(`${chosen.name}: ${problem.message}`);
    }
  }

  if (!answer) return html`<main class="wait"><h1>${w.title}</h1><p role="status">${error || w.loading}</p></main>`;
  const sources = { ...meta.sources, ...((state.bug && changed) || {}) };
  const views = Object.keys(w.views).filter((one) => one !== "lens" || answer.lens.length);
  const load = (list) => source.load(JSON.parse(answer.key), list);
  const shown = {
    tape: () => html`<${Tape} meta=${meta} answer=${answer} chosen=${opened} playing=${playing.name} unfolded=${unfolded} load=${load} runKey=${answer.key}
      onUnfold=${(i) => setUnfolded((old) => (old.includes(i) ? old.filter((one) => one !== i) : [...old, i]))} onOpen=${(name) => open(name)} />`,
    attention: () => html`<${Attention} meta=${meta} answer=${answer} block=${Math.min(state.block, meta.config.depth - 1)} head=${Math.min(state.head, meta.config.heads - 1)} set=${set} />`,
    step: () => html`<${OneStep} answer=${answer} rate=${everything.rate} steps=${state.steps} live=${meta.live ? live : null} source=${source} nodes=${nodes} set=${set} />`,
    bugs: () => html`<${Breaker} meta=${meta} answer=${answer} bug=${state.bug} bugs=${everything.bugs} source=${source} revealed=${revealed} checking=${checking}
      onSurprise=${surprise} onReveal=${reveal} set=${set} onOpen=${open} />`,
  };
  const blind = state.bug && !everything.bugs.some((one) => one.key === state.bug);
  const point = blind && ((file, line) => source.point(state.bug, file, line).then((found) => {
    setPointed(found);
    if (found.right) reveal();
  }));
  return html`<div class="page">
    <a class="skip" href="#detail" onClick=${(event) => (event.preventDefault(), document.getElementById("detail").focus())}>${w.skip}</a>
    <${Top} models=${everything.models} model=${meta.key} playing=${playing} way=${state.way} onModel=${(model) => set({ model })} onTour=${() => goTo(0)} />
    ${error && html`<p class="error" role="alert">${error} <button onClick=${() => (setError(null), set({}))}>${w.retry}</button></p>`}
    ${state.stop !== undefined && html`<${Tour} stop=${Math.min(state.stop, w.TOUR.length - 1)} onStop=${goTo} />`}
    <main>
      <${Left} source=${source} meta=${meta} answer=${answer} names=${names} label=${state.label} before=${before === null ? null : names[before]}
        digit=${digit} strokes=${strokes} onInput=${newInput} onFile=${fromFile} onLabel=${(k) => set({ label: k })} />
      <section class="middle" aria-label=${w.viewsLabel}>
        <${Tabs} views=${views} view=${state.view} marked=${state.bug ? "bugs" : null} onView=${(view) => set({ view })} />
        <div role="tabpanel" id="view" aria-labelledby=${`tab-${state.view}`} tabindex="-1">
          ${shown[state.view] ? shown[state.view]() : html`<${Views} view=${state.view} meta=${meta} answer=${answer} names=${names} set=${set} />`}</div>
      </section>
      ${opened
        ? html`<${Detail} meta=${meta} nodes=${nodes} name=${opened} way=${state.way} entry=${entry} head=${state.head} tensors=${tensors} answer=${answer} sources=${sources} terms=${terms} dtype=${meta.dtype}
          slope=${slope} measuring=${measuring} source=${source} request=${request} changed=${state.bug && changed} pointed=${pointed} set=${set} onMeasure=${measure} onPoint=${point} onOpen=${open} />`
        : html`<${Overview} meta=${meta} answer=${answer} names=${names} nodes=${nodes} load=${load} live=${source.live} onOpen=${open} onStop=${goTo} set=${set} />`}
    </main>
    <footer><p>${w.valuesOf(meta.parameters, meta.dtype)} ${meta.dtype === "f4" ? w.float32 : ""}</p><p>${w.keys}</p><p>${w.licence}</p></footer>
  </div>`;
}
