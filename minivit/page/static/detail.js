"use strict";

/* The opened tensor: what it is, its formula, its values or gradient, one entry multiplied out, and the code. */
function Detail({ meta, nodes, name, way, entry, head, tensors, answer, sources, terms, dtype, slope, measuring, source, request, changed, pointed, set, onMeasure, onPoint, onOpen }) {
  const { html, useEffect, useState } = htmPreact;
  const { format } = numbers();
  const w = words();
  const node = nodes[name];
  const [slice, setSlice] = useState(head || 0);
  const [cursor, setCursor] = useState(null);
  const it = layout(node.shape);
  useEffect(() => {
    const held = entry && it.holds(entry);
    setCursor(held ? entry : null);
    setSlice(held ? it.place(entry).slice : (old) => Math.min(old, it.slices - 1));
  }, [name, entry && entry.join()]);
  const ready = terms.needed(name).every((one) => tensors[one]);
  const back = way === "backward";
  const level = !ready ? 1 : entry && it.holds(entry) ? 3 : 2;
  const kind = node.op === "softmax" && !back ? "share" : "signed";
  const at = cursor && it.holds(cursor) ? cursor : it.at(Math.min(slice, it.slices - 1), 0, 0);
  const shownSlice = Math.min(slice, it.slices - 1);
  const values = ready && tensors[name][back ? "grad" : "value"];
  const norms = answer.norms[name] || [0, 0];
  const wrong = answer.wrong.includes(name);
  const places = back ? [node.gradplace] : [node.place];
  const why = back ? [...new Set(node.uses.map((use) => nodes[use.step].op))].map((op) => w.WHY[op]).filter(Boolean) : [];
  const { row, column } = it.place(at);
  const shownValues = values ? values.subarray(shownSlice * it.rows * it.columns, (shownSlice + 1) * it.rows * it.columns) : [];
  const sumOf = (chosen) => shownValues.reduce((sum, v, i) => (chosen(i) ? sum + v : sum), 0);
  const rowSum = sumOf((i) => Math.floor(i / it.columns) === row), columnSum = sumOf((i) => i % it.columns === column);
  const chip = (other, grad) => {
    const its = layout(nodes[other].shape), found = ready && tensors[other];
    return html`<button class="chip" key=${other} onClick=${() => onOpen(other, null, grad ? "backward" : way)}>
      ${found && its.size > 1 && html`<${Thumbnail} values=${grad ? found.grad : found.value} rows=${its.rows * its.slices} columns=${its.columns} kind=${nodes[other].op === "softmax" && !grad ? "share" : "signed"} className="chipmap" />`}
      <span>${grad ? html`<span class="d">d</span>` : ""}${other}</span></button>`;
  };
  const open = (found) => set({ entry: found });
  return html`<aside class=${`detail ${wrong && back ? "wrong" : ""}`} id="detail" tabindex="-1" aria-label=${name}>
    <${Levels} name=${name} entry=${entry} onLevel=${(level) => set(level === 1 ? { tensor: null } : { entry: level === 2 ? null : at })} />
    <header><h2>${back ? html`<span class="d">d</span>` : ""}${name}</h2>
      <p class="facts"><span>${w.shape} ${node.shape.join(" × ") || "1 number"}</span> <span>${back ? w.dnorm : ""} ${w.norm} ${format(norms[back ? 1 : 0])}</span></p>
      <div class="ways" role="group" aria-label=${w.waysHint}>${["forward", "backward"].map((one) => html`<button key=${one} aria-pressed=${way === one ? "true" : "false"} onClick=${() => set({ way: one })}>${w.ways[one]}</button>`)}</div>
    </header>
    ${level < 3 && html`<p class="what">${w.OPERATIONS[node.op] || w.OPERATIONS.embedding}</p>`}
    ${back && wrong && html`<p class="agree wrong">${w.differing}.</p>`}
    <div class="formula"><h3>${w.formula}</h3>
      ${back
        ? html`<p class="math">d${short(name)} = ${labelled(node.gradformula)}</p>`
        : node.formula && html`<p class="math">${short(name)} = ${labelled(node.formula)}</p>`}
      ${level < 3 && node.inputs.length > 0 && html`<p class="links"><b>${w.inputs}</b> ${node.inputs.map((other) => chip(other, false))}</p>`}
      ${level < 3 && node.uses.length > 0 && html`<p class="links"><b>${w.usedBy}</b> ${node.uses.map((use) => chip(use.step, back))}</p>`}
      ${back && node.uses.length > 1 && html`<p class="hint">${w.sumOfGradients}</p>`}
    </div>
    ${level > 1 && html`<div class="values"><h3>${w.matrix}</h3>
      ${it.slices > 1 && html`<div class="slices" role="group" aria-label=${w.slice}>${Array.from({ length: it.slices }, (_, i) =>
        html`<button key=${i} aria-pressed=${i === shownSlice ? "true" : "false"} onClick=${() => (setSlice(i), set({ head: i, entry: null }), setCursor(null))}>${w.head(i)}</button>`)}</div>`}
      <${Matrix} values=${values} shape=${node.shape} kind=${kind} slice=${shownSlice} cursor=${at} label=${`${back ? "d" : ""}${name}`}
        onCursor=${setCursor} onOpen=${open} marks=${level === 3 ? [entry] : []} />
      ${it.columns > 1 && it.rows * it.slices > 0 && html`<p class="hint">${w.sumOfRow(row, format(rowSum))}${it.rows > 1 ? w.sumOfColumn(column, format(columnSum)) : ""}. ${w.matrixHint}</p>`}
      <${ValueTable} key=${name} values=${values} shape=${node.shape} slice=${shownSlice} label=${`${back ? "d" : ""}${name}`} />
    </div>`}
    ${level === 3 && html`<${Entry} key=${`${name}${way}${entry}`} node=${node} nodes=${nodes} label=${answer.label} entry=${entry} way=${way} tensors=${tensors} terms=${terms} config=${meta.config} dtype=${dtype}
      slope=${slope} measuring=${measuring} onMeasure=${onMeasure} onOpen=${onOpen} source=${source} request=${request} wrong=${wrong} />`}
    ${why.length > 0 && html`<div class="why"><h3>${w.why}</h3>${why.map((text) => html`<p key=${text}>${text}</p>`)}</div>`}
    ${places.filter(Boolean).map((place) => html`<${Code} key=${`${place.source}${way}`} place=${{ ...place, backward: back }} sources=${sources} changed=${changed} onPoint=${onPoint} answerOf=${pointed} />`)}
  </aside>`;

  /* The label of this run, in the formulas of the loss. */
  function labelled(formula) {
    return formula.replace("{label}", answer.label);
  }
  function short(text) {
    return text.replace(/^blocks\.\d+\./, "");
  }
}
