// Scrap, job and product, and the crew: what a person says where no signal does.
import { html } from "../vendor/preact-htm.js";
import { countOf } from "../format.js";
import { t } from "../texts.js";
import { Reasons, usesOf } from "./word-reasons.js";
import { Failed, useDraft, useSend } from "./word-send.js";

const STEPS = [-10, -1, 1, 10];
const MOST = 10_000_000;
const AGO_MIN = [0, 30, 60, 120, 240];

const agoOf = (min) => (min === 0 ? t("scrap.now") : min < 60 ? t("scrap.ago", { min }) : t("scrap.ago_hours", { hours: min / 60 }));
const LINE = "line";
const NO_SCRAP = { amount: "", reason: null, note: "", ago: 0 };
const NO_JOB = { job: "", product: "", target: "", due: "" };

/** One machine of several, as big buttons. */
function Machines({ names, chosen, onChoose }) {
  if (names.length < 2) return null;
  return html`<div class="pick" role="group" aria-label=${t("word.machine")}>${names.map((name) => html`
    <button type="button" key=${name} class="big cut" data-for=${name} aria-pressed=${String(name === chosen)} onClick=${() => onChoose(name)}>${name === LINE ? t("said.line") : name}</button>`)}</div>`;
}

export function Scrap({ line, about, entries }) {
  const names = Object.keys(line.machines).filter((name) => line.machines[name].enters?.scrap);
  const [wanted, choose] = useDraft("scrap machine", names[0]);
  const machine = names.includes(wanted) ? wanted : names[0];
  const [draft, put, forget] = useDraft(`scrap ${machine}`, NO_SCRAP);
  const { amount, reason, note, ago } = draft;
  const sending = useSend();
  const reasons = about?.machines.find(({ name }) => name === machine)?.reasons ?? [];
  const number = /^\d+$/.test(amount) ? Number(amount) : null;
  const isGood = number !== null && number >= 1 && number <= MOST;
  const enter = (event) => {
    event.preventDefault();
    if (!isGood) return;
    const words = note.trim();
    const body = { what: "scrap", machine, amount: number, ...(reason && { reason }), ...(words && { note: words }) };
    if (ago > 0) body.at = new Date(Date.parse(line.time) - ago * 60_000).toISOString();
    sending.send(body, t("scrap.told", { machine, amount: countOf(number) }), () => forget(draft));
  };
  const step = (by) => put({ ...draft, amount: String(Math.min(MOST, Math.max(0, (number ?? 0) + by))) });
  return html`<form class="panel more-form" data-form="scrap" onSubmit=${enter}><h2>${t("scrap.title")}</h2>
    <${Machines} names=${names} chosen=${machine} onChoose=${choose} />
    <label class="field">${t("scrap.amount", { machine })}
      <input name="amount" inputmode="numeric" pattern="[0-9]*" autocomplete="off" maxlength="8" value=${amount} onInput=${({ target }) => put({ ...draft, amount: target.value.trim() })}
        aria-invalid=${(amount !== "" && !isGood) || sending.failed !== null ? "true" : null} aria-describedby="scrap-hint scrap-failed" /></label>
    <div class="steps" role="group" aria-label=${t("scrap.steps")}>${STEPS.map((by) => html`<button type="button" key=${by} class="big" onClick=${() => step(by)}>${by > 0 ? "+" : "−"}${Math.abs(by)}</button>`)}</div>
    <p id="scrap-hint" class=${amount !== "" && !isGood ? "refused" : "muted"}>${t("scrap.hint", { unit: line.line.unit })}</p>
    <h3>${t("scrap.when")}</h3>
    <div class="pick" role="group" aria-label=${t("scrap.when")}>${AGO_MIN.map((one) => html`<button type="button" key=${one} class="big" aria-pressed=${String(one === ago)} onClick=${() => put({ ...draft, ago: one })}>${agoOf(one)}</button>`)}</div>
    ${reasons.length > 0 && html`<h3>${t("scrap.reason")}</h3>
      <${Reasons} reasons=${reasons} uses=${usesOf(entries, machine)} given=${reason} busy=${false} onPick=${({ code }) => put({ ...draft, reason: code === reason ? null : code })} />`}
    <label class="field">${t("scrap.note")}<textarea name="note" rows="2" maxlength="1000" value=${note} onInput=${({ target }) => put({ ...draft, note: target.value })}></textarea></label>
    <div id="scrap-failed"><${Failed} sending=${sending} /></div>
    <button type="submit" class="big primary" disabled=${!isGood || sending.busy}>${isGood ? t("scrap.enter", { amount: countOf(number) }) : t("scrap.enter_none")}</button>
  </form>`;
}

