"use strict";

/* The page: its state (which is also in the address), what it asks Python for, and how its parts lie. */
function App({ source, meta: everything, first }) {
  const { html, useEffect, useMemo, useRef, useState } = htmPreact;
  const w = words();
  const { decode } = numbers();
  const here = address();
  const [state, setState] = useState(() => ({ model: everything.models[0].key, way: "forward", view: "tape", block: 0, head: 0, steps: 0, ...first }));
  const [answer, setAnswer] = useState(null);
  const [error, setError] = useState(null);
  const [tensors, setTensors] = useState({});
  const [changed, setChanged] = useState(null);
  const [slope, setSlope] = useState(null);
  const [measuring, setMeasuring] = useState(false);
  const [pointed, setPointed] = useState(null);
  const [revealed, setRevealed] = useState(null);
  const [unfolded, setUnfolded] = useState([]);
  const [playing, setPlaying] = useState(null);
  const [live, setLive] = useState(null);
  const before = useRef(null), started = useRef(performance.now()), newest = useRef(null);
  const meta = everything.models.find((one) => one.key === state.model) || everything.models[0];
  const names = Array.from({ length: meta.config.classes }, (_, k) => (meta.config.class_names ? meta.config.class_names[k] : `${k}`));
  const nodes = useMemo(() => Object.fromEntries(meta.graph.map((node) => [node.name, node])), [meta]);
  const opened = state.tensor && nodes[state.tensor] ? state.tensor : "patches";
  const terms = useMemo(() => makeTerms(nodes, (name) => newest.current[name], meta.config), [nodes]);
  const strokes = useMemo(() => (state.strokes ? here.unpackStrokes(state.strokes) : []), [state.strokes]);
  const digit = state.strokes || state.pixels ? null : state.digit || 0;

  const request = { model: meta.key };
  if (state.strokes) request.strokes = strokes;
  else if (state.pixels) request.pixels = state.pixels;
  else request.digit = digit;
  if (state.label !== undefined && state.label !== null) request.label = state.label;
  if (state.bug) request.bug = state.bug;
  if (state.steps) request.steps = state.steps;
  if (live && meta.live) request.save = live.save;
  const key = JSON.stringify(request);

  function set(change) {
    setState((old) => {
      const next = { ...old, ...change };
      if (change.tensor && change.tensor !== old.tensor && change.entry === undefined) next.entry = null;
      if (change.model && change.model !== old.model) Object.assign(next, { ...(source.live || source.has(change.model, old.digit || 0) ? {} : { digit: 0 }), tensor: null, entry: null, block: 0, head: 0, bug: null, label: null, steps: 0 });
      return next;
    });
  }
  function open(name, entry, way) {
    const change = { tensor: name, entry: entry === undefined ? null : entry };
    if (way) change.way = way;
    set(change);
    if (innerWidth < 1180 && !(playing && !playing.still)) requestAnimationFrame(() => document.getElementById("detail").scrollIntoView());
    const node = nodes[name];
    if (node && node.block !== null) setUnfolded((old) => (old.includes(node.block) ? old : [...old, node.block]));
  }
  useEffect(() => {
    const now = here.write({ ...state, digit, level: undefined });
    if (location.hash !== now) history.replaceState(null, "", now);
  }, [state]);
  useEffect(() => {
    const moved = () => setState((old) => ({ ...old, strokes: null, pixels: null, bug: null, label: null, stop: undefined, ...here.read(location.hash) }));
    addEventListener("hashchange", moved);
    return () => removeEventListener("hashchange", moved);
  }, []);

  useEffect(() => {
    started.current = performance.now();
    source.run(request, (found) => {
      const packed = ["picture", "probabilities", "attention", "rollout", "lens", "pixels"];
      const next = { wrong: [], reasons: [], ...found, ...Object.fromEntries(packed.map((name) => [name, decode(found[name])])), key };
      next.made = found.made ? { ...found.made, boxed: decode(found.made.boxed) } : null;
      setAnswer((old) => {
        if (old && old.prediction !== next.prediction) before.current = names[old.prediction];
        return next;
      });
      setError(null);
    }, (problem) => setError(problem.message || w.failed));
    setSlope(null);
  }, [key]);
  /* For whoever measures: how long it took from the change to what is on the screen. */
  function measured(name, start) {
    performance.clearMeasures(name);
    performance.measure(name, { start, end: performance.now() });
  }
  useEffect(() => answer && measured("minivit run", started.current), [answer && answer.key]);
  /* With a bug: which gradients are wrong; it takes as many forward passes as there are tensors, so it is asked for
     only when the picture is at rest. */
  const [checking, setChecking] = useState(false);
  useEffect(() => {
    if (!answer || !state.bug || !source.live) return;
    let current = true;
    setChecking(true);
    const later = setTimeout(() => source.check(JSON.parse(answer.key))
      .then((found) => current && setAnswer((old) => (old.key === answer.key ? { ...old, ...found } : old)))
      .catch((problem) => setError(problem.message)).then(() => current && setChecking(false)), 150);
    return () => ((current = false), clearTimeout(later), setChecking(false));
  }, [answer && answer.key]);
  useEffect(() => {
    setRevealed(null);
    setPointed(null);
    setChanged(null);
    if (state.bug && source.live) source.sources(meta.key, state.bug).then(setChanged).catch((problem) => setError(problem.message));
  }, [state.bug, meta.key]);
  useEffect(() => {
    setSlope(null);
    setPointed(null);
    if (!nodes[opened] || !answer) return;
    let current = true;
    source.load(JSON.parse(answer.key), terms.needed(opened))
      .then((found) => {
        if (!current) return;
        newest.current = found;
        setTensors(found);
      })
      .catch((problem) => setError(problem.message));
    return () => (current = false);
  }, [opened, answer && answer.key]);
  useEffect(() => setSlope(null), [state.entry && state.entry.join()]);
  useEffect(() => {
    if (!meta.live) return;
    const read = () => source.watch().then(setLive).catch(() => {});
    read();
    const clock = setInterval(read, 3000);
    return () => clearInterval(clock);
  }, [meta.key]);

  /* Keys for the whole page; not while something is typed or chosen. */
  useEffect(() => {
    function pressed(event) {
      if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
      if (event.key === "b") set({ way: state.way === "forward" ? "backward" : "forward" });
      else if (event.key === "Escape") {
        if (state.entry) set({ entry: null });
        else if (state.tensor) {
          const row = document.querySelector(`[data-tensor="${CSS.escape(state.tensor)}"]`);
          set({ tensor: null, entry: null });
          if (row) row.focus();
        } else if (state.stop !== undefined) set({ stop: undefined });
      }
    }
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [state]);

  /* Playing: tensor by tensor, forward or backward. */
  useEffect(() => {
    if (!playing || playing.still) return;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const clock = setTimeout(() => step(playing.way, false), calm ? 1200 : 450);
    return () => clearTimeout(clock);
  }, [playing]);
  const order = meta.graph.filter((node) => node.op !== "parameter").map((node) => node.name);
  function step(way, still) {
    const at = order.indexOf(playing ? playing.name : state.tensor);
    const next = at < 0 ? (way === "forward" ? 0 : order.length - 1) : at + (way === "forward" ? 1 : -1);
    if (next < 0 || next >= order.length) return setPlaying(null);
    setPlaying({ name: order[next], way, still });
    open(order[next], null, way);
    requestAnimationFrame(() => {
      const row = document.querySelector(`[data-tensor="${CSS.escape(order[next])}"]`);
      if (row && row.scrollIntoView) row.scrollIntoView({ block: "nearest" });
    });
  }

  function goTo(stop) {
    if (stop === null) return set({ stop: undefined });
    const change = stopState(stop, meta);
    if (change.block !== undefined) setUnfolded([change.block]);
    set(change);
  }
  useEffect(() => {
    if (state.stop !== undefined && !state.tensor) goTo(Math.min(state.stop, w.TOUR.length - 1));
    if (state.tensor && nodes[state.tensor] && nodes[state.tensor].block !== null) setUnfolded([nodes[state.tensor].block]);
  }, []);

  async function measure() {
    setMeasuring(true);
    const begun = performance.now();
    try {
      setSlope(await source.slope(request, opened, state.entry));
      requestAnimationFrame(() => measured("minivit slope", begun));
    } catch (problem) {
      setError(problem.message);
    }
    setMeasuring(false);
  }
  async function surprise() {
    try {
      const { bug } = await source.draw(state.bug || null);
      set({ bug, view: "bugs" });
    } catch (problem) {
      setError(problem.message);
    }
  }
  const newInput = (change) => set({ strokes: null, pixels: null, digit: undefined, label: null, steps: 0, ...change });
  async function fromFile(event) {
    const chosen = event.target.files[0];
    event.target.value = "";
    if (!chosen) return;
    try {
      newInput({ pixels: await source.picture(await greyOf(chosen)) });
    } catch (problem) {
      setError(`${chosen.name}: ${problem.message}`);
    }
  }

  if (!answer) return html`<main class="wait"><h1>${w.title}</h1><p role="status">${error || w.loading}</p></main>`;
  const sources = { ...meta.sources, ...((state.bug && changed) || {}) };
  const views = Object.keys(w.views).filter((one) => one !== "lens" || answer.lens.length);
  const views_ = { tape: html`<${Tape} meta=${meta} answer=${answer} chosen=${state.tensor} playing=${playing && playing.name} unfolded=${unfolded}
      onUnfold=${(i) => setUnfolded((old) => (old.includes(i) ? old.filter((one) => one !== i) : [...old, i]))} onOpen=${(name) => open(name)}
      load=${(list) => source.load(JSON.parse(answer.key), list)} runKey=${answer.key} />`,
    attention: html`<${Attention} meta=${meta} answer=${answer} block=${Math.min(state.block, meta.config.depth - 1)} head=${Math.min(state.head, meta.config.heads - 1)} set=${set} />`,
    step: html`<${OneStep} answer=${answer} meta=${everything} steps=${state.steps} live=${meta.live ? live : null} source=${source} nodes=${nodes} set=${set} />`,
    bugs: html`<${Breaker} meta=${meta} answer=${answer} bug=${state.bug} bugs=${everything.bugs} source=${source} revealed=${revealed} checking=${checking} onSurprise=${surprise}
      onReveal=${() => source.reveal(state.bug).then(setRevealed)} set=${set} onOpen=${open} />` };
  const blind = state.bug && !everything.bugs.some((one) => one.key === state.bug);
  const point = blind && ((file, line) => source.point(state.bug, file, line).then((found) => {
    setPointed(found);
    if (found.right) source.reveal(state.bug).then(setRevealed);
  }));
  const dtype = meta.dtype;
  return html`<div class="page">
    <a class="skip" href="#detail" onClick=${(event) => (event.preventDefault(), document.getElementById("detail").focus())}>${w.skip}</a>
    <header class="top"><div><h1>${w.title}</h1><p><b>${w.promise}</b> ${w.promiseMore}</p></div>
      <div class="controls">
        <label class="select">${w.model} <select value=${meta.key} onChange=${(event) => set({ model: event.target.value })}>
          ${everything.models.map((one) => html`<option key=${one.key} value=${one.key}>${one.key === "tiny" ? w.tiny : one.title}</option>`)}</select></label>
        <button onClick=${() => (playing && !playing.still ? setPlaying(null) : step("forward", false))}>${playing && !playing.still && playing.way === "forward" ? w.play.stop : w.play.forward}</button>
        <button onClick=${() => (playing && !playing.still ? setPlaying(null) : step("backward", false))}>${playing && !playing.still && playing.way === "backward" ? w.play.stop : w.play.backward}</button>
        <button onClick=${() => step(state.way, true)}>${w.play.step}</button>
        <button class="main" onClick=${() => goTo(0)}>${w.tourStart}</button>
      </div></header>
    ${error && html`<p class="error" role="alert">${error} <button onClick=${() => (setError(null), set({}))}>${w.retry}</button></p>`}
    ${state.stop !== undefined && html`<${Tour} stop=${Math.min(state.stop, w.TOUR.length - 1)} onStop=${goTo} />`}
    <main>
      <${Left} source=${source} meta=${meta} digits=${everything.digits} answer=${answer} names=${names} label=${state.label} before=${before.current}
        digit=${digit} strokes=${strokes} onInput=${newInput} onFile=${fromFile} onLabel=${(k) => set({ label: k })} />
      <section class="middle" aria-label=${w.viewsLabel}>
        <nav class="tabs" role="tablist" aria-label=${w.viewsLabel} onKeyDown=${(event) => {
          const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
          if (!step) return;
          const next = views[(views.indexOf(state.view) + step + views.length) % views.length];
          set({ view: next });
          requestAnimationFrame(() => document.getElementById(`tab-${next}`).focus());
        }}>${views.map((one) => html`<button key=${one} role="tab" id=${`tab-${one}`} aria-controls="view" aria-selected=${state.view === one ? "true" : "false"} tabindex=${state.view === one ? 0 : -1} onClick=${() => set({ view: one })}>${w.views[one]}${one === "bugs" && state.bug ? " •" : ""}</button>`)}</nav>
        <div role="tabpanel" id="view" aria-labelledby=${`tab-${state.view}`} tabindex="-1">
          ${views_[state.view] || html`<${Views} view=${state.view} meta=${meta} answer=${answer} names=${names} set=${set} />`}</div>
      </section>
      <${Detail} meta=${meta} nodes=${nodes} name=${opened} way=${state.way} entry=${state.entry} head=${state.head} tensors=${tensors} answer=${answer} sources=${sources} terms=${terms} dtype=${dtype}
        slope=${slope} measuring=${measuring} source=${source} request=${request} changed=${state.bug && changed} pointed=${pointed} set=${(change) => set({ tensor: opened, ...change })}
        onMeasure=${measure} onPoint=${point} onOpen=${open} />
    </main>
    <footer><p>${w.valuesOf(meta.parameters, dtype)} ${dtype === "f4" ? w.float32 : ""}</p><p>${w.keys}</p><p>${w.licence}</p></footer>
  </div>`;
}
