// Finds what is at a time, among things that are sorted by it. Pure.

const LEAST_TOUCH = 12;

/** When something ended, or now where it has not. */
export function endOf(one, now) {
  return one.ended_ms ?? now;
}

/** Index of the first of sorted things that ends after a time. */
export function firstAfter(sorted, time, now) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (endOf(sorted[middle], now) > time) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The stop at a time, or the nearest one within a finger's reach; `scale` is pixels a millisecond. */
export function stopAt(stops, time, now, scale) {
  const reach = LEAST_TOUCH / scale;
  let [best, distance] = [null, reach];
  for (let index = firstAfter(stops, time - reach, now); index < stops.length; index += 1) {
    const stop = stops[index];
    if (stop.began_ms - time > reach) break;
    const away = Math.max(0, stop.began_ms - time, time - endOf(stop, now));
    if (away <= distance && (best === null || away < distance)) [best, distance] = [stop, away];
  }
  return best;
}

/** The interval that holds a time, or null. */
export function intervalAt(intervals, time, now) {
  const found = intervals[firstAfter(intervals, time, now)];
  return found !== undefined && found.began_ms <= time ? found : null;
}
