"use strict";

/* Shares of patches laid over the digit. */
function Overlay({ pixels, side, grid, shares }) {
  const { html } = htmPreact;
  const { percent } = numbers();
  const [height, width] = side;
  const most = colours().largest(shares);
  return html`<div class="overlay" style=${{ aspectRatio: `${width} / ${height}` }}>
    <${Thumbnail} values=${pixels} rows=${height} columns=${width} kind="ink" most=${255} className="under" />
    <div class="shares" aria-hidden="true" style=${{ gridTemplateColumns: `repeat(${grid[1]}, 1fr)` }}>${Array.from(shares, (share, i) =>
      html`<span key=${i} class="cell"><i style=${{ opacity: most ? 0.8 * (share / most) : 0 }}></i><b>${percent(share).replace(" ", "")}</b></span>`)}</div>
  </div>`;
}
