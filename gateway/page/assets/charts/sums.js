// What charts show, added up from what /api/history answers. Pure.

/** When a stop was: one stretch, or several of one that people merged of more. */
const stretchesOf = (stop) => stop.stretches ?? [[stop.began_ms, stop.ended_ms]];

/** Seconds of a stop inside a stretch of time. */
export function secondsIn(stop, { from, to }, now) {
  return stretchesOf(stop).reduce((sum, [began, ended]) => sum + Math.max(0, Math.min(ended ?? now, to) - Math.max(began, from)), 0) / 1000;
}

/** The machine's own stop that a stop or a part of one is of. */
export const rootOf = (id) => id.split("/")[0];

/** Of a list of stops the one of an id, or what became of it when it was split, merged, or made whole again. */
export function foundStop(stops, id) {
  const root = rootOf(id);
  return stops.find(({ stop }) => stop === id) ?? stops.find(({ stop }) => rootOf(stop) === root) ?? stops.find((stop) => stop.of?.includes(root));
}

/** Seconds that a stop has lasted. */
export const secondsOf = (stop, now) => secondsIn(stop, { from: -Infinity, to: Infinity }, now);

/** Stops that a stretch shares time with. */
export function stopsIn(stops, view, now) {
  return stops.filter((stop) => stop.began_ms < view.to && (stop.ended_ms ?? now) > view.from);
}

/** What a stop is put down to: `{key, kind, code, text}`; the kind alone where there is no reason. */
export function causeOf({ reason, kind, category }) {
  if (reason === null || reason === undefined) return { key: `${kind} ${category}`, kind, category, code: null, text: null };
  return { key: `= ${reason.code}`, kind, category, code: reason.code, text: reason.text ?? reason.code };
}

/** Downtime of a stretch by reason, the most first: `[{...cause, n, seconds}]`. */
export function downtimeByReason(stops, view, now) {
  const sums = new Map();
  for (const stop of stopsIn(stops, view, now)) {
    const cause = causeOf(stop);
    const sum = sums.get(cause.key) ?? { ...cause, n: 0, seconds: 0 };
    sum.n += 1;
    sum.seconds += secondsIn(stop, view, now);
    sums.set(cause.key, sum);
  }
  return [...sums.values()];
}

/** Sorted by `measure`, the rest beyond `most` as one, each with the share of all up to and with it. */
export function ranked(sums, measure, most = 12) {
  const sorted = sums.filter((one) => one[measure] > 0).sort((one, other) => other[measure] - one[measure]);
  const rest = sorted.splice(most);
  if (rest.length > 0) {
    const add = (name) => rest.reduce((sum, one) => sum + (one[name] ?? 0), 0);
    sorted.push({ key: "*", kind: "*", code: null, text: null, n: add("n"), seconds: add("seconds"), count: rest.length });
  }
  const whole = sorted.reduce((sum, one) => sum + one[measure], 0);
  let upTo = 0;
  return sorted.map((one) => {
    upTo += one[measure];
    return { ...one, share: one[measure] / whole, upTo: upTo / whole };
  });
}

/** KPI windows that lie in a stretch for the most part. */
export function windowsIn(windows, { from, to }) {
  return windows.filter(({ began_ms: began, ended_ms: ended }) => Math.min(ended, to) - Math.max(began, from) > (ended - began) / 2);
}

/**
 * Where planned time went, in seconds, after ISO 22400-2: `{pbt, good, quality, performance, availability, unknown, of}`;
 * `of` has what the windows tell one by one. What needs an ideal is null where a window has none.
 */
export function lossesOf(all) {
  const windows = all.filter((one) => one.pbt_s !== undefined);
  const sum = (pick) => windows.reduce((total, one) => (total === null || pick(one) == null ? null : total + pick(one)), 0);
  const [pbt, unknown, run] = [sum((one) => one.pbt_s), sum((one) => one.unknown_s), sum((one) => one.run_s)];
  const worth = sum((one) => one.ideal_s);
  const good = sum((one) => one.ideal_good_s);
  const known = (one, two) => (one === null || two === null ? null : Math.max(0, one - two));
  const of = {};
  for (const name of ["breakdowns", "setup", "minor_stops_and_speed", "process_defects", "start_up"]) {
    of[name] = sum((one) => one.losses?.[name]);
  }
  const availability = pbt === null || unknown === null || run === null ? null : Math.max(0, pbt - unknown - run);
  const other = availability === null ? null : availability - (of.breakdowns ?? 0) - (of.setup ?? 0);
  if (other !== null && other > 0.5) of.other_availability = other;
  return { pbt, good, quality: known(worth, good), performance: known(run, worth), availability, unknown, of };
}

/** Minutes of production as uPlot's columns: `[seconds, p50, p95, mean, ideal]`; a gap where minutes are missing. */
export function cycleColumns(production, { from, to }) {
  const columns = [[], [], [], [], []];
  const add = (...row) => row.forEach((value, index) => columns[index].push(value ?? null));
  let last = null;
  for (const minute of production) {
    if (minute.ended_ms <= from || minute.began_ms >= to || !(minute.n > 0)) continue;
    if (last !== null && minute.began_ms - last > 90_000) add(last / 1000 + 1, null, null, null, null);
    add((minute.began_ms + minute.ended_ms) / 2000, minute.p50_s, minute.p95_s, minute.mean_s, minute.ideal_s);
    last = minute.ended_ms;
  }
  return columns;
}
