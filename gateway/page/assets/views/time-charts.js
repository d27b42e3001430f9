// What the range comes to: downtime by reason, losses, OEE by hour, cycle times, and the stops one by one.
import { html, useMemo, useState } from "../vendor/preact-htm.js";
import { clockOf, countOf, dayOf, durationOf, minuteOf, percentOf, shortOf, wholePercentOf } from "../format.js";
import { Refusal } from "../refusal.js";
import { t, word } from "../texts.js";
import { Cycles, cycleRows } from "../charts/cycles.js";
import { Numbers } from "../charts/numbers.js";
import { OeeByHour, isUncertain } from "../charts/oee.js";
import { Pareto } from "../charts/pareto.js";
import { causeOf, downtimeByReason, lossesOf, ranked, stopsIn, windowsIn } from "../charts/sums.js";
import { usePast } from "./past.js";
import { Said, lengthOf, nameOfStop, needsReason, toneOfKind } from "./stops.js";

const ALL = "";
const FIRST_ROWS = 20;
const SHORT_MS = 600_000;

export function Charts({ past, rev, line, names, machine, range, now, open, onMachine, onStop, onHour }) {
  const [whole, setWhole] = useState(false);
  const [picked, pick] = useState(null);
  const wanted = whole ? ALL : machine;
  const stops = useMemo(() => stopsOf(past.machines, wanted, names), [rev, wanted]);
  const windows = whole ? past.line.hour : (past.machines[machine]?.kpi.hour ?? []);
  const running = whole ? line.kpi.hour : line.machines[machine]?.kpi.hour;
  const hours = withRunning(windows, running, range, now);
  const choose = ({ target: { value } }) => {
    setWhole(value === ALL);
    if (value !== ALL) onMachine(value);
  };
  return html`<div class="of-machine">
      <label>${t("time.charts_of")} <select name="machine" onChange=${choose} value=${wanted}>
        ${names.map((name) => html`<option value=${name} selected=${name === wanted}>${name}</option>`)}
        <option value=${ALL} selected=${whole}>${t("time.all")}</option>
      </select></label>
      <p class="muted">${toldRange(range)}</p>
    </div>
    <div class="charts">
      <${Downtime} stops=${stops} range=${range} now=${now} picked=${picked} onPick=${pick} />
      <${Losses} windows=${windowsIn(hours, range)} />
      <${Oee} windows=${hours} onHour=${onHour} />
      ${whole ? html`<${Card} title=${t("cycle.title")} name="cycles"><p class="empty">${t("cycle.choose")}</p></${Card}>`
      : html`<${CycleTimes} key=${machine} machine=${machine} range=${range} />`}
    </div>
    <${Stops} stops=${stops} range=${range} now=${now} picked=${picked} open=${open} onStop=${onStop} onAll=${() => pick(null)} isAll=${whole} />`;
}

function stopsOf(machines, wanted, names) {
  return names
    .filter((name) => wanted === ALL || name === wanted)
    .flatMap((name) => (machines[name]?.stops ?? []).map((stop) => ({ ...stop, machine: name })));
}

function toldRange({ from, to }) {
  const clock = to - from < SHORT_MS ? clockOf : minuteOf;
  const end = dayOf(from) === dayOf(to) ? clock(to) : `${dayOf(to)} ${clock(to)}`;
  return `${dayOf(from)} ${clock(from)} – ${end}`;
}

/** A chart with its title and what it is about. */
function Card({ title, about, name, children }) {
  return html`<section class="panel card" data-chart=${name} aria-label=${title}>
    <h2>${title}${about && html` <span class="muted">${about}</span>`}</h2>
    <div class="inside">${children}</div>
  </section>`;
}

const causeName = (one) => {
  if (one.key === "*") return t("downtime.rest", { count: one.count });
  if (one.code !== null) return one.text;
  return needsReason({ kind: one.kind, reason: null }) ? t("downtime.unsaid", { kind: nameOfStop({ ...one, reason: null }) }) : nameOfStop({ ...one, reason: null });
};

