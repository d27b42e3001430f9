// What the line did in the last hours: /api/history, fetched once for a stretch and then only what is new.
import { useEffect, useMemo, useRef, useState } from "../vendor/preact-htm.js";
import { get } from "../api.js";
import { Follower, useNews } from "../follow.js";
import { rootOf } from "../charts/sums.js";

const IDS = { intervals: "interval", stops: "stop", production: "event" };
const WINDOWS = ["hour", "shift", "day"];
/** What is older is forgotten: a wall screen stays for weeks. */
const KEPT_MS = 25 * 3_600_000;

/** Intervals, stops, minutes and windows by their ids, as the highest revision says them; lists are sorted by time. */
export class Past {
  constructor(machine = null) {
    this.machine = machine;
    this.forget();
  }

  forget() {
    this.from = null;
    this.cursor = null;
    this.digest = null;
    this.complete = true;
    this.loading = false;
    this.since = null;
    this.oldest = 0;
    this.shelves = new Map();
    this.machines = {};
    this.line = { hour: [], shift: [], day: [] };
    this.entries = [];
  }

  /** Fetches what is new from a time on, or all of it where it was not asked for before. */
  async update(from, signal) {
    const isNew = this.from === null || from < this.from;
    const asked = new URLSearchParams({ from: Math.floor(isNew ? from : this.from) });
    if (this.machine !== null) asked.set("machine", this.machine);
    if (!isNew && this.cursor !== null) asked.set("after", this.cursor);
    const answer = await get(`api/history?${asked}`, { signal });
    if (answer.full || isNew || answer.digest !== this.digest) this.forget();
    this.from = Number(asked.get("from"));
    Object.assign(this, { cursor: answer.cursor, digest: answer.digest, complete: answer.complete, loading: answer.loading, since: answer.since_ms });
    this.oldest = answer.to_ms - KEPT_MS;
    for (const [name, machine] of Object.entries(answer.machines)) this.take(name, machine, answer.columns);
    this.line = this.windows("", answer.line?.kpi ?? {}, this.line);
    const fresh = new Set(answer.entries.map((one) => one.entry));
    this.entries = [...this.entries.filter((one) => !fresh.has(one.entry) && one.at_ms >= this.oldest), ...answer.entries];
  }

  take(name, machine, columns) {
    const before = this.machines[name] ?? { intervals: [], stops: [], production: [], kpi: this.windows(name, {}, null) };
    const now = { ...before };
    for (const [kind, id] of Object.entries(IDS)) {
      const rows = (machine[kind] ?? []).map((row) => (Array.isArray(row) ? named(columns[kind], row) : row));
      if (rows.length > 0) now[kind] = this.put(`${name} ${kind}`, rows, id);
    }
    now.kpi = this.windows(name, machine.kpi ?? {}, before.kpi);
    this.machines = { ...this.machines, [name]: now };
  }

  windows(name, kpi, before) {
    const lists = WINDOWS.map((window) => [window, kpi[window]?.length ? this.put(`${name} ${window}`, kpi[window], "kpi") : before?.[window] ?? []]);
    return Object.fromEntries(lists);
  }

  put(shelf, rows, id) {
    if (!this.shelves.has(shelf)) this.shelves.set(shelf, new Map());
    const known = this.shelves.get(shelf);
    if (id === "stop") forgetParts(known, rows);
    for (const row of rows) known.set(row[id], row);
    for (const [key, row] of known) {
      const isNothing = row.ended_ms === row.began_ms; // as it turned out
      if (isNothing || (row.ended_ms !== null && row.ended_ms < this.oldest)) known.delete(key);
    }
    return [...known.values()].sort((one, other) => one.began_ms - other.began_ms);
  }
}

/** Of a stop that was split, or is whole again, an answer has all that there is of it. */
function forgetParts(known, rows) {
  const told = new Set(rows.map(({ stop }) => rootOf(stop)));
  for (const stop of known.keys()) if (told.has(rootOf(stop))) known.delete(stop);
}

const named = (columns, row) => Object.fromEntries(columns.map((name, index) => [name, row[index]]));

/**
 * A hook: `{past, rev, error}`, from a time on, followed as events are stored and anew after a break of the stream;
 * of one machine with its production, of all without.
 */
export function usePast(from, machine = null) {
  const past = useMemo(() => new Past(machine), [machine]);
  const [state, show] = useState({ past, rev: 0, error: null });
  const wanted = useRef(from);
  const news = useNews();
  const follower = useMemo(() => {
    const ask = async (signal) => {
      await past.update(wanted.current, signal);
      return past.loading || wanted.current < past.from;
    };
    return new Follower(ask, (error) => show(({ rev }) => ({ past, rev: rev + 1, error })));
  }, [past]);
  useEffect(() => {
    wanted.current = from;
    follower.want(past.from === null || from < past.from);
  }, [follower, from, news]);
  useEffect(() => () => follower.end(), [follower]);
  return state.past === past ? state : { past, rev: 0, error: null };
}
