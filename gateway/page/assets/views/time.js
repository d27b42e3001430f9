// Time: what every machine did, under one axis, and what that comes to: downtime, losses, OEE by hour, cycle times.
import { html, useCallback, useEffect, useMemo, useRef, useState } from "../vendor/preact-htm.js";
import { now as nowOf, useNow } from "../clock.js";
import { clockOf, dayOf, durationOf, minuteOf, momentOf } from "../format.js";
import { Refusal } from "../refusal.js";
import { useRests } from "../rests.js";
import { useKnown } from "../store.js";
import { t, word } from "../texts.js";
import { isTelling } from "../tone.js";
import { Numbers } from "../charts/numbers.js";
import { lookOf } from "../charts/paint.js";
import { withRests } from "../charts/resting.js";
import { HOUR, offsetsOf } from "../charts/scale.js";
import { endOf } from "../charts/seek.js";
import { foundStop } from "../charts/sums.js";
import { Timeline } from "../charts/timeline.js";
import { usePast } from "./past.js";
import { Range, boundsOf, modeOf, modeOfView, stretchOf } from "./time-range.js";
import { Charts } from "./time-charts.js";
import { StopPanel } from "./time-stop.js";
import { address, asked, nameOfStop, needsReason, toldStop, toneOfKind, useAsked } from "./stops.js";

const SETTLE_MS = 250;
const CLOSE = 5 * 60_000;
const MOST_ROWS = 500;

export function TimeView({ line }) {
  const about = useKnown(({ about }) => about);
  const [mode, setMode] = useState(() => modeOf(asked()));
  const [machine, setMachine] = useState(() => asked().get("machine"));
  const [open, setOpen] = useState(() => asked().get("stop"));
  const hours = about?.history_hours ?? 24;
  const shift = line.kpi.shift ? Date.parse(line.kpi.shift.began) : null;
  const now = useNow() ?? Date.parse(line.time);
  const range = stretchOf(mode, now, shift, hours);
  const loaded = usePast(loadedFrom(range.from, now, hours));
  const { past, rev, error } = loaded;
  const names = Object.keys(line.machines);
  const shown = names.includes(machine) ? machine : defaultOf(line, names);
  const charted = useSettled(range, now);
  useAsked("time", (values) => {
    setMode(modeOf(values));
    setMachine(values.get("machine"));
    setOpen(values.get("stop"));
  });
  useEffect(() => address("time", { ...mode, machine: machine ?? null, stop: open }), [mode, machine, open]);
  const bands = useMemo(() => bandsOf(past.line.shift, line.kpi.shift, rev), [rev, shift]);
  const rests = useRests();
  const stop = useMemo(() => found(past.machines, open), [rev, open]);

  return html`<section data-view="time" class="time">
    <${Range} mode=${mode} range=${range} now=${now} hasShift=${shift !== null} hours=${hours} onMode=${setMode} />
    ${error !== null && error.status !== 0 && html`<div class="panel note"><${Refusal} error=${error} isUrgent=${true} /></div>`}
    <${Lanes} past=${past} rests=${rests} rev=${rev} names=${names} mode=${mode} shift=${shift} hours=${hours} bands=${bands} chosen=${open}
      charted=${charted} marked=${shown} onMode=${setMode} onStop=${(_, id) => setOpen(id)} onMachine=${setMachine} />
    <${Gaps} past=${past} range=${charted} />
    <${Charts} past=${past} rev=${rev} line=${line} names=${names} machine=${shown} range=${charted} now=${now} open=${open} onMachine=${setMachine}
      onStop=${setOpen} onHour=${({ began_ms: from, ended_ms: to }) => setMode({ from, to: to ?? now })} />
    ${open !== null && html`<${StopPanel} key=${open} id=${open} found=${stop} entries=${past.entries} about=${about} now=${now}
      isLoading=${rev === 0} onClose=${() => setOpen(null)} />`}
  </section>`;
}

/** History is asked for in whole steps, so that zooming out a little asks nothing. */
function loadedFrom(from, now, hours) {
  const span = [1, 4, 8, hours].find((one) => now - one * HOUR <= from) ?? hours;
  return useMemo(() => now - span * HOUR - CLOSE, [span]);
}

function defaultOf(line, names) {
  const window = line.kpi.shift ?? line.kpi.day ?? line.kpi.hour;
  const constraint = window?.rollup?.machines.find((name) => names.includes(name));
  return constraint ?? names[0];
}

function found(machines, id) {
  for (const [machine, { stops }] of Object.entries(machines)) {
    const stop = id === null ? undefined : foundStop(stops, id);
    if (stop !== undefined) return { machine, stop };
  }
  return null;
}

function bandsOf(windows, running) {
  const bands = windows.map((one) => ({ name: one.shift ?? "", began_ms: one.began_ms, ended_ms: one.ended_ms }));
  if (running) bands.push({ name: running.shift ?? t("time.this_shift"), began_ms: Date.parse(running.began), ended_ms: Infinity });
  return bands;
}

/** The range when it has come to rest, in whole minutes where it follows the clock: charts are added up for that. */
function useSettled(range, now) {
  const step = range.follows ? Math.max(10_000, Math.min(60_000, (range.to - range.from) / 60)) : 1;
  const from = Math.floor(range.from / step) * step;
  const to = Math.min(Math.ceil(range.to / step) * step, Math.ceil(now / step) * step);
  const [settled, settle] = useState({ from, to });
  useEffect(() => {
    const timer = setTimeout(() => settle({ from, to }), SETTLE_MS);
    return () => clearTimeout(timer);
  }, [from, to]);
  return settled;
}

