// Asks the daemon: answers are JSON, errors are words, and where it wants to know who asks, so does the page.
import { address } from "./address.js";
import { t } from "./texts.js";
import { arrive, leave, present } from "./present.js";
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

const PATIENCE_MS = 20_000;

/** For what is asked in passing: that nobody answered is no matter, a mistake of the page is one. */
export function unanswered(error) {
  if (!(error instanceof ApiError) && error.name !== "AbortError") throw error;
  return null;
}

/** POST a JSON body as whoever is there; asks who that is where it is not known, or not believed. Null where the person gave up. */
export async function post(path, body) {
  let who = present();
  let me = null;
  let refused = null;
  for (;;) {
    if (who === null) {
      me ??= await get("api/me");
      who = await askWho(me, refused?.error ?? null, refused?.who ?? null);
      if (who === null) return null;
    }
    try {
      const found = await answered(path, posted({ ...body, who: who.name }, who));
      arrive(who.name, who.pin);
      return found;
    } catch (error) {
      if (error.status !== 401) throw error;
      leave();
      me = { ...(me ?? (await get("api/me"))), wants_pin: true };
      refused = { who, error: who.pin === "" ? null : error };
      who = null;
    }
  }
}

function posted(body, who) {
  const headers = { "Content-Type": "application/json" };
  const sent = { method: "POST", headers, body: JSON.stringify(body) };
  if (who.pin === "") return sent;
  const bytes = new TextEncoder().encode(`${who.name}:${who.pin}`);
  headers.Authorization = `Basic ${btoa(String.fromCharCode(...bytes))}`;
  return { ...sent, credentials: "omit" }; // else a refusal would open the browser's own dialog
}

async function answered(path, { signal, ...options }) {
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), PATIENCE_MS);
  signal?.addEventListener("abort", () => patience.abort());
  try {
    const answer = await fetch(address(path), { ...options, signal: patience.signal });
    const isJson = /json/.test(answer.headers.get("Content-Type") ?? "");
    const body = isJson ? await answer.json() : { why: (await answer.text()).trim() };
    if (answer.ok) return body;
    throw new ApiError(answer.status, body.why || t("api.refused", { status: answer.status }), body.remedy ?? "");
  } catch (error) {
    if (error instanceof ApiError || signal?.aborted) throw error;
    throw new ApiError(0, t("api.nobody"), t("api.nobody.remedy"));
  } finally {
    clearTimeout(timer);
  }
}
