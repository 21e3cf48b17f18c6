"use strict";

/* The tensors from pixels to loss, in the order of the forward pass; blocks are folded to their heads. */
function Tape({ meta, answer, chosen, playing, unfolded, onUnfold, onOpen, load, runKey }) {
  const { html, useEffect, useRef, useState } = htmPreact;
  const w = words();
  const [loaded, setLoaded] = useState(null);
  const list = useRef();
  const { config, graph } = meta;
  const groups = [];
  for (const node of graph) {
    const key = node.block === null ? (groups.length && groups.some((g) => typeof g.key === "number") ? "out" : "into") : node.block;
    if (!groups.length || groups[groups.length - 1].key !== key) groups.push({ key, nodes: [] });
    groups[groups.length - 1].nodes.push(node);
  }
  const shown = groups.filter((g) => typeof g.key === "string" || unfolded.includes(g.key)).flatMap((g) => g.nodes);
  const names = shown.filter((node) => node.op !== "parameter").map((node) => node.name);
  useEffect(() => {
    let current = true;
    const later = setTimeout(() => load(names).then((found) => current && setLoaded(found)).catch(() => {}), 120);
    return () => ((current = false), clearTimeout(later));
  }, [runKey, names.join()]);

  function pressed(event) {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const all = [...list.current.querySelectorAll("button")];
    const next = all[all.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1)];
    if (next) next.focus();
    event.preventDefault();
  }
  const strip = (node) => {
    const wrong = answer.wrong.includes(node.name);
    return html`<li key=${node.name}><${Strip} node=${node} loaded=${loaded} norms=${answer.norms[node.name] || [0, 0]} wrong=${wrong}
      chosen=${chosen === node.name} playing=${playing === node.name} onOpen=${onOpen} /></li>`;
  };
  const T = config.tokens, H = config.heads;
  const heads = (i) =>
    html`<span class="heads">${Array.from({ length: H }, (_, h) =>
      html`<${Thumbnail} key=${h} values=${answer.attention} start=${(i * H + h) * T * T} rows=${T} columns=${T} kind="share" most=${1} className="headmap" />`)}</span>`;
  return html`<div class="tape" ref=${list} onKeyDown=${pressed}>
    <p class="hint">${w.tapeHint}</p>
    <p class="heads-row" aria-hidden="true"><span>${w.tapeNames}</span><span>${w.tapeNorms}</span></p>
    ${groups.map((group) => {
      if (typeof group.key === "string")
        return html`<section key=${group.key}><h3>${w[group.key]}</h3><ol>${group.nodes.map(strip)}</ol></section>`;
      const open = unfolded.includes(group.key);
      const red = group.nodes.filter((node) => answer.wrong.includes(node.name)).length;
      return html`<section key=${group.key} class=${`block ${red ? "wrong" : ""}`}>
        <h3><button class="fold" aria-expanded=${open ? "true" : "false"} data-block=${group.key} onClick=${() => onUnfold(group.key)}>
          <span>${w.block(group.key)}</span>${heads(group.key)}<span class="state">${red ? `≠ ${red}` : ""} ${open ? w.fold : w.unfold}</span></button></h3>
        ${open && html`<ol>${group.nodes.map(strip)}</ol>`}
      </section>`;
    })}
  </div>`;
}
