"use strict";

/* Numbers as they come from Python (base64 of little-endian arrays), and as they are shown: exactly as Python's
   format(x, ".4g") writes them. */
function numbers() {
  const KINDS = { f8: Float64Array, f4: Float32Array, u1: Uint8Array };

  function decode(packed) {
    const text = atob(packed.data), bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    const values = new KINDS[packed.dtype || "f8"](bytes.buffer);
    return packed.dtype === "f4" ? Float64Array.from(values) : values;
  }

  function encode(bytes) {
    let text = "";
    for (const byte of bytes) text += String.fromCharCode(byte);
    return btoa(text);
  }

  /* The digits of |x| rounded to `places` significant ones, ties to even, as Python rounds: "d.ddde±x". */
  function rounded(x, places) {
    const [digits, exponent] = x.toExponential(places - 1).split("e");
    const exact = x.toExponential(60).split("e")[0].replace(".", "");
    const tail = exact.slice(places);
    if (!/^50*$/.test(tail) || Number(exact[places - 1]) % 2) return [digits, Number(exponent)];
    return [`${exact[0]}.${exact.slice(1, places)}`, Number(x.toExponential(60).split("e")[1])];
  }

  function format(x, places = 4) {
    if (Number.isNaN(x)) return "nan";
    const sign = x < 0 || Object.is(x, -0) ? "-" : "";
    if (!Number.isFinite(x)) return `${sign}inf`;
    if (x === 0) return `${sign}0`;
    const [digits, exponent] = rounded(Math.abs(x), places);
    const plain = digits.replace(".", "");
    if (exponent < -4 || exponent >= places) {
      const mantissa = places > 1 ? digits.replace(/\.?0+$/, "") : digits;
      return `${sign}${mantissa}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
    }
    const text =
      exponent < 0
        ? `0.${"0".repeat(-exponent - 1)}${plain}`
        : `${plain.slice(0, exponent + 1)}${places > exponent + 1 ? "." : ""}${plain.slice(exponent + 1)}`;
    return sign + (text.includes(".") ? text.replace(/\.?0+$/, "") : text);
  }

  /* In how many significant digits two numbers agree, 0 to 15. */
  function agreement(a, b) {
    const size = Math.max(Math.abs(a), Math.abs(b)), error = Math.abs(a - b);
    let digits = 0;
    for (let power = 10; digits < 15 && error * power <= size; power *= 10) digits++;
    return digits;
  }

  function percent(share) {
    return `${(100 * share).toFixed(1)} %`;
  }

  return { decode, encode, format, agreement, percent };
}
