// What the page knows of the line: one object, replaced piece by piece, and hooks that follow a part of it.
import { useEffect, useState } from "./vendor/preact-htm.js";

const listeners = new Set();

export const known = {
  /** Body of /api/line, as of its `time`; null until the first message. */
  line: null,
  /** Body of /health. */
  health: null,
  /** Body of /api/about: what does not change while a configuration is in force. */
  about: null,
  /** "device.signal" to {value, quality, why, text, at_ms}; one map for ever, `signalsRev` tells that it changed. */
  signals: new Map(),
  signalsRev: 0,
  /** "connecting", "live" or "stale". */
  connection: "connecting",
  /** Why nothing comes: a name of the family `stale`; "" before anything went wrong. */
  staleWhy: "",
  /** How often the stream has begun: whoever fetches what the stream does not carry fetches again when it grows. */
  epoch: 0,
};

/** Put something in place of what was known, and tell the followers. */
export function learn(news) {
  Object.assign(known, news);
  for (const listener of [...listeners]) listener();
}

/** A hook: what `select` finds in what is known; the component is drawn again when that is another. */
export function useKnown(select) {
  const [, redraw] = useState(0);
  const found = select(known);
  useEffect(() => {
    let shown = found;
    const look = () => {
      const now = select(known);
      if (!Object.is(now, shown)) {
        shown = now;
        redraw((count) => count + 1);
      }
    };
    listeners.add(look);
    look();
    return () => listeners.delete(look);
  }, [found]);
  return found;
}
