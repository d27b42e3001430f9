// A Pareto chart: bars by rank with their words above, and the line of shares up to each.
import { html } from "../vendor/preact-htm.js";

/**
 * `rows` are `{key, label, group, value, note, share, upTo, tone, pattern}`, sorted; `share` and `upTo` are shares of one.
 * With `onPick`, each row is a button, pressed where its key is `picked`.
 */
export function Pareto({ label, rows, picked, onPick }) {
  const points = rows.map((row, index) => `${row.upTo * 100},${((index + 1) / rows.length) * 100}`).join(" ");
  const inside = (row) => html`<span class="pareto-words"><span class="pareto-label" title=${row.label}><span>${row.label}</span>${row.group && html` <span class="pareto-note">${row.group}</span>`}</span>
      <span class="pareto-value">${row.value}</span><span class="pareto-note">${row.note}</span></span>
    <span class="pareto-track"><span class=${`pareto-bar ${row.pattern ? "hatched" : ""}`} data-tone=${row.tone}
      style=${{ width: `${row.share * 100}%` }}></span>
      <span class="pareto-point" style=${{ left: `${row.upTo * 100}%` }}></span></span>`;
  return html`<div class="pareto" role="group" aria-label=${label}>
    <ol>${rows.map((row) => html`<li key=${row.key}>${onPick === undefined ? html`<div class="pareto-row">${inside(row)}</div>`
    : html`<button type="button" class="pareto-row" aria-pressed=${String(row.key === picked)} data-cause=${row.key}
        onClick=${() => onPick(row.key === picked ? null : row.key)}>${inside(row)}</button>`}</li>`)}</ol>
    <svg class="pareto-line" viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true"><polyline points=${points} /></svg>
  </div>`;
}
