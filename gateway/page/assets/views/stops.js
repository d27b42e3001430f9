// Stops in words, the same in every view: what it was, how long, what it is put down to.
import { html, useEffect, useRef } from "../vendor/preact-htm.js";
import { durationOf, numberOf, shortOf, valueOf } from "../format.js";
import { t, word } from "../texts.js";
import { secondsOf } from "../charts/sums.js";

const REST_MS = 300;
const SHORT_S = 10;
const ASKED = new Set(["own", "unknown", "external"]);

/** Whether a person should say what a stop was. */
export const needsReason = (stop) => !stop.reason && ASKED.has(stop.kind);

/** What a stop is put down to: its reason's words, else what kind it is. */
export function nameOfStop(stop) {
  if (stop.reason) return stop.reason.text || stop.reason.code;
  return stop.kind === "external" ? word("category", stop.category) : word("stopkind", stop.kind);
}

const TONES = { own: "stop", external: "wait", setup: "setup", unknown: "unknown", idle: "ready" };

/** Which of the page's tones a kind of stop has. */
export const toneOfKind = (kind) => TONES[kind] ?? "off";

/** The signal that was out first, and what it was: the machine's own first word on why. */
export const firstOut = ({ first_out: first }) => (first ? t("stop.first_out", { signal: first.signal, value: first.value === null ? t("around.bad") : valueOf(first) }) : null);

/** How long a stop has lasted, in words; to a tenth of a second where it was short. */
export function lengthOf(stop, now) {
  const seconds = secondsOf(stop, now);
  return stop.ended_ms !== null && seconds < SHORT_S ? t("duration.s", { s: numberOf(seconds, 1) }) : durationOf(seconds);
}

/** A stop in one sentence, for labels. */
export function toldStop(machine, stop, now) {
  const said = { machine, time: shortOf(stop.began_ms, now), length: lengthOf(stop, now), name: nameOfStop(stop) };
  return stop.ended_ms === null ? t("stop.told_open", said) : t("stop.told", said);
}

/** Whose word a reason is, where it is not the machine's own. */
export const Said = ({ reason }) =>
  reason?.source === "operator" && html`<span class="tag">${t("stop.by_operator")}</span>`;

/** What is after `?` in the address's #. */
export const asked = () => new URLSearchParams(location.hash.split("?")[1] ?? "");

/** A hook: calls back when somebody goes to another address of the same view. */
export function useAsked(view, onAsked) {
  const latest = useRef(onAsked);
  latest.current = onAsked;
  useEffect(() => {
    const follow = () => location.hash.split("?")[0] === `#${view}` && latest.current(asked());
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, [view]);
}

let writing = 0;

/** Puts what is shown into the address when that has come to rest, so that it can be passed on; no step in the browser's history. */
export function address(view, values) {
  const said = new URLSearchParams(Object.entries(values).filter(([, value]) => value !== null && value !== undefined));
  const hash = said.size ? `#${view}?${said}` : `#${view}`;
  clearTimeout(writing);
  writing = setTimeout(() => {
    const isThere = location.hash.split("?")[0] === `#${view}`;
    if (isThere && location.hash !== hash) history.replaceState(null, "", hash);
  }, REST_MS);
}
