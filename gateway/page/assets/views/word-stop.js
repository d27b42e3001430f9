// What a person says of one stop: its reason by one press, a note, and where one stop was two, or two were one.
import { html, useEffect, useMemo, useRef, useState } from "../vendor/preact-htm.js";
import { momentOf, shortOf } from "../format.js";
import { useAnswer } from "../follow.js";
import { Refusal } from "../refusal.js";
import { t, word } from "../texts.js";
import { Said, firstOut, lengthOf, nameOfStop, needsReason } from "./stops.js";
import { Entry } from "./word-entries.js";
import { Reasons, usesOf } from "./word-reasons.js";
import { Failed, useDraft, useSend } from "./word-send.js";
import { Merge, Split } from "./word-shape.js";

/** Whether the list stays beside the form. */
export const beside = matchMedia("(min-width: 60rem)");
const BESIDE_MS = 2 * 3_600_000;

export function StopForm({ id, listed, about, entries, now, onBack, onGiven, onChoose }) {
  const [known, keep] = useState(listed);
  const heading = useRef(null);
  useEffect(() => {
    if (listed !== undefined) keep(listed);
  }, [listed]);
  useEffect(() => heading.current?.focus({ preventScroll: beside.matches }), []);
  const stop = listed ?? known;
  const back = html`<button type="button" class="big back" onClick=${onBack}>‹ ${t("word.back")}</button>`;
  if (stop === undefined) return html`${back}<p class="empty" role="status" ref=${heading} tabindex="-1">${t("word.stop_gone")}</p>`;
  return html`<header class="form-head">${back}<div><h2 ref=${heading} tabindex="-1">${stop.machine}: ${nameOfStop(stop)} <${Said} reason=${stop.reason} /></h2>
      <p class="muted number">${stop.ended_ms === null ? t("word.since", { time: shortOf(stop.began_ms, now) }) : `${momentOf(stop.began_ms)}`} · ${lengthOf(stop, now)} · ${[word("stopkind", stop.kind), firstOut(stop)].filter(Boolean).join(" · ")}</p></div>
    </header>
    <${Give} stop=${stop} about=${about} entries=${entries} now=${now} onGiven=${onGiven} />
    <${Shape} stop=${stop} now=${now} onChoose=${onChoose} />
    <${History} stop=${stop} entries=${entries} />`;
}

/** The reason, and a note that goes with it or alone. */
function Give({ stop, about, entries, now, onGiven }) {
  const sending = useSend();
  const [note, write, forget] = useDraft(`note ${stop.stop}`, "");
  const machine = about?.machines.find(({ name }) => name === stop.machine);
  const uses = useMemo(() => usesOf(entries, stop.machine), [entries.length > 0, stop.machine]); // buttons stay where they are
  const told = (name) => t("word.told", { machine: stop.machine, time: shortOf(stop.began_ms, now), name });
  const give = (what, values, name) => {
    const words = note.trim();
    const body = { what, machine: stop.machine, target: stop.stop, ...values, ...(words && { note: words }) };
    sending.send(body, told(name), () => {
      forget(note);
      onGiven();
    });
  };
  const reasons = machine?.reasons ?? [];
  return html`<section class="give"><h3>${needsReason(stop) ? t("word.why") : t("word.other_reason")}</h3>
    <${Failed} sending=${sending} />
    ${machine !== undefined && reasons.length === 0 && html`<p class="muted">${t("reasons.none")}</p>`}
    <${Reasons} reasons=${reasons} uses=${uses} given=${stop.reason?.code ?? null} busy=${sending.busy} onPick=${(reason) => give("reason", { reason: reason.code }, reason.text || reason.code)}>
      <label class="field">${t("word.note")}
        <textarea name="note" rows="1" maxlength="1000" value=${note} onInput=${({ target }) => write(target.value)}></textarea></label>
    </${Reasons}>
    ${note.trim() && html`<button type="button" class="big" data-action="note" disabled=${sending.busy} onClick=${() => give("note", {}, t("word.note_only"))}>${t("word.save_note")}</button>`}
  </section>`;
}

/** Splitting and merging want to know what was around the stop. */
function Shape({ stop, now, onChoose }) {
  const [isOpen, setOpen] = useState(false);
  return html`<details class="shape" onToggle=${({ currentTarget }) => setOpen(currentTarget.open)}>
    <summary class="big">${t("word.shape")}</summary>
    ${isOpen && html`<${Around} stop=${stop} now=${now} onChoose=${onChoose} />`}
  </details>`;
}

function Around({ stop, now, onChoose }) {
  const span = new URLSearchParams({ machine: stop.machine, from: stop.began_ms - BESIDE_MS });
  if (stop.ended_ms !== null) span.set("to", stop.ended_ms + BESIDE_MS);
  const { answer, error } = useAnswer(`api/history?${span}`);
  if (error !== null) return html`<${Refusal} error=${error} />`;
  if (answer === null) return html`<p class="muted" role="status">${t("word.loading")}</p>`;
  const { intervals, stops } = answer.machines[stop.machine];
  const named = intervals.map((row) => Object.fromEntries(answer.columns.intervals.map((name, index) => [name, row[index]])));
  const real = stops.filter((one) => one.merged_into === undefined && one.ended_ms !== one.began_ms);
  return html`<${Split} stop=${stop} intervals=${named} now=${now} onChoose=${onChoose} />
    <${Merge} stop=${stop} stops=${real} now=${now} onChoose=${onChoose} />`;
}

function History({ stop, entries }) {
  const mine = entries.filter((one) => one.target === stop.stop || stop.entries?.includes(one.entry));
  if (mine.length === 0) return null;
  return html`<section class="of-stop"><h3>${t("stop.said")}</h3><ul class="entries">${mine.map((one) => html`<${Entry} key=${one.entry} entry=${one} entries=${entries} />`)}</ul></section>`;
}
