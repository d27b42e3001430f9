// OEE by hour: a column a window, a bracket from its lowest to its highest possible value, hatched where it is not certain.
import { html } from "../vendor/preact-htm.js";
import { minuteOf, percentOf, wholePercentOf } from "../format.js";
import { t } from "../texts.js";

const LINES = [0.25, 0.5, 0.75, 1];
const CERTAIN = 0.0005;

/** Whether time or counts are missing, so that the truth lies between bounds. */
export function isUncertain(one) {
  return one.oee === null || (one.oee_high ?? one.oee) - (one.oee_low ?? one.oee) > CERTAIN;
}

/** A window in words. */
export function toldOee(one) {
  const span = `${minuteOf(one.began_ms)}–${minuteOf(one.ended_ms)}`;
  const value = one.oee === null ? t("oee.unknown") : percentOf(one.oee);
  const bounds = isUncertain(one) && one.oee_high !== null ? t("oee.bounds", { low: percentOf(one.oee_low), high: percentOf(one.oee_high) }) : "";
  return [`${span}: ${value}`, bounds, one.final ? "" : t("oee.open")].filter(Boolean).join("; ");
}

/** `windows` as `/api/history` has them, in order; `onPick(window)` when one is pressed. */
export function OeeByHour({ windows, onPick }) {
  const top = Math.max(1, ...windows.map((one) => Math.min(one.oee_high ?? one.oee ?? 0, 1.5)));
  const at = (share) => `${(Math.min(share, top) / top) * 100}%`;
  return html`<div class="oee">
    <div class="oee-scale" aria-hidden="true">${LINES.map(
      (line) => html`<span style=${{ bottom: at(line) }}>${wholePercentOf(line)}</span>`,
    )}</div>
    <ol class="oee-columns">${windows.map((one) => html`<li key=${one.began_ms}>
      <button type="button" class=${`oee-column ${isUncertain(one) ? "uncertain" : ""} ${one.final ? "" : "open"}`}
        title=${toldOee(one)} onClick=${() => onPick(one)}>
        <span class="oee-bar" style=${{ height: at(one.oee ?? 0) }}></span>
        ${isUncertain(one) && one.oee_high !== null && html`<span class="oee-bounds"
          style=${{ bottom: at(one.oee_low), height: `calc(${at(one.oee_high)} - ${at(one.oee_low)})` }}></span>`}
        <span class="oee-value">${one.oee === null ? "?" : wholePercentOf(one.oee)}</span>
      </button>
      <span class="oee-hour" aria-hidden="true">${minuteOf(one.began_ms)}</span>
    </li>`)}</ol>
  </div>`;
}
