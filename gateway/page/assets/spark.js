// A signal's last minutes as a small line: values hold until the next one, gaps are where it was bad.
import { html, useEffect, useRef, useState } from "./vendor/preact-htm.js";
import { get, unanswered } from "./api.js";
import { now } from "./clock.js";
import { t } from "./texts.js";

const SPAN_MS = 10 * 60_000;
const POINTS = 100;
const EVERY_MS = 5000;
const SETTLE_MS = 250;
const MOST = 50;
const NONE = { points: new Map(), from: 0 };
const WIDE = 120;
const HIGH = 28;

/** A hook: {points by name, from}: the samples of these signals, and since when any is there. Asked for in one request
 * when scrolling rests, and every 5 s. */
export function useSamples(names) {
  const [samples, take] = useState(NONE);
  const wanted = useRef(names);
  const begun = useRef(0);
  wanted.current = names;
  const key = names.join(",");
  useEffect(() => {
    const ending = new AbortController();
    const ask = async () => {
      if (wanted.current.length === 0 || now() === null || document.hidden) return;
      const from = Math.max(Math.round(now() - SPAN_MS), begun.current);
      const signals = encodeURIComponent(wanted.current.slice(0, MOST).join(","));
      const path = `api/samples?signals=${signals}&from_ms=${from}&points=${POINTS}`;
      const found = await get(path, { signal: ending.signal }).catch(unanswered); // no line, then; values go on
      if (found === null) return;
      const points = new Map(Object.entries(found.signals).map(([name, one]) => [name, one.points]));
      const first = Math.min(...[...points.values()].map((each) => each.find(([, value]) => value !== null)?.[0] ?? Infinity));
      begun.current = Number.isFinite(first) ? first : from;
      take({ points, from: begun.current });
    };
    const soon = setTimeout(ask, SETTLE_MS);
    const again = setInterval(ask, EVERY_MS);
    return () => {
      ending.abort();
      clearTimeout(soon);
      clearInterval(again);
    };
  }, [key]);
  return samples;
}

/** `points`: [[UTC ms, value], ...] as /api/samples has them; `from`, `to`: the times of the left and right edge. */
export function Spark({ points, from, to }) {
  const drawn = points === undefined || !(from < to) ? null : path(points, from, to);
  if (drawn === null) return null;
  return html`<svg class="sparkline" viewBox="0 0 ${WIDE} ${HIGH}" preserveAspectRatio="none" role="img" aria-label=${t("spark")}><path d=${drawn} /></svg>`;
}

function path(points, from, to) {
  const numbers = points.map(([at, value]) => [at, typeof value === "boolean" ? Number(value) : value]);
  const known = numbers.map(([, value]) => value).filter(Number.isFinite);
  if (known.length === 0) return null;
  const least = Math.min(...known);
  const span = Math.max(...known) - least;
  const x = (at) => (Math.min(1, Math.max(0, (at - from) / (to - from))) * WIDE).toFixed(1);
  const y = (value) => (span === 0 ? HIGH / 2 : HIGH - 3 - ((value - least) / span) * (HIGH - 6)).toFixed(1);
  let drawn = "";
  let isOn = false;
  for (const [at, value] of numbers) {
    const good = Number.isFinite(value);
    if (isOn) drawn += `H${x(at)}`;
    if (good) drawn += isOn ? `V${y(value)}` : `M${x(at)} ${y(value)}`;
    isOn = good;
  }
  return isOn ? `${drawn}H${WIDE}` : drawn;
}
