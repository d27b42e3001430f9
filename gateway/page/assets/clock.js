// The line's own clock: the daemon's time, carried on by this browser's stopwatch, standing still while nothing comes.
import { useEffect, useState } from "./vendor/preact-htm.js";
import { known } from "./store.js";

let anchor = null;
const tickers = new Set();

/** A message said what time it is at the daemon (UTC milliseconds). */
export function setClock(utcMs) {
  anchor = { utcMs, at: performance.now() };
}

/** UTC milliseconds at the daemon; as of the last message while the stream is stale; null before the first. */
export function now() {
  if (anchor === null) return null;
  return known.connection === "stale" ? anchor.utcMs : anchor.utcMs + performance.now() - anchor.at;
}

/** A hook: `now()`, again each second. */
export function useNow() {
  const [, redraw] = useState(0);
  useEffect(() => {
    const tick = () => redraw((count) => count + 1);
    tickers.add(tick);
    return () => tickers.delete(tick);
  }, []);
  return now();
}

setInterval(() => tickers.forEach((tick) => tick()), 1000);
