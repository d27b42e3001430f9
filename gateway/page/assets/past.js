// What /api/history has told: of each interval, stop, minute and window the last word, in order of time. Pure.
import { rootOf } from "./charts/sums.js";

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

  /** What to ask to know all from a time on: only what is new where that is known already. */
  question(from) {
    const isNew = this.from === null || from < this.from;
    const asked = new URLSearchParams({ from: Math.floor(isNew ? from : this.from) });
    if (this.machine !== null) asked.set("machine", this.machine);
    if (!isNew && this.cursor !== null) asked.set("after", this.cursor);
    return asked;
  }

  /** Takes the answer; whether there is more to ask at once. */
  take(asked, answer) {
    const isOther = !answer.full && answer.digest !== this.digest;
    if (answer.full) this.forget();
    this.from = Number(asked.get("from"));
    const { complete, loading, digest, since_ms: since } = answer;
    Object.assign(this, { complete, loading, digest, since, cursor: isOther ? null : answer.cursor });
    this.oldest = answer.to_ms - KEPT_MS;
    for (const [name, machine] of Object.entries(answer.machines)) this.takeMachine(name, machine, answer.columns);
    this.line = this.windows("", answer.line.kpi, this.line);
    const fresh = new Set(answer.entries.map((one) => one.entry));
    this.entries = [...this.entries.filter((one) => !fresh.has(one.entry) && one.at_ms >= this.oldest), ...answer.entries];
    return loading || isOther;
  }

  takeMachine(name, machine, columns) {
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
