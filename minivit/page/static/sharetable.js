"use strict";

/* Shares by token, as a table. */
function ShareTable({ shares, name }) {
  const { html } = htmPreact;
  const { format } = numbers();
  return html`<div class="scroll"><table><tbody>${Array.from(shares, (share, i) =>
    html`<tr key=${i}><th scope="row">${name(i)}</th><td>${format(share)}</td></tr>`)}</tbody></table></div>`;
}
