"use strict";

/* How a tensor lies on the screen: the last two axes are rows and columns, and what stands before them (heads, channels)
   are slices. An entry is the list of its indices. */
function layout(shape) {
  const columns = shape.length ? shape[shape.length - 1] : 1;
  const rows = shape.length > 1 ? shape[shape.length - 2] : 1;
  const slices = shape.slice(0, -2).reduce((a, b) => a * b, 1);
  const strides = shape.map((_, i) => shape.slice(i + 1).reduce((a, b) => a * b, 1));

  function flat(entry) {
    return entry.reduce((sum, index, i) => sum + index * strides[i], 0);
  }

  function entry(position) {
    return strides.map((stride, i) => Math.floor(position / stride) % shape[i]);
  }

  function at(slice, row, column) {
    return entry((slice * rows + row) * columns + column);
  }

  function place(found) {
    const position = flat(found);
    const column = position % columns;
    const row = Math.floor(position / columns) % rows;
    return { slice: Math.floor(position / (columns * rows)), row, column };
  }

  /* Whether a list of indices belongs to this tensor. */
  function holds(found) {
    return Array.isArray(found) && found.length === shape.length && found.every((index, i) => index >= 0 && index < shape[i]);
  }

  return { rows, columns, slices, flat, entry, at, place, holds, size: rows * columns * slices };
}
