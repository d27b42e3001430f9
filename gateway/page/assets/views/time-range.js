// Which stretch of time is looked at: the last hours, the shift, or one that a person has zoomed to.
import { html } from "../vendor/preact-htm.js";
import { dayOf, durationOf, clockOf, minuteOf } from "../format.js";
import { t } from "../texts.js";
import { HOUR, moved, zoomed } from "../charts/scale.js";

const HOURS = [1, 4, 8, 24];
const AHEAD = 0.02;
const FIRST_HOURS = 8;

/** A mode: `{hours}`, `{shift: true}`, or `{from, to}` in milliseconds; as the address has it, or the last hours. */
export function modeOf(asked) {
  const number = (name) => (/^\d{1,14}(\.\d+)?$/.test(asked.get(name) ?? "") ? Number(asked.get(name)) : null);
  if (number("from") !== null && number("to") > number("from")) return { from: number("from"), to: number("to") };
  if (asked.get("shift") !== null) return { shift: true };
  return { hours: Math.min(number("hours") || FIRST_HOURS, HOURS.at(-1)) };
}

/** The stretch of a mode, with some room for what comes; `follows` where it goes with the clock. `hours` are kept at all. */
export function stretchOf(mode, now, shift, hours) {
  const oldest = now - hours * HOUR;
  if (mode.to > oldest && mode.from < now) return { from: Math.max(mode.from, oldest), to: Math.min(mode.to, now + HOUR), follows: false };
  const from = mode.shift && shift !== null ? shift : now - (mode.hours ?? FIRST_HOURS) * HOUR;
  return { from, to: now + Math.max(now - from, 60_000) * AHEAD, follows: true };
}

/** How far one may go. */
export function boundsOf(range, now, hours) {
  return { from: Math.min(range.from, now - hours * HOUR), to: Math.max(range.to, now + (range.to - range.from) * AHEAD) };
}

/** What a person moved to: fixed, or still with the clock where now is in sight. */
export function modeOfView(view, now) {
  return view.to >= now ? { hours: (now - view.from) / HOUR } : { from: Math.round(view.from), to: Math.round(view.to) };
}

export function Range({ mode, range, now, hasShift, hours, onMode }) {
  const bounds = boundsOf(range, now, hours);
  const go = (view) => onMode(modeOfView(view, now));
  const zoom = (factor) => go(zoomed(range, factor, range.follows ? now : (range.from + range.to) / 2, bounds));
  const move = (share) => go(moved(range, share * (range.to - range.from), bounds));
  const is = (one) => String(mode.hours !== undefined && Math.abs(mode.hours - one) < 1e-6);
  return html`<div class="range">
    <div class="choice" role="group" aria-label=${t("range")}>
      ${HOURS.filter((one) => one <= hours).map((one) => html`<button type="button" key=${one} data-hours=${one} aria-pressed=${is(one)} onClick=${() => onMode({ hours: one })}>${t("range.hours", { hours: one })}</button>`)}
      ${hasShift && html`<button type="button" data-hours="shift" aria-pressed=${String(mode.shift === true)} onClick=${() => onMode({ shift: true })}>${t("range.shift")}</button>`}
    </div>
    <div class="choice" role="group" aria-label=${t("range.move")}>
      <button type="button" aria-label=${t("range.earlier")} title=${t("range.earlier")} onClick=${() => move(-0.5)}>‹</button>
      <button type="button" aria-label=${t("range.later")} title=${t("range.later")} disabled=${range.follows} onClick=${() => move(0.5)}>›</button>
      <button type="button" aria-label=${t("range.in")} title=${t("range.in")} onClick=${() => zoom(0.5)}>+</button>
      <button type="button" aria-label=${t("range.out")} title=${t("range.out")} onClick=${() => zoom(2)}>−</button>
      <button type="button" disabled=${range.follows} onClick=${() => onMode({ hours: (range.to - range.from) / HOUR })}>${t("range.now")}</button>
    </div>
    <p class="range-told" data-field="range">${told(range, now)}</p>
  </div>`;
}

function told(range, now) {
  const to = Math.min(range.to, now);
  const clock = to - range.from < 10 * 60_000 ? clockOf : minuteOf;
  const ends = dayOf(range.from) === dayOf(to) ? clock(to) : `${dayOf(to)} ${clock(to)}`;
  return t("range.told", { from: `${dayOf(range.from)} ${clock(range.from)}`, to: range.follows ? t("range.now") : ends, length: durationOf((to - range.from) / 1000) });
}
