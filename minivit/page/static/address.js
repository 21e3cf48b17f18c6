"use strict";

/* The state of the page in the part of its address behind "#", so that a place can be sent to somebody. */
function address() {
  const LISTS = ["entry"];
  const NUMBERS = ["digit", "label", "block", "head", "level", "stop", "steps"];
  const TEXTS = ["model", "tensor", "way", "view", "bug", "strokes", "pixels"];
  const WITHIN = ["entry", "strokes", "pixels"]; // what may change without one's going to another place

  function read(hash) {
    const state = {};
    for (const [key, text] of new URLSearchParams(hash.replace(/^#/, ""))) {
      if (LISTS.includes(key) && /^\d+(\.\d+)*$/.test(text)) state[key] = text.split(".").map(Number);
      else if (NUMBERS.includes(key) && /^\d{1,6}$/.test(text)) state[key] = Number(text);
      else if (TEXTS.includes(key) && /^[\w.+/=-]{1,20000}$/.test(text)) state[key] = text;
    }
    if (state.level === 1) delete state.tensor;
    if (state.level < 3) delete state.entry;
    return state;
  }

  function write(state) {
    const level = state.tensor ? (state.entry ? 3 : 2) : 1;
    const digit = state.strokes || state.pixels ? null : state.digit || 0;
    const all = { ...state, level, digit, steps: state.steps || null };
    const found = new URLSearchParams();
    for (const key of [...TEXTS, ...NUMBERS, ...LISTS]) {
      const value = all[key];
      if (value !== null && value !== undefined) found.set(key, LISTS.includes(key) ? value.join(".") : value);
    }
    return `#${found}`;
  }

  /* The part of a state in which two different places differ, as a text. */
  function place(state) {
    const keys = [...TEXTS, ...NUMBERS].filter((key) => !WITHIN.includes(key));
    return JSON.stringify(keys.map((key) => (state[key] === undefined ? null : state[key])));
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

  return { read, write, place, packStrokes, unpackStrokes };
}
