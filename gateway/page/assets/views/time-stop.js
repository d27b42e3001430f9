// One stop, beside the timeline: its facts, why it is one, what people said of it, and the signals around its beginning.
import { html, useEffect, useRef, useState } from "../vendor/preact-htm.js";
import { get } from "../api.js";
import { clockOf, countOf, dayOf, durationOf, momentOf } from "../format.js";
import { Refusal } from "../refusal.js";
import { t, word } from "../texts.js";
import { SignalAround } from "../charts/samples.js";
import { Said, firstOut, lengthOf, nameOfStop, needsReason } from "./stops.js";

const AROUND_MS = 120_000;
const POINTS = 300;
const MOST_SIGNALS = 50;

/** Beside the charts where there is room; else in front of them, and nothing behind it can be reached. */
const beside = matchMedia("(min-width: 75rem)");

export function StopPanel({ id, found, entries, about, now, isLoading, onClose }) {
  const dialog = useRef(null);
  useEffect(() => {
    const element = dialog.current;
    const before = document.activeElement;
    const open = () => {
      if (element.open) element.close();
      if (beside.matches) element.show();
      else element.showModal();
    };
    open();
    beside.addEventListener("change", open);
    return () => {
      beside.removeEventListener("change", open);
      element.close();
      if (before?.isConnected) before.focus({ preventScroll: true });
    };
  }, []);
  const key = (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    onClose();
  };
  return html`<dialog ref=${dialog} class="stop-panel" aria-labelledby="stop-title" data-stop-panel=${id} onKeyDown=${key} onCancel=${onClose}>
    <header>
      <h2 id="stop-title" tabindex="-1" autofocus>${found === null ? t("stop") : t("stop.of", { machine: found.machine })}</h2>
      <button type="button" class="close" onClick=${onClose} aria-label=${t("close")} title=${t("close")}>✕</button>
    </header>
    ${found === null ? html`<p class="empty" role="status">${t(isLoading ? "time.loading" : "stop.gone")}</p>`
    : html`<${Facts} machine=${found.machine} stop=${found.stop} now=${now} />
      <${Entries} stop=${found.stop} entries=${entries} />
      <${Explained} stop=${found.stop} />
      <${Around} machine=${found.machine} stop=${found.stop} about=${about} now=${now} />`}
  </dialog>`;
}

