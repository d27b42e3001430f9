// The stops that wait for a reason, the recent ones, and the one that is spoken of.
import { html, useRef, useState } from "../vendor/preact-htm.js";
import { useNow } from "../clock.js";
import { shortOf } from "../format.js";
import { useAnswer } from "../follow.js";
import { Refusal } from "../refusal.js";
import { t } from "../texts.js";
import { foundStop } from "../charts/sums.js";
import { Said, firstOut, lengthOf, nameOfStop, needsReason, toneOfKind } from "./stops.js";
import { StopForm, beside } from "./word-stop.js";

const FIRST = 30;
const RECENT = 200;

export function Stops({ line, about, entries, waiting, chosen, onChoose }) {
  const now = useNow() ?? Date.parse(line.time);
  const [isAll, setAll] = useState(false);
  const list = useRef(null);
  const recent = useAnswer(`api/stops?limit=${RECENT}`);
  const wants = waiting.answer?.stops ?? [];
  const others = (recent.answer?.stops ?? []).filter((stop) => stop.merged_into === undefined && !needsReason(stop));
  const found = chosen === null ? undefined : foundStop([...wants, ...(recent.answer?.stops ?? [])], chosen);
  const back = () => {
    onChoose(null);
    setTimeout(() => list.current?.querySelector("button")?.focus());
  };
  // where the form took the list's place, the list comes back when a reason was given
  const given = () => beside.matches || back();
  const rows = (stops) => html`<ul>${stops.map((stop) => html`<${Row} key=${stop.stop} stop=${stop} now=${now} isChosen=${stop.stop === found?.stop} onChoose=${() => onChoose(stop.stop)} />`)}</ul>`;
  return html`<div class="word-stops" data-open=${chosen !== null ? "" : null}>
    <div class="panel queue" ref=${list}>
      <h2>${t("word.queue")} <span class="muted">${waiting.answer?.total > wants.length ? t("plumbing.of", { some: wants.length, all: waiting.answer.total }) : wants.length || ""}</span></h2>
      ${waiting.error && html`<${Refusal} error=${waiting.error} />`}
      ${wants.length > 0 ? rows(wants) : html`<p class="empty">${t(waiting.answer === null ? "word.loading" : "word.none_waiting")}</p>`}
      ${others.length > 0 && html`<h2>${t("word.recent")}</h2>${rows(others.slice(0, isAll ? RECENT : FIRST))}
        ${!isAll && others.length > FIRST && html`<button type="button" class="more big" onClick=${() => setAll(true)}>${t("stops.more", { count: others.length - FIRST })}</button>`}`}
    </div>
    <div class="panel form">
      ${chosen === null ? html`<p class="empty">${t("word.choose_stop")}</p>`
      : html`<${StopForm} key=${chosen} id=${chosen} listed=${found} about=${about} entries=${entries} now=${now} onBack=${back} onGiven=${given} onChoose=${onChoose} />`}
    </div>
  </div>`;
}

function Row({ stop, now, isChosen, onChoose }) {
  return html`<li><button type="button" class="queue-row" data-stop=${stop.stop} data-tone=${toneOfKind(stop.kind)} aria-current=${isChosen ? "true" : null} onClick=${onChoose}>
    <span class="queue-machine cut">${stop.machine}</span>
    <span class="queue-length number">${lengthOf(stop, now)}</span>
    <span class="queue-why cut">${[nameOfStop(stop), needsReason(stop) && firstOut(stop)].filter(Boolean).join(" · ")}</span>
    <span class="queue-since number">${stop.ended_ms === null ? t("word.since", { time: shortOf(stop.began_ms, now) }) : shortOf(stop.began_ms, now)}</span>
    ${(stop.ended_ms === null || stop.reason?.source === "operator") && html`<span class="queue-tags">${stop.ended_ms === null && html`<span class="tag">${t("word.now")}</span>`}<${Said} reason=${stop.reason} /></span>`}
  </button></li>`;
}
