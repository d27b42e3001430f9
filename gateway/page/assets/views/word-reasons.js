// The configured reasons as big buttons: those used most first, then by group, with a search where there are many.
import { html, useMemo, useState } from "../vendor/preact-htm.js";
import { t } from "../texts.js";

const MANY = 12;
const OFTEN = 6;

/** `uses` counts codes; `given` is the code that stands; `onPick(reason)` is called by one press; children stand beside the search. */
export function Reasons({ reasons, uses, given, busy, onPick, children }) {
  const [sought, seek] = useState("");
  const groups = useMemo(() => grouped(reasons, uses, sought), [reasons, uses, sought]);
  const one = (reason) => html`<button type="button" key=${reason.code} class="reason" data-reason=${reason.code} disabled=${busy}
      aria-pressed=${String(reason.code === given)} onClick=${() => onPick(reason)}>${reason.text || reason.code}</button>`;
  return html`<div class="reasons">
    <div class="reason-tools">${children}
      ${reasons.length > MANY && html`<label class="field">${t("reasons.search")}
        <input type="search" value=${sought} onInput=${({ target }) => seek(target.value)} autocomplete="off" /></label>`}</div>
    ${groups.map(({ name, reasons: members }) => html`<div key=${name} role="group" aria-label=${name || t("reasons.all")}>
      ${name && html`<h4>${name}</h4>`}<div class="reason-buttons">${members.map(one)}</div></div>`)}
    ${reasons.length > 0 && groups.length === 0 && html`<p class="muted">${t("reasons.none_found")}</p>`}
  </div>`;
}

function grouped(reasons, uses, sought) {
  const words = sought.trim().toLocaleLowerCase();
  const found = reasons.filter(({ code, text, group }) => `${code} ${text ?? ""} ${group ?? ""}`.toLocaleLowerCase().includes(words));
  const often = words !== "" || reasons.length <= OFTEN ? []
    : found.filter(({ code }) => uses.get(code)).sort((a, b) => uses.get(b.code) - uses.get(a.code)).slice(0, OFTEN);
  const groups = new Map();
  for (const reason of found) {
    if (often.includes(reason)) continue;
    const name = reason.group ?? "";
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(reason);
  }
  const named = [...groups].filter(([name]) => name !== "").map(([name, members]) => ({ name, reasons: members }));
  if (groups.has("")) named.push({ name: named.length || often.length ? t("reasons.others") : "", reasons: groups.get("") });
  return often.length ? [{ name: t("reasons.often"), reasons: often }, ...named] : named;
}

/** How often each reason was given, of a machine's stops and entries. */
export function usesOf(entries, machine) {
  const uses = new Map();
  for (const { what, subject, reason } of entries) {
    if (what === "reason" && subject === machine && reason) uses.set(reason.code, (uses.get(reason.code) ?? 0) + 1);
  }
  return uses;
}
