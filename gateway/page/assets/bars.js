// Small horizontal bars: a share of one, a share that lies between two bounds, a rate against its ideal.
import { html } from "./vendor/preact-htm.js";

const width = (share) => ({ width: `${Math.min(1, Math.max(0, share)) * 100}%` });

/** Filled up to `low`, hatched from there to `high`; both are shares of one, null where not known. */
export function Bar({ low, high = low, tone = "accent" }) {
  const known = low !== null && low !== undefined;
  return html`<div class="bar" data-tone=${tone} aria-hidden="true">
    ${known && html`<i style=${width(low)} /><i class="between" style=${width(high - low)} />`}
  </div>`;
}
