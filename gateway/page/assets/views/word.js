// Operator's word: why machines stopped, scrap, job and crew where no signal gives them, and what was said so far.
import { html, useEffect, useState } from "../vendor/preact-htm.js";
import { leave, usePresent } from "../present.js";
import { useKnown } from "../store.js";
import { useAnswer } from "../follow.js";
import { t, word } from "../texts.js";
import { address, asked, useAsked } from "./stops.js";
import { SaidBar } from "./word-send.js";
import { Crew, Job, Scrap } from "./word-more.js";
import { Said } from "./word-entries.js";
import { Stops } from "./word-stops.js";

const MOST = 200;

export function WordView({ line }) {
  const about = useKnown(({ about }) => about);
  const [part, setPart] = useState(() => asked().get("part") ?? "stops");
  const [chosen, choose] = useState(() => asked().get("stop"));
  const waiting = useAnswer(`api/stops?waiting&limit=${MOST}`);
  const said = useAnswer(`api/entries?limit=${MOST}`);
  useAsked("word", (values) => {
    setPart(values.get("part") ?? "stops");
    choose(values.get("stop"));
  });
  useEffect(() => address("word", { part: part === "stops" ? null : part, stop: part === "stops" ? chosen : null }), [part, chosen]);
  const machines = Object.entries(line.machines);
  const parts = ["stops"];
  if (machines.some(([, { enters }]) => enters?.scrap)) parts.push("scrap");
  if (machines.some(([, { enters }]) => enters?.job)) parts.push("job");
  parts.push("crew", "said");
  const shown = parts.includes(part) ? part : "stops";
  const facts = { line, about, entries: said.answer?.entries ?? [] };
  return html`<section data-view="word" class="word">
    <div class="word-head">
      <div class="parts" role="group" aria-label=${t("word.parts")}>
        ${parts.map((one) => html`<button type="button" key=${one} data-part=${one} aria-pressed=${String(one === shown)} onClick=${() => setPart(one)}>
          ${word("part", one)}${one === "stops" && waiting.answer?.total > 0 && html` <span class="count" aria-label=${t("word.waiting", { count: waiting.answer.total })}>${waiting.answer.total}</span>`}</button>`)}
      </div>
      <${Who} />
    </div>
    ${shown === "stops" && html`<${Stops} ...${facts} waiting=${waiting} chosen=${chosen} onChoose=${choose} />`}
    ${shown === "scrap" && html`<${Scrap} ...${facts} />`}
    ${shown === "job" && html`<${Job} ...${facts} />`}
    ${shown === "crew" && html`<${Crew} ...${facts} />`}
    ${shown === "said" && html`<${Said} line=${line} answer=${said} />`}
    <${SaidBar} />
  </section>`;
}

/** Who is known to be there. */
function Who() {
  const who = usePresent();
  if (who === null) return null;
  return html`<p class="who"><span>${t("word.you_are")} <b>${who.name}</b></span> <button type="button" class="big" onClick=${leave}>${t("word.leave")}</button></p>`;
}
