// Every signal, live: value, quality, why, age, and its last minutes as a line; only what is in sight is drawn.
import { html, useEffect, useMemo, useRef, useState } from "../vendor/preact-htm.js";
import { get, unanswered } from "../api.js";
import { useNow } from "../clock.js";
import { countOf, durationOf, momentOf, numberOf, valueOf } from "../format.js";
import { Spark, useSamples } from "../spark.js";
import { known, useKnown } from "../store.js";
import { wantSignals } from "../stream.js";
import { t, word } from "../texts.js";

const BEYOND = 6;
const FRESH_MS = 1500;

export function SignalsView() {
  useEffect(() => {
    wantSignals(true);
    return () => wantSignals(false);
  }, []);
  const facts = useFacts();
  const revision = useKnown(({ signalsRev }) => signalsRev);
  const [asked, ask] = useState({ text: "", device: "", bad: false });
  const all = useMemo(() => everything(facts), [facts, known.signals.size]);
  const bad = all.filter(({ name }) => isBad(known.signals.get(name)));
  const rows = useMemo(() => found(asked.bad ? bad : all, asked), [all, asked, asked.bad && revision]);
  const devices = [...new Set(all.map(({ device }) => device))];
  return html`<section data-view="signals" class="signals">
    <form class="asking" role="search" onSubmit=${(event) => event.preventDefault()}>
      <input type="search" aria-label=${t("signals.search")} placeholder=${t("signals.search")} value=${asked.text}
        onInput=${(event) => ask({ ...asked, text: event.target.value })} />
      <select aria-label=${t("signals.device")} value=${asked.device} onChange=${(event) => ask({ ...asked, device: event.target.value })}>
        <option value="">${t("signals.all_devices")}</option>
        ${devices.map((device) => html`<option value=${device}>${device}</option>`)}
      </select>
      <button type="button" class="toggle" aria-pressed=${asked.bad} onClick=${() => ask({ ...asked, bad: !asked.bad })}>${t("signals.bad_only", { count: countOf(bad.length) })}</button>
      <output>${t("signals.shown", { some: countOf(rows.length), all: countOf(all.length) })}</output>
    </form>
    <${Rows} rows=${rows} />
  </section>`;
}

const isBad = (signal) => signal !== undefined && signal.quality !== "good";

/** What is fixed of each signal (unit, type, device's round trip): asked for anew after each reconnect. */
function useFacts() {
  const [facts, take] = useState({});
  const epoch = useKnown(({ epoch }) => epoch);
  const configuration = useKnown(({ line }) => line?.configuration);
  useEffect(() => {
    get("api/signals").then(take).catch(unanswered); // values come by the stream all the same
  }, [epoch, configuration]);
  return facts;
}

/** All signals in the order of the configuration, with what they can be found by. */
function everything(facts) {
  const named = new Map();
  const add = (device, signal, fact) => {
    const name = `${device}.${signal}`;
    const words = [name, fact.address, fact.description, fact.unit].filter(Boolean).join(" ").toLowerCase();
    named.set(name, { name, device, signal, fact, words });
  };
  for (const [device, signals] of Object.entries(facts)) for (const [signal, fact] of Object.entries(signals)) add(device, signal, fact);
  for (const name of known.signals.keys()) if (!named.has(name)) add(...name.split(/\.(.*)/s), {});
  return [...named.values()];
}

function found(rows, { text, device }) {
  const wanted = text.toLowerCase().split(/\s+/).filter(Boolean);
  return rows.filter((row) => (device === "" || row.device === device) && wanted.every((one) => row.words.includes(one)));
}

function Rows({ rows }) {
  const box = useRef(null);
  const [sight, see] = useState({ top: 0, height: 800, each: 44 });
  useEffect(() => {
    const element = box.current;
    const look = () => see({ top: element.scrollTop, height: element.clientHeight, each: parseFloat(getComputedStyle(element).getPropertyValue("--row")) });
    const sizes = new ResizeObserver(look);
    sizes.observe(element);
    element.addEventListener("scroll", look, { passive: true });
    look();
    return () => {
      sizes.disconnect();
      element.removeEventListener("scroll", look);
    };
  }, []);
  const first = Math.max(0, Math.floor(sight.top / sight.each) - BEYOND);
  const shown = rows.slice(first, Math.ceil((sight.top + sight.height) / sight.each) + BEYOND);
  const samples = useSamples(shown.map(({ name }) => name));
  const when = useNow();
  const health = useKnown(({ health }) => health);
  const trips = (device) => health?.checks[`device:${device}`]?.[0].observedValue?.round_trip_ms;
  return html`<div class="rows panel" ref=${box} tabindex="0" role="table" aria-label=${word("nav", "signals")} aria-rowcount=${rows.length + 1}>
    <div class="row head" role="row" aria-rowindex="1">
      ${["name", "spark", "value", "quality", "age", "trip"].map((name) => html`<span role="columnheader" class=${name}>${word("column", name)}</span>`)}
    </div>
    <div class="all" role="rowgroup" style=${{ height: `${rows.length * sight.each}px` }}>
      ${shown.map((row, at) => html`<${Row} key=${row.name} row=${row} at=${first + at} top=${(first + at) * sight.each} samples=${samples} trip=${trips(row.device)} when=${when} />`)}
    </div>
    ${rows.length === 0 && html`<p class="empty">${t("signals.none")}</p>`}
  </div>`;
}

function Row({ row, at, top, samples, trip, when }) {
  const { name, device, signal, fact } = row;
  const now = known.signals.get(name);
  const age = now?.at_ms === undefined || now.at_ms === null ? null : Math.max(0, when - now.at_ms);
  const value = now === undefined ? t("signals.unread") : valueOf(now);
  const why = isBad(now) ? now.why ?? "" : "";
  return html`<div class="row" role="row" aria-rowindex=${at + 2} data-signal=${name} data-quality=${now?.quality ?? "bad"} data-fresh=${age !== null && age < FRESH_MS ? "" : null} style=${{ transform: `translateY(${top}px)` }}>
    <span role="cell" class="name cut" title=${[name, fact.description, fact.address, fact.type].filter(Boolean).join("\n")}><span class="muted">${device}.</span><b>${signal}</b></span>
    <span role="cell" class="spark"><${Spark} points=${samples.points.get(name)} from=${samples.from} to=${when} /></span>
    <span role="cell" class="value cut" title=${value}><b data-field="value">${value}</b> <span class="muted">${fact.unit}</span></span>
    <span role="cell" class="quality cut" title=${why || null}>${now && html`<b data-field="quality">${word("quality", now.quality)}</b>`} <span data-field="why">${why}</span></span>
    <span role="cell" class="age" title=${age === null ? null : momentOf(now.at_ms)}>${durationOf(age === null ? null : age / 1000)}</span>
    <span role="cell" class="trip muted">${trip ? t("duration.ms", { ms: numberOf(trip) }) : "–"}</span>
  </div>`;
}