function Facts({ machine, stop, now }) {
  const tags = [word("stopkind", stop.kind), stop.minor ? t("stop.minor") : null, stop.failure ? t("stop.failure") : null, stop.final ? null : t("stop.open")];
  const facts = [
    ["began", momentOf(stop.began_ms)],
    ["ended", stop.ended_ms === null ? t("stop.goes_on") : dayOf(stop.ended_ms) === dayOf(stop.began_ms) ? clockOf(stop.ended_ms) : momentOf(stop.ended_ms)],
    ["lasted", lengthOf(stop, now)],
    ["category", word("category", stop.category)],
    ["first", firstOut(stop)],
    ["planned", stop.planned_overlap_s > 0 ? durationOf(stop.planned_overlap_s) : null],
    ["lost", stop.lost_parts > 0 ? countOf(stop.lost_parts) : null],
    ["job", stop.job], ["product", stop.product], ["shift", stop.shift], ["note", stop.note],
  ].filter(([, value]) => value !== null && value !== undefined && value !== "");
  return html`<div class="facts">
    <p class="cause"><b>${needsReason(stop) ? t("stop.no_reason_yet") : nameOfStop(stop)}</b> <${Said} reason=${stop.reason} /></p>
    <p class="stop-tags">${tags.filter(Boolean).map((tag) => html`<span class="tag">${tag}</span>`)}</p>
    <a class=${`button ${needsReason(stop) ? "primary" : ""}`} href=${`#word?${new URLSearchParams({ stop: stop.stop })}`}>${t(stop.reason ? "stop.change_reason" : "stop.give_reason")}</a>
    <dl>${facts.map(([name, value]) => html`<div><dt>${word("fact", name)}</dt><dd>${value}</dd></div>`)}</dl>
  </div>`;
}

function Entries({ stop, entries }) {
  const mine = entries.filter((one) => one.target === stop.stop || stop.entries?.includes(one.entry));
  if (mine.length === 0) return null;
  return html`<section class="said"><h3>${t("stop.said")}</h3><ul>
    ${mine.map((one) => html`<li key=${one.entry}><b>${one.who}</b> <span class="muted number">${momentOf(one.when)}</span><br />
      ${word("what", one.what)}${one.reason ? `: ${one.reason.text ?? one.reason.code}` : ""}${one.note ? html` <q>${one.note}</q>` : ""}</li>`)}
  </ul></section>`;
}

/** What `linegate explain` says of it. */
function Explained({ stop }) {
  const [answer, setAnswer] = useState({});
  useEffect(() => {
    const asking = new AbortController();
    get(`api/explain?${new URLSearchParams({ stop: stop.stop })}`, { signal: asking.signal }).then(
      (explanation) => setAnswer({ explanation }),
      (error) => asking.signal.aborted || setAnswer({ error }),
    );
    return () => asking.abort();
  }, [stop.stop, stop.event]);
  const { explanation, error } = answer;
  return html`<section class="explained" aria-busy=${String(!explanation && !error)}><h3>${t("stop.explained")}</h3>
    ${!explanation && !error && html`<p class="muted" role="status">${t("word.loading")}</p>`}
    ${error && html`<${Refusal} error=${error} />`}
    ${explanation && html`<p><b>${explanation.headline}</b></p>
      ${explanation.sections.map(({ title, lines }) => html`<h4>${title}</h4><ul>${lines.map((one) => html`<li>${one}</li>`)}</ul>`)}
      ${explanation.notes.map((note) => html`<p class="note">${note}</p>`)}`}
  </section>`;
}

/** Signals from two minutes before the stop began to two minutes after, those that decide first, and of them the one that was out first. */
function Around({ machine, stop, about, now }) {
  const [others, setOthers] = useState([]);
  const [answer, setAnswer] = useState({});
  const facts = about?.machines.find(({ name }) => name === machine);
  const first = stop.first_out?.signal;
  const deciding = [...(facts?.signals ?? [])].sort((one, other) => (other === first) - (one === first));
  const shown = [...deciding, ...others].slice(0, MOST_SIGNALS);
  const view = { from: stop.began_ms - AROUND_MS, to: stop.began_ms + AROUND_MS };
  const isWhole = now > view.to;
  useEffect(() => {
    if (shown.length === 0) return undefined;
    const asking = new AbortController();
    const asked = new URLSearchParams({ signals: shown.join(","), from_ms: view.from, to_ms: view.to, points: POINTS });
    get(`api/samples?${asked}`, { signal: asking.signal }).then(
      ({ signals }) => setAnswer({ signals }),
      (error) => asking.signal.aborted || setAnswer((before) => ({ ...before, error })),
    );
    return () => asking.abort();
  }, [shown.join(","), view.from, isWhole]);
  const more = () => get("api/signals").then(
    (devices) => setOthers(facts.devices.flatMap((device) => Object.keys(devices[device] ?? {}).map((name) => `${device}.${name}`)).filter((name) => !deciding.includes(name))),
    (error) => setAnswer((before) => ({ ...before, error })),
  );
  const { signals, error } = answer;
  const stretches = [{ from: stop.began_ms, to: stop.ended_ms ?? Math.min(now, view.to), colour: "--stop" }];
  return html`<section class="signals-around"><h3>${t("around.title", { time: clockOf(stop.began_ms) })}</h3>
    ${error && html`<${Refusal} error=${error} />`}
    ${facts !== undefined && shown.length === 0 && html`<p class="muted">${t("around.no_signals")}</p>`}
    ${signals && shown.filter((name) => name in signals).map((name) => html`<${SignalAround} key=${name} name=${name} signal=${signals[name]} view=${view}
      moment=${stop.began_ms} stretches=${stretches} now=${now} decides=${deciding.includes(name)} isFirst=${name === first} />`)}
    ${facts !== undefined && others.length === 0 && html`<button type="button" class="more" onClick=${more}>${t("around.more")}</button>`}
  </section>`;
}
