// Time axes: where ticks go in the line's zone, and how a stretch of time is zoomed and moved. Pure.

const SECOND = 1000;
const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
const STEPS = [1, 2, 5, 10, 15, 30].flatMap((n) => [n * SECOND, n * MINUTE]).concat([1, 2, 3, 6, 12, 24].map((n) => n * HOUR));
STEPS.sort((one, other) => one - other);
const QUARTER = 15 * MINUTE;

/** The shortest stretch that a chart shows, in milliseconds. */
export const SHORTEST = 5 * SECOND;

/** Milliseconds that the clocks of a zone are ahead of UTC, as a function of a time; clocks change on quarter hours. */
export function offsetsOf(zone) {
  const parts = { year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric" };
  const format = new Intl.DateTimeFormat("en-US-u-hc-h23", { timeZone: zone, ...parts });
  const known = new Map();
  return (ms) => {
    const at = Math.floor(ms / QUARTER) * QUARTER;
    if (!known.has(at)) {
      const read = Object.fromEntries(format.formatToParts(at).map((part) => [part.type, Number(part.value)]));
      known.set(at, Date.UTC(read.year, read.month - 1, read.day, read.hour, read.minute, read.second) - at);
    }
    return known.get(at);
  };
}

/** Ticks of a stretch on so many pixels: `{step, at}`, each on a round time of the zone's clocks. */
export function ticksOf({ from, to }, width, offset, apart = 84) {
  const most = Math.max(1, Math.floor(width / apart));
  const step = STEPS.find((one) => (to - from) / one <= most) ?? 24 * HOUR;
  const at = [];
  let next = from;
  while (at.length <= most + 1) {
    const local = next + offset(next);
    let tick = next + (Math.ceil(local / step) * step - local);
    const moved = (tick + offset(tick)) % step; // the clocks changed on the way there
    if (moved !== 0) tick += step - moved;
    if (tick > to) break;
    at.push(tick);
    next = tick + 1;
  }
  return { step, at };
}

/** A stretch of the same length inside the bounds; what is longer than they are is cut. */
export function within({ from, to }, bounds) {
  const length = Math.min(Math.max(to - from, SHORTEST), bounds.to - bounds.from);
  const begin = Math.min(Math.max(from, bounds.from), bounds.to - length);
  return { from: begin, to: begin + length };
}

/** A stretch `factor` times as long in which the time `at` keeps its place. */
export function zoomed({ from, to }, factor, at, bounds) {
  const longest = bounds.to - bounds.from;
  const length = Math.min(Math.max((to - from) * factor, SHORTEST), longest);
  const share = (at - from) / (to - from);
  return within({ from: at - share * length, to: at + (1 - share) * length }, bounds);
}

/** A stretch moved by so many milliseconds. */
export function moved({ from, to }, by, bounds) {
  return within({ from: from + by, to: to + by }, bounds);
}