export function Job({ line, about, entries }) {
  const able = Object.keys(line.machines).filter((name) => line.machines[name].enters?.job);
  const names = able.length === Object.keys(line.machines).length ? [LINE, ...able] : able;
  const [wanted, choose] = useDraft("job machine", names[0]);
  const machine = names.includes(wanted) ? wanted : names[0];
  const [draft, put, forget] = useDraft(`job ${machine}`, NO_JOB);
  const { job, product, target, due } = draft;
  const sending = useSend();
  const products = about?.products ?? [];
  const subject = machine === LINE ? t("said.line") : machine;
  const send = (values, told) => sending.send({ what: "job", machine, ...values }, told, () => forget(draft));
  const enter = (event) => {
    event.preventDefault();
    const values = { ...(job.trim() && { job: job.trim() }), ...(product.trim() && { product: product.trim() }) };
    if (!Object.keys(values).length) return;
    const more = machine === LINE ? { ...(target && { job_target: Number(target) }), ...(due && { job_due: new Date(due).toISOString() }) } : {};
    send({ ...values, ...more }, t("job.told", { subject, job: Object.values(values).join(", ") }));
  };
  const jobs = [...new Set(entries.filter((one) => one.what === "job" && one.given_job).map((one) => one.given_job))].slice(0, 6);
  return html`<form class="panel more-form" data-form="job" onSubmit=${enter}><h2>${t("job.title")}</h2>
    ${line.job && html`<p>${t("job.now", { job: [line.job.job, line.job.product].filter(Boolean).join(", ") })}</p>`}
    <${Machines} names=${names} chosen=${machine} onChoose=${choose} />
    <label class="field">${t("job.job")}<input name="job" value=${job} maxlength="100" autocomplete="off" onInput=${({ target }) => put({ ...draft, job: target.value })} /></label>
    ${jobs.length > 0 && html`<div class="pick" role="group" aria-label=${t("job.used")}>${jobs.map((one) => html`<button type="button" key=${one} class="big cut" aria-pressed=${String(one === job)} onClick=${() => put({ ...draft, job: one })}>${one}</button>`)}</div>`}
    <label class="field">${t("job.product")}<input name="product" value=${product} maxlength="100" autocomplete="off" onInput=${({ target }) => put({ ...draft, product: target.value })} /></label>
    ${products.length > 0 && html`<div class="pick" role="group" aria-label=${t("job.products")}>${products.map((one) => html`<button type="button" key=${one.product} class="big cut" data-product=${one.product} aria-pressed=${String(one.product === product)} onClick=${() => put({ ...draft, product: one.product === product ? "" : one.product })}>${one.text || one.product}</button>`)}</div>`}
    ${machine === LINE && html`<div class="pick"><label class="field">${t("job.target")}<input name="target" type="number" min="1" max="1000000000" step="1" value=${target} onInput=${({ target: field }) => put({ ...draft, target: field.value })} /></label>
      <label class="field">${t("job.due")}<input name="due" type="datetime-local" value=${due} onInput=${({ target: field }) => put({ ...draft, due: field.value })} /></label></div>`}
    <${Failed} sending=${sending} />
    <div class="buttons"><button type="submit" class="big primary" disabled=${(!job.trim() && !product.trim()) || sending.busy}>${t("job.enter")}</button>
      <button type="button" class="big" data-action="no-job" disabled=${sending.busy} onClick=${() => send({ job: "" }, t("job.told_none", { subject }))}>${t("job.none_any_more")}</button></div>
  </form>`;
}

export function Crew({ line, entries }) {
  const [crew, setCrew, forget] = useDraft("crew", "");
  const sending = useSend();
  const used = [...new Set(entries.filter((one) => one.what === "crew" && one.crew).map((one) => one.crew))].slice(0, 8);
  const enter = (event) => {
    event.preventDefault();
    const name = crew.trim();
    if (name) sending.send({ what: "crew", machine: LINE, crew: name }, t("crew.told", { crew: name }), () => forget(crew));
  };
  return html`<form class="panel more-form" data-form="crew" onSubmit=${enter}><h2>${t("crew.title")}</h2>
    <p>${line.crew ? t("crew.now", { crew: line.crew }) : t("crew.not_known")}</p>
    <label class="field">${t("crew.crew")}<input name="crew" value=${crew} maxlength="100" autocomplete="off" onInput=${({ target }) => setCrew(target.value)} /></label>
    ${used.length > 0 && html`<div class="pick" role="group" aria-label=${t("crew.used")}>${used.map((one) => html`<button type="button" key=${one} class="big cut" aria-pressed=${String(one === crew)} onClick=${() => setCrew(one)}>${one}</button>`)}</div>`}
    <${Failed} sending=${sending} />
    <button type="submit" class="big primary" disabled=${!crew.trim() || sending.busy}>${t("crew.enter")}</button>
  </form>`;
}