function Downtime({ stops, range, now, picked, onPick }) {
  const [measure, setMeasure] = useState("seconds");
  const rows = useMemo(() => ranked(downtimeByReason(stops, range, now), measure), [stops, range, measure]);
  const sum = rows.reduce((all, one) => all + one.seconds, 0);
  const times = (n) => t(n === 1 ? "downtime.once" : "downtime.times", { n: countOf(n) });
  const bars = rows.map((one) => ({
    ...one,
    label: causeName(one),
    value: measure === "n" ? times(one.n) : durationOf(one.seconds),
    note: measure === "n" ? durationOf(one.seconds) : times(one.n),
    tone: toneOfKind(one.kind),
    pattern: one.kind === "unknown" || (one.code === null && needsReason({ ...one, reason: null })),
  }));
  return html`<${Card} title=${t("downtime.title")} name="downtime" about=${rows.length ? t("downtime.sum", { length: durationOf(sum), n: countOf(rows.reduce((all, one) => all + one.n, 0)) }) : null}>
    ${rows.length === 0 ? html`<p class="empty">${t("downtime.none")}</p>` : html`
      <div class="choice small" role="group" aria-label=${t("downtime.by")}>
        ${["seconds", "n"].map((one) => html`<button type="button" aria-pressed=${String(one === measure)} onClick=${() => setMeasure(one)}>${word("measure", one)}</button>`)}
      </div>
      <${Pareto} label=${t("downtime.title")} rows=${bars} picked=${picked} onPick=${onPick} />
      <${Numbers} caption=${t("downtime.title")} columns=${["reason", "time", "count", "share", "up_to"].map((one) => word("heading", one))}
        rows=${() => rows.map((one) => [causeName(one), durationOf(one.seconds), countOf(one.n), percentOf(one.share), percentOf(one.upTo)])} />`}
  </${Card}>`;
}

const LOSSES = [["availability", "stop"], ["performance", "wait"], ["quality", "abort"], ["unknown", "unknown"]];
const GROUP = {
  breakdowns: "availability", setup: "availability", other_availability: "availability",
  minor_stops_and_speed: "performance", process_defects: "quality", start_up: "quality",
};

function Losses({ windows }) {
  const losses = lossesOf(windows);
  const tone = Object.fromEntries(LOSSES);
  const parts = Object.entries(losses.of).filter(([, seconds]) => seconds > 0)
    .map(([key, seconds]) => ({ key, seconds, kind: GROUP[key] }));
  if (losses.unknown > 0) parts.push({ key: "unknown", seconds: losses.unknown, kind: "unknown" });
  const rows = ranked(parts, "seconds");
  const bars = rows.map((one) => ({
    ...one,
    label: word("loss", one.key),
    group: one.key === one.kind ? null : word("loss", one.kind),
    value: durationOf(one.seconds),
    note: percentOf(losses.pbt ? one.seconds / losses.pbt : null),
    tone: tone[one.kind],
    pattern: one.kind === "unknown",
  }));
  const span = windows.length === 0 ? null : t("loss.of", { from: minuteOf(windows[0].began_ms), to: minuteOf(windows.at(-1).ended_ms) });
  return html`<${Card} title=${t("loss.title")} name="losses" about=${span}>
    ${windows.length === 0 || !losses.pbt ? html`<p class="empty">${t("loss.none")}</p>` : html`
      <${Shares} losses=${losses} />
      ${rows.length > 0 && html`<${Pareto} label=${t("loss.title")} rows=${bars} />`}
      <${Numbers} caption=${t("loss.title")} columns=${["loss", "time", "share"].map((one) => word("heading", one))}
        rows=${() => ["good", "quality", "performance", "availability", "unknown", ...Object.keys(losses.of)].map((one) => {
          const seconds = losses[one] ?? losses.of[one] ?? null;
          return [word("loss", one), durationOf(seconds), percentOf(seconds === null ? null : seconds / losses.pbt)];
        })} />`}
  </${Card}>`;
}

/** Planned time as one bar: what was worth it, and what was lost to what. */
function Shares({ losses }) {
  const parts = [["good", "run"], ["quality", "abort"], ["performance", "wait"], ["availability", "stop"], ["unknown", "unknown"]]
    .filter(([key]) => losses[key] > 0);
  const whole = Math.max(losses.pbt, parts.reduce((sum, [key]) => sum + losses[key], 0));
  return html`<div class="shares" aria-hidden="true">${parts.map(([key, tone]) => html`<span class=${tone === "unknown" ? "hatched" : ""} data-tone=${tone} style=${{ flexGrow: losses[key] / whole }}>
      ${losses[key] / whole > 0.08 && wholePercentOf(losses[key] / losses.pbt)}</span>`)}</div>
    <ul class="legend">${parts.map(([key, tone]) => html`<li><span class="swatch" data-tone=${tone} data-pattern=${tone === "unknown" ? "unknown" : null}></span>${word("loss", key)}</li>`)}</ul>`;
}

