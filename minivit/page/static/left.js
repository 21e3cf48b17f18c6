"use strict";

/* The left column: the drawing field, the bundled digits, a file, the answer, and the pixels that the model sees. */
function Left({ source, meta, answer, names, label, before, digit, strokes, onInput, onFile, onLabel }) {
  const { html } = htmPreact;
  const { packStrokes } = address();
  const w = words();
  const { side, rule } = meta.config;
  const choice = html`<h3>${source.live ? w.examples[meta.examples] : w.storedDigits}</h3><div class="digits">${meta.digits.filter((d, i) => source.live || source.has(meta.key, i)).map((d) => html`<button key=${d.index} data-digit=${d.index} aria-pressed=${digit === d.index ? "true" : "false"} aria-label=${w.digit(names[d.label] || d.label)}
      title=${names[d.label] || d.label} onClick=${() => onInput({ digit: d.index })}><${Thumbnail} values=${d.values} rows=${side[0]} columns=${side[1]} kind="ink" most=${255} /></button>`)}</div>
    ${meta.examples === "resized" && html`<p class="hint">${w.resized}</p>`}`;
  return html`<section class="left" aria-label=${w.draw}>
    ${source.live
      ? html`<h2>${rule === "digit" ? w.draw : w.drawAnything}</h2><${Drawing} strokes=${strokes} ghost=${strokes.length ? null : answer.picture} side=${side} onStrokes=${(all) => onInput({ strokes: packStrokes(all) })} />
      <p class="buttons"><button onClick=${() => onInput({ digit: 0 })}>${w.clear}</button>
        <button disabled=${!strokes.length} onClick=${() => (strokes.length > 1 ? onInput({ strokes: packStrokes(strokes.slice(0, -1)) }) : onInput({ digit: 0 }))}>${w.undoStroke}</button>
        <label class="file">${w.file}<input type="file" accept="image/*" onChange=${onFile} /></label></p>
      ${choice}`
      : html`<p class="hint">${w.offline}</p>${choice}`}
    <${Answer} answer=${answer} names=${names} label=${label} fixed=${!source.live} onLabel=${onLabel} before=${before} />
    <h3>${w.picture(side)}</h3><${Picture} pixels=${answer.picture} side=${side} patch=${meta.config.patch_size} label=${w.picture(side)}
      onPixels=${source.live ? (pixels) => onInput({ pixels: numbers().encode(pixels) }) : null} />
    ${source.live && html`<p class="hint">${w.pictureHint}</p>`}
    ${answer.made && html`<${Made} made=${answer.made} picture=${answer.picture} strokes=${strokes} side=${side} />`}
    ${source.live && html`<p class="hint">${w.drawHint}</p>`}
    <p class="hint">${rule === "digit" ? w.noDigit : w.noClass}</p>
  </section>`;
}
