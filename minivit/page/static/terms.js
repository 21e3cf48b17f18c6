"use strict";

/* One entry of a tensor, multiplied out with the numbers of this run: the value from the operation's inputs, and the
   gradient by the chain rule, upstream entries times slopes. Both are lists of terms whose products are summed; a
   factor is {value, name, entry, grad} or, where it is no entry of a tensor, {value, text}. Python gives what is more than
   a product or a sum (exponentials, Φ, the reciprocal of a standard deviation) as `extras` of the operation. */
function makeTerms(nodes, get, config) {
  const heads = config.heads, width = config.dim, each = width / heads;

  function entry(name, found, grad = false) {
    const tensor = get(name);
    return { name, entry: found, grad, value: tensor[grad ? "grad" : "value"][layout(nodes[name].shape).flat(found)] };
  }
  const constant = (value, text) => ({ value, text });
  const range = (n) => Array.from({ length: n }, (_, i) => i);
  const shapeOf = (name) => nodes[name].shape;
  const last = (name) => shapeOf(name)[shapeOf(name).length - 1];
  const withLast = (found, index) => [...found.slice(0, -1), index];
  const rowOf = (found, columns, shape) => layout(shape).flat(found.slice(0, -1).concat(0)) / columns;

  /* All entries of a step's output that read one feature of a parameter: one for every token. */
  function everyRow(name, column) {
    const shape = shapeOf(name);
    const it = layout(shape);
    return range(it.rows * it.slices).map((row) => it.entry(row * it.columns + column));
  }

  const FORWARD = {
    patches: (at, [x]) => [[entry(x, pixelOf(at))]],
    linear: (at, [x, W, b]) => [
      ...range(last(x)).map((d) => [entry(x, withLast(at, d)), entry(W, [d, at[at.length - 1]])]),
      ...(b ? [[entry(b, [at[at.length - 1]])]] : []),
    ],
    prepend: (at, [x, token], node) => {
      const added = layout(shapeOf(token)).rows;
      const front = node.behind || 0;
      if (at[0] < front) return [[entry(x, at)]];
      return at[0] < front + added
        ? [[entry(token, layout(shapeOf(token)).at(0, at[0] - front, at[1]))]]
        : [[entry(x, [at[0] - added, at[1]])]];
    },
    add: (at, names) => names.map((name) => [entry(name, layout(shapeOf(name)).at(0, at[0], at[1]))]),
    fixed: (at, [x], node) => [[entry(x, at)], [constant(extra(node, "pattern", layout(node.shape).flat(at)), "sine pattern")]],
    normalise: (at, [x], node) => {
      const row = rowOf(at, last(x), node.shape);
      const rstd = extra(node, "rstd", row), mean = extra(node, "mean", row);
      return [[entry(x, at), constant(rstd, "rstd")], [constant(-1, "-1"), constant(mean, "mean"), constant(rstd, "rstd")]];
    },
    affine: (at, [xhat, gamma, beta]) => {
      const j = at[at.length - 1];
      return [[entry(xhat, at), entry(gamma, [j])], [entry(beta, [j])]];
    },
    heads: (at, [qkv], node) => [[entry(qkv, [at[1], node.part * width + at[0] * each + at[2]])]],
    scores: (at, [q, k], node) =>
      range(each).map((e) => [entry(q, [at[0], at[1], e]), entry(k, [at[0], at[2], e]), factor(node, "1/√Dh")]),
    softmax: (at, [x], node) => {
      const row = rowOf(at, last(x), node.shape);
      const own = extra(node, "exp", layout(node.shape).flat(at));
      return [[constant(own, `exp(score[${at[2]}] - m)`), constant(extra(node, "1/s", row), "1/s")]];
    },
    attended: (at, [attn, v]) =>
      range(last(attn)).map((s) => [entry(attn, [at[0], at[1], s]), entry(v, [at[0], s, at[2]])]),
    join: (at, [x]) => [[entry(x, [Math.floor(at[1] / each), at[0], at[1] % each])]],
    gelu: (at, [x], node) => [[entry(x, at), constant(extra(node, "cdf", layout(node.shape).flat(at)), "Φ(x)")]],
    scale: (at, [x, gamma]) => [[entry(x, at), entry(gamma, [at[at.length - 1]])]],
    pool: (at, [x], node) => pooled(at, x).map(([token, d, mean]) => [entry(x, [token, d]), ...(mean ? [factor(node, "1/n")] : [])]),
    loss: (at, [z], node) => [
      [constant(extra(node, "logsum", 0), "log of the sum of exp(logits)")],
      [constant(-1, "-1"), entry(z, [extra(node, "label", 0)])],
    ],
  };

  /* The gradient of input number `which` of a step, at an entry: upstream entries of the step's output, times slopes. */
  const BACKWARD = {
    patches: (at, which, step) => [[entry(step.name, patchOf(at), true)]],
    linear: (at, which, step, [x, W]) => {
      if (which === 0)
        return range(last(step.name)).map((e) => [entry(step.name, withLast(at, e), true), entry(W, [at[at.length - 1], e])]);
      if (which === 2) return everyRow(step.name, at[0]).map((found) => [entry(step.name, found, true)]);
      return everyRow(step.name, at[1]).map((found) => [entry(step.name, found, true), entry(x, withLast(found, at[0]))]);
    },
    prepend: (at, which, step, [x, token]) => {
      const added = layout(shapeOf(token)).rows;
      const front = step.behind || 0;
      if (which === 1) return [[entry(step.name, [layout(shapeOf(token)).place(at).row + front, at[at.length - 1]], true)]];
      return [[entry(step.name, [at[0] < front ? at[0] : at[0] + added, at[1]], true)]];
    },
    add: (at, which, step) => {
      const place = layout(shapeOf(step.inputs[which])).place(at);
      return [[entry(step.name, layout(step.shape).at(place.slice, place.row, place.column), true)]];
    },
    fixed: (at, which, step) => [[entry(step.name, at, true)]],
    normalise: (at, which, step) => {
      const columns = last(step.name), j = at[at.length - 1];
      const rstd = extra(step, "rstd", rowOf(at, columns, step.shape)), own = entry(step.name, at).value;
      return range(columns).map((i) => {
        const found = withLast(at, i);
        const share = factor(step, "1/D").value;
        const slope = (i === j ? 1 : 0) - share - entry(step.name, found).value * own * share;
        return [entry(step.name, found, true), constant(rstd * slope, `∂xhat[${i}]/∂x[${j}]`)];
      });
    },
    affine: (at, which, step, [xhat, gamma]) => {
      if (which === 2) return everyRow(step.name, at[0]).map((found) => [entry(step.name, found, true)]);
      if (which === 1) return everyRow(step.name, at[0]).map((found) => [entry(step.name, found, true), entry(xhat, found)]);
      return [[entry(step.name, at, true), entry(gamma, [at[at.length - 1]])]];
    },
    heads: (at, which, step) => {
      const column = at[1] - step.part * width;
      if (column < 0 || column >= width) return [];
      return [[entry(step.name, [Math.floor(column / each), at[0], column % each], true)]];
    },
    scores: (at, which, step, [q, k]) =>
      range(last(step.name)).map((other) => {
        const found = which === 0 ? [at[0], at[1], other] : [at[0], other, at[1]];
        return [entry(step.name, found, true), entry(which === 0 ? k : q, [at[0], other, at[2]]), factor(step, "1/√Dh")];
      }),
    softmax: (at, which, step) => {
      const j = at[2];
      const own = entry(step.name, at).value;
      return range(last(step.name)).map((i) => {
        const found = withLast(at, i);
        const y = entry(step.name, found);
        return [entry(step.name, found, true), y, constant((i === j ? 1 : 0) - own, i === j ? `(1 - y[${j}])` : `(0 - y[${j}])`)];
      });
    },
    attended: (at, which, step, [attn, v]) =>
      which === 0
        ? range(each).map((e) => [entry(step.name, [at[0], at[1], e], true), entry(v, [at[0], at[2], e])])
        : range(last(attn)).map((t) => [entry(step.name, [at[0], t, at[2]], true), entry(attn, [at[0], t, at[1]])]),
    join: (at, which, step) => [[entry(step.name, [at[1], at[0] * each + at[2]], true)]],
    gelu: (at, which, step, [x]) => [
      [entry(step.name, at, true), constant(extra(step, "slope", layout(step.shape).flat(at)), "Φ(x) + x·Φ'(x)")],
    ],
    scale: (at, which, step, [x, gamma]) =>
      which === 0
        ? [[entry(step.name, at, true), entry(gamma, [at[at.length - 1]])]]
        : everyRow(step.name, at[0]).map((found) => [entry(step.name, found, true), entry(x, found)]),
    pool: (at, which, step, [x]) =>
      range(last(step.name)).flatMap((d) =>
        pooled([d], x)
          .filter(([token, feature]) => token === at[0] && feature === at[1])
          .map(([, , mean]) => [entry(step.name, [d], true), ...(mean ? [factor(step, "1/n")] : [])]),
      ),
    loss: (at, which, step) => {
      const target = at[0] === extra(step, "label", 0) ? 1 : 0;
      const p = extra(step, "probabilities", at[0]);
      return [[constant(1, "dloss"), constant(p - target, `(p[${at[0]}] - ${target})`)]];
    },
  };

  /* A factor of an operation that is the same for all of its entries. */
  function factor(node, name) {
    return constant(extra(node, name, 0), name);
  }
  function extra(node, name, position) {
    return get(node.name).extras[name][position];
  }
  /* What the pooled feature d is made of: [token, feature, whether it is a mean over tokens]. */
  function pooled(at, x) {
    const tokens = shapeOf(x)[0], features = shapeOf(x)[1], prefix = config.prefix;
    const mean = (first, d) => range(tokens - first).map((i) => [first + i, d, true]);
    if (config.pool === "mean") return mean(0, at[0]);
    if (config.pool === "patches" || at[0] >= features) return mean(prefix, at[0] % features);
    return [[0, at[0], false]];
  }
  function pixelOf(at) {
    const P = config.patch_size, across = config.grid[1];
    const channel = Math.floor(at[1] / (P * P)), p = Math.floor(at[1] / P) % P, q = at[1] % P;
    return [channel, Math.floor(at[0] / across) * P + p, (at[0] % across) * P + q];
  }
  function patchOf(at) {
    const P = config.patch_size, across = config.grid[1];
    return [Math.floor(at[1] / P) * across + Math.floor(at[2] / P), at[0] * P * P + (at[1] % P) * P + (at[2] % P)];
  }

  function summed(factors) {
    const terms = factors.map((found) => ({ factors: found, product: found.reduce((product, f) => product * f.value, 1) }));
    return { terms, sum: terms.reduce((sum, term) => sum + term.product, 0) };
  }

  /* The value of one entry from the inputs of its operation; null for what no operation made. */
  function forward(name, at) {
    const node = nodes[name];
    return FORWARD[node.op] ? summed(FORWARD[node.op](at, node.inputs, node)) : null;
  }

  /* The gradient of one entry: for every step that used the tensor, its terms. */
  function backward(name, at) {
    return nodes[name].uses
      .filter((use) => BACKWARD[nodes[use.step].op])
      .map((use) => ({ ...use, ...summed(BACKWARD[nodes[use.step].op](at, use.which, nodes[use.step], nodes[use.step].inputs)) }));
  }

  /* The tensors whose numbers the two need. */
  function needed(name) {
    const node = nodes[name];
    return [...new Set([name, ...node.inputs, ...node.uses.flatMap((use) => [use.step, ...nodes[use.step].inputs])])];
  }

  return { forward, backward, needed, extra, node: (name) => nodes[name] };
}