const laneOf = (machine, rests) => (machine === undefined ? { intervals: [], stops: [] } : { ...machine, intervals: withRests(machine.intervals, rests) });
const breaksOf = (rests) => rests.filter(([, , why]) => why === "break").map(([began_ms, ended_ms, why]) => ({ name: word("rest", why), began_ms, ended_ms }));
const countsAs = (interval) => (interval.rest ? word("rest", interval.rest) : word("category", interval.category));

function wordsOf() {
  return {
    state: (one) => (isTelling(one.state, one.category) ? countsAs(one) : word("state", one.state)),
    stop: nameOfStop,
    tone: ({ kind }) => toneOfKind(kind),
    needsReason,
    told: (machine, stop) => toldStop(machine, stop, nowOf()),
    lane: (machine, count) => t(count === 1 ? "time.lane_one" : "time.lane", { machine, count }),
  };
}

/** The timeline itself, a canvas for each machine, kept up with the clock. */
function Lanes({ past, rests, rev, names, mode, shift, hours, bands, chosen, charted, marked, onMode, onStop, onMachine }) {
  const place = useRef(null);
  const chart = useRef(null);
  const [hovered, hover] = useState(null);
  const zone = useKnown(({ about, line }) => about?.time_zone ?? line.line.time_zone);
  const latest = useRef(null);
  latest.current = { onMode, onStop, onMachine, mode, shift, hours };
  const show = useCallback(() => {
    const now = nowOf();
    if (now === null || chart.current === null) return;
    const { mode: wanted, shift: began, hours: kept } = latest.current;
    const range = stretchOf(wanted, now, began, kept);
    chart.current.setView(range, boundsOf(range, now, kept), now);
  }, []);
  useEffect(() => {
    chart.current = new Timeline(place.current, {
      words: wordsOf(),
      offset: offsetsOf(zone),
      clock: (at, step) => (step >= 24 * HOUR ? dayOf : step < 60_000 ? clockOf : minuteOf)(at),
      onView: (view) => latest.current.onMode(modeOfView(view, nowOf())),
      onStop: (machine, stop) => latest.current.onStop(machine, stop),
      onMachine: (machine) => latest.current.onMachine(machine),
      onHover: hover,
    });
    const timer = setInterval(show, 250);
    return () => {
      clearInterval(timer);
      chart.current.end();
      place.current?.replaceChildren();
    };
  }, [zone]);
  const lanes = useMemo(() => Object.fromEntries(names.map((name) => [name, laneOf(past.machines[name], rests(name))])), [rev, names.join("\n"), rests]);
  useEffect(() => chart.current.setData(lanes, bands, breaksOf(rests(null))), [lanes, bands, zone]);
  useEffect(show, [mode, shift, hours, rev, zone]);
  useEffect(() => chart.current.choose(chosen), [chosen, zone]);
  useEffect(() => chart.current.mark(marked), [marked, zone]);
  return html`<section class="panel lanes" aria-label=${t("time.lanes")}>
    <p class="under" aria-hidden="true">${hovered === null ? html`<span class="muted">${t("time.hint")}</span>` : html`<${Under} hovered=${hovered} />`}</p>
    <div ref=${place} role="group" aria-label=${t("time.lanes_how")}></div>
    <${Legend} lanes=${lanes} />
    <${Intervals} intervals=${lanes[marked]?.intervals ?? []} machine=${marked} range=${charted} />
  </section>`;
}

function Under({ hovered: { machine, time, interval, stop } }) {
  const now = nowOf();
  return html`<b>${clockOf(time)}</b> <span>${machine}</span>
    ${interval && html`<span>${wordsOf().state(interval)}${interval.text ? ` (${interval.text})` : ""}, ${durationOf((endOf(interval, now) - interval.began_ms) / 1000)}</span>`}
    ${stop && html`<span class="muted">${toldStop(t("stop"), stop, now)}</span>`}`;
}

/** What the marked machine did, one by one. */
function Intervals({ intervals, machine, range }) {
  const caption = t("time.what_did", { machine });
  const rows = () => intervals
    .filter((one) => one.began_ms < range.to && endOf(one, nowOf()) > range.from)
    .slice(-MOST_ROWS)
    .map((one) => [momentOf(one.began_ms), word("state", one.state), countsAs(one), one.text ?? one.reason ?? "", durationOf((endOf(one, nowOf()) - one.began_ms) / 1000)]);
  return html`<div class="lanes-numbers"><${Numbers} caption=${caption} columns=${["began", "state", "counts_as", "reason", "time"].map((one) => word("heading", one))} rows=${rows} /></div>`;
}

const ORDER = ["run", "ready", "setup", "wait", "stop", "abort", "off", "unknown"];

function Legend({ lanes }) {
  const looks = useMemo(() => {
    const all = new Map();
    for (const { intervals } of Object.values(lanes)) for (const one of intervals) all.set(lookOf(one).key, lookOf(one));
    return [...all.values()].sort((one, other) => ORDER.indexOf(one.tone) - ORDER.indexOf(other.tone));
  }, [lanes]);
  return html`<ul class="legend" aria-label=${t("time.legend")}>
    ${looks.map(({ key, tone, pattern }) => html`<li key=${key}><span class="swatch" data-tone=${tone} data-pattern=${pattern}></span>${word("tone", pattern ?? tone)}</li>`)}
    <li><span class="swatch question"></span>${t("time.no_reason")}</li>
  </ul>`;
}

/** What is missing of the range: said, never left to be taken for quiet. */
function Gaps({ past, range }) {
  if (past.loading) return html`<p class="panel note" role="status">${t("time.loading")}</p>`;
  if (past.complete || past.since === null || past.since <= range.from) return null;
  return html`<p class="panel note">${t("time.incomplete", { time: `${dayOf(past.since)} ${minuteOf(past.since)}` })}</p>`;
}
