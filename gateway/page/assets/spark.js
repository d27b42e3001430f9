// A signal's last minutes as a small line: values hold until the next one, gaps are where it was bad.
import { html, useEffect, useRef, useState } from "./vendor/preact-htm.js";
import { get } from "./api.js";
import { now } from "./clock.js";
import { t } from "./texts.js";

const SPAN_MS = 10 * 60_000;
const POINTS = 60;
const EVERY_MS = 5000;
const SETTLE_MS = 250;
const MOST = 50;
const WIDE = 120;
const HIGH = 28;

/** A hook: the samples of these signals by name, asked for in one request when scrolling rests, and every 5 s. */
export function useSamples(names) {
  const [samples, take] = useState(new Map());
  const wanted = useRef(names);
  wanted.current = names;
  const key = names.join(",");
  useEffect(() => {
    const ending = new AbortController();
    const ask = async () => {
      if (wanted.current.length === 0 || now() === null || document.hidden) return;
      const from = Math.round(now() - SPAN_MS);
      const signals = encodeURIComponent(wanted.current.slice(0, MOST).join(","));
      const path = `api/samples?signals=${signals}&from_ms=${from}&points=${POINTS}`;
      const found = await get(path, { signal: ending.signal }).catch(() => null); // no line, then; values go on
      if (found !== null) take(new Map(Object.entries(found.signals).map(([name, { points }]) => [name, points])));
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

/** `points`: [[UTC ms, value], ...] as /api/samples has them; `when`: the time at the right edge. */
export function Spark({ points, when }) {
  const drawn = points === undefined ? null : path(points, when);
  if (drawn === null) return null;
  return html`<svg class="sparkline" viewBox="0 0 ${WIDE} ${HIGH}" preserveAspectRatio="none" role="img" aria-label=${t("spark")}><path d=${drawn} /></svg>`;
}

function path(points, when) {
  const numbers = points.map(([at, value]) => [at, typeof value === "boolean" ? Number(value) : value]);
  const known = numbers.map(([, value]) => value).filter(Number.isFinite);
  if (known.length === 0) return null;
  const least = Math.min(...known);
  const span = Math.max(...known) - least;
  const x = (at) => Math.max(0, (1 - (when - at) / SPAN_MS) * WIDE).toFixed(1);
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
