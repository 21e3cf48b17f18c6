"use strict";

/* The state of the page in the part of its address behind "#", so that a place can be sent to somebody. */
function address() {
  const LISTS = ["entry"];
  const NUMBERS = ["digit", "label", "block", "head", "level", "stop", "steps"];
  const TEXTS = ["model", "tensor", "way", "view", "bug", "strokes", "pixels"];

  function read(hash) {
    const state = {};
    for (const [key, text] of new URLSearchParams(hash.replace(/^#/, ""))) {
      if (LISTS.includes(key) && /^\d+(\.\d+)*$/.test(text)) state[key] = text.split(".").map(Number);
      else if (NUMBERS.includes(key) && /^\d{1,6}$/.test(text)) state[key] = Number(text);
      else if (TEXTS.includes(key) && /^[\w.+/=-]{1,20000}$/.test(text)) state[key] = text;
    }
    return state;
  }

  function write(state) {
    const found = new URLSearchParams();
    for (const key of [...TEXTS, ...NUMBERS, ...LISTS]) {
      const value = state[key];
      if (value === null || value === undefined || (key === "steps" && !value)) continue;
      found.set(key, LISTS.includes(key) ? value.join(".") : value);
    }
    return `#${found}`;
  }

  /* Strokes are points of 0 to 255 in the drawing field: two letters of base 64 a coordinate would be no shorter than
     two hexadecimal digits, which can be read. */
  function packStrokes(strokes) {
    const hex = (v) => Math.max(0, Math.min(255, Math.round(v))).toString(16).padStart(2, "0");
    return strokes.map((points) => points.map(([x, y]) => hex(x) + hex(y)).join("")).join("-");
  }

  function unpackStrokes(text) {
    return text
      .split("-")
      .map((part) => (part.match(/[0-9a-f]{4}/g) || []).map((p) => [parseInt(p.slice(0, 2), 16), parseInt(p.slice(2), 16)]))
      .filter((points) => points.length);
  }

  return { read, write, packStrokes, unpackStrokes };
}
