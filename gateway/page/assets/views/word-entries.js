// What people said in the last hours: who, when, what, and the way back.
import { html } from "../vendor/preact-htm.js";
import { countOf, momentOf, shortOf } from "../format.js";
import { Refusal } from "../refusal.js";
import { t, word } from "../texts.js";
import { useSend } from "./word-send.js";

export function Said({ line, answer: { answer, error } }) {
  const entries = answer?.entries ?? [];
  const now = Date.parse(line.time);
  return html`<section class="panel said-list" aria-label=${t("said.title")}><h2>${t("said.title")}</h2>
    ${error && html`<${Refusal} error=${error} />`}
    ${entries.length === 0 ? html`<p class="empty">${t(answer === null ? "word.loading" : "said.none")}</p>`
    : html`<ul class="entries">${entries.map((one) => html`<${Entry} key=${one.entry} entry=${one} entries=${entries} now=${now} />`)}</ul>`}
  </section>`;
}

/** What an entry says, in a few words. */
function words(entry) {
  const said = [entry.reason && (entry.reason.text || entry.reason.code)];
  if (entry.what === "scrap") said.unshift(t("said.parts", { amount: countOf(entry.amount) }));
  if (entry.what === "job") said.push(entry.given_job === "" ? t("said.no_job") : entry.given_job, entry.given_product,
    entry.given_target && t("said.target", { amount: countOf(entry.given_target) }), entry.given_due && t("said.due", { time: momentOf(entry.given_due) }));
  if (entry.what === "crew") said.push(entry.crew);
  if (entry.what === "split" && entry.at) said.push(t("said.at", { time: momentOf(entry.at) }));
  return said.filter(Boolean).join(", ");
}

/** One entry as a row; struck through where it was taken back. */
export function Entry({ entry, entries, now = null }) {
  const undoing = useSend();
  const undo = entries.find((one) => one.what === "undo" && one.target === entry.entry);
  const undone = entry.what === "undo" ? entries.find((one) => one.entry === entry.target) : null;
  const subject = entry.subject === "line" ? t("said.line") : entry.subject;
  const time = now === null ? momentOf(entry.when) : shortOf(entry.when, now);
  const what = undone ? t("said.undid", { what: word("what", undone.what), words: words(undone) }) : word("what", entry.what);
  const send = () => undoing.send({ what: "undo", machine: entry.subject, target: entry.entry }, t("word.undone", { what: `${subject}: ${words(entry) || word("what", entry.what)}` }));
  return html`<li class="entry" data-entry=${entry.entry} data-undone=${undo ? "" : null}>
    <p class="entry-words"><span class="entry-what"><b>${subject}</b> ${what}${words(entry) ? `: ${words(entry)}` : ""}</span>
      ${entry.note && html` <q>${entry.note}</q>`}
      <span class="muted number">${t("said.by", { who: entry.who, time })}</span>
      ${undo && html`<span class="muted">${t("said.undone_by", { who: undo.who })}</span>`}</p>
    ${!undo && entry.what !== "undo" && html`<button type="button" class="big" data-undo=${entry.entry} disabled=${undoing.busy} onClick=${send}>${t("word.undo")}</button>`}
    ${undoing.failed && html`<${Refusal} error=${undoing.failed.error} isUrgent=${true} />`}
  </li>`;
}