function withRunning(windows, running, range, now) {
  const all = windows.filter((one) => one.ended_ms > range.from && one.began_ms < range.to);
  if (running && Date.parse(running.began) < range.to && now > range.from) {
    const began = Date.parse(running.began);
    return [...all.filter((one) => one.began_ms < began), { ...running, began_ms: began, ended_ms: now, final: false, isRunning: true }];
  }
  return all;
}

function Oee({ windows, onHour }) {
  return html`<${Card} title=${t("oee.title")} name="oee" about=${t("oee.about")}>
    ${windows.length === 0 ? html`<p class="empty">${t("oee.empty")}</p>` : html`
      <${OeeByHour} windows=${windows} onPick=${onHour} />
      <${Numbers} caption=${t("oee.title")} columns=${["hour", "oee", "low", "high", "availability", "performance", "quality", "good", "certain"].map((one) => word("heading", one))}
        rows=${() => windows.map((one) => [
          `${minuteOf(one.began_ms)}–${minuteOf(one.ended_ms)}`, ...[one.oee, one.oee_low, one.oee_high, one.availability, one.effectiveness, one.quality].map(percentOf),
          countOf(one.gq), [isUncertain(one) ? t("oee.uncertain") : "", one.final ? "" : t("oee.open")].filter(Boolean).join(", ") || t("oee.certain"),
        ])} />`}
  </${Card}>`;
}

function CycleTimes({ machine, range }) {
  const { past, rev, error } = usePast(range.from, machine);
  const production = past.machines[machine]?.production ?? [];
  const some = useMemo(() => production.filter((one) => one.ended_ms > range.from && one.began_ms < range.to && one.n > 0), [rev, range]);
  return html`<${Card} title=${t("cycle.title")} name="cycles" about=${t("cycle.about", { machine })}>
    ${error !== null ? html`<${Refusal} error=${error} />` : some.length === 0 ? html`<p class="empty">${t(rev === 0 ? "time.loading" : "cycle.none")}</p>` : html`
      <${Cycles} production=${some} view=${range} />
      <${Numbers} caption=${t("cycle.title")} columns=${["minute", "parts", "cycles", "p50", "p95", "mean", "ideal"].map((one) => word("heading", one))}
        rows=${() => cycleRows(some, range, minuteOf)} />`}
  </${Card}>`;
}

/** Every stop of the range, the newest first: what the timeline shows, as rows that can be opened. */
function Stops({ stops, range, now, picked, open, onStop, onAll, isAll }) {
  const [most, setMost] = useState(FIRST_ROWS);
  const rows = useMemo(() => stopsIn(stops, range, now)
    .filter((stop) => picked === null || causeOf(stop).key === picked)
    .sort((one, other) => other.began_ms - one.began_ms), [stops, range, picked]);
  return html`<section class="panel stops" aria-label=${t("stops.title")}>
    <h2>${t("stops.title")} <span class="muted">${countOf(rows.length)}</span>
      ${picked !== null && html`<button type="button" class="chip" onClick=${onAll}>${t("stops.unfilter")}</button>`}</h2>
    ${rows.length === 0 ? html`<p class="empty">${t("downtime.none")}</p>` : html`<ul>${rows.slice(0, most).map((stop) => html`
      <li key=${stop.stop}><button type="button" class="stop-row" data-stop=${stop.stop} aria-current=${stop.stop === open ? "true" : null} onClick=${() => onStop(stop.stop)}>
        <span class="stop-time number">${shortOf(stop.began_ms, now)}<span class="seconds">${clockOf(stop.began_ms).slice(-3)}</span></span>
        ${isAll && html`<span class="stop-machine cut">${stop.machine}</span>`}
        <span class="stop-length number">${lengthOf(stop, now)}${stop.ended_ms === null ? " …" : ""}</span>
        <span class="stop-name cut" title=${nameOfStop(stop)}><span class="swatch" data-tone=${toneOfKind(stop.kind)} data-pattern=${stop.kind === "unknown" ? "unknown" : null}></span>${nameOfStop(stop)}</span>
        <span class="stop-tags">${needsReason(stop) && html`<span class="tag wants">${t("stop.no_reason")}</span>`}<${Said} reason=${stop.reason} />${stop.minor && html`<span class="tag">${t("stop.minor")}</span>`}</span>
      </button></li>`)}</ul>
      ${rows.length > most && html`<button type="button" class="more" onClick=${() => setMost(most + 100)}>${t("stops.more", { count: countOf(rows.length - most) })}</button>`}`}
  </section>`;
}
