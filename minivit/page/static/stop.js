"use strict";

/* Where a stop of the tour leads: the part of the page's state that it sets, in this model. The tour names tensors as
   they are called in a block; it visits those of the last one. */
function stopState(stop, { config, graph }) {
  const { tensor: wanted, entry, view, way } = words().TOUR[stop][2];
  const nodes = Object.fromEntries(graph.map((node) => [node.name, node]));
  const normalised = (node) => node.uses.some((use) => nodes[use.step].op === "normalise");
  const last = `blocks.${config.depth - 1}`;
  const found = [wanted, `${last}.${wanted}`, `${last}.attn.${wanted}`, `${last}.mlp.${wanted}`].find((name) => nodes[name]);
  const node = wanted === "stream" ? graph.find(normalised) : nodes[found];
  const change = { stop, view: view || "tape" };
  if (!node) return change;
  Object.assign(change, { tensor: node.name, way, entry: entry === "first" ? layout(node.shape).entry(0) : null });
  if (node.block !== null) change.block = node.block;
  return change;
}
