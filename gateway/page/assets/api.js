// Asks the daemon: answers are JSON, errors are words, and where it wants to know who asks, so does the page.
import { t } from "./texts.js";
import { askWho } from "./sign.js";

/** What went wrong and what to do about it, in words; `status` is HTTP's, 0 where nobody answered. */
export class ApiError extends Error {
  constructor(status, why, remedy) {
    super(why);
    this.status = status;
    this.why = why;
    this.remedy = remedy;
  }
}

/** GET; raises ApiError. `options.signal` ends it early. */
export const get = (path, options = {}) => answered(path, { signal: options.signal });

/** POST a JSON body as whoever is named; asks for name and PIN where they are wanted. Null where the person gave up. */
export async function post(path, body) {
  let refused = null;
  for (let who = signedIn(); ; who = await askWho(refused, await operators())) {
    if (who === null) return null;
    try {
      const found = await answered(path, posted(body, who));
      remember(who);
      return found;
    } catch (error) {
      if (error.status !== 401) throw error;
      forget();
      refused = who.pin === "" ? null : error;
    }
  }
}

const KEPT_MS = 120_000;
let kept = null;

/** Who is known to be there: for two minutes after the last entry, so that a shared panel does not stay somebody's. */
export function signedIn() {
  if (kept !== null && performance.now() - kept.at > KEPT_MS) forget();
  return kept === null ? { name: "", pin: "" } : kept.who;
}

/** Nobody is there any more. */
export function forget() {
  kept = null;
}

function remember(who) {
  if (who.pin !== "") kept = { who, at: performance.now() };
}

async function operators() {
  return (await get("api/me")).operators;
}

function posted(body, who) {
  const headers = { "Content-Type": "application/json" };
  const sent = { method: "POST", headers, body: JSON.stringify(body) };
  if (who.pin === "") return sent;
  const bytes = new TextEncoder().encode(`${who.name}:${who.pin}`);
  headers.Authorization = `Basic ${btoa(String.fromCharCode(...bytes))}`;
  return { ...sent, credentials: "omit" };
}

async function answered(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, t("api.nobody"), t("api.nobody.remedy"));
  }
  const isJson = /json/.test(answer.headers.get("Content-Type") ?? "");
  const body = isJson ? await answer.json() : { why: (await answer.text()).trim() };
  if (answer.ok) return body;
  throw new ApiError(answer.status, body.why || t("api.refused", { status: answer.status }), body.remedy ?? "");
}
