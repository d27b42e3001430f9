// Sends what people say: nothing is lost when it fails, and for twenty seconds the last can be taken back at once.
import { html, useEffect, useRef, useState } from "../vendor/preact-htm.js";
import { ApiError, post } from "../api.js";
import { nudge } from "../follow.js";
import { Icon } from "../icons.js";
import { keep, recall } from "../memory.js";
import { Refusal } from "../refusal.js";
import { t } from "../texts.js";

const UNDO_MS = 20_000;
/** Entered, but not stored yet: to send it again would enter it twice. */
const ENTERED = 504;
const DRAFTS = "drafts";
const drafts = new Map(draftsBefore());
const followers = new Set();
let last = null;

/** What was written before the page was loaded anew, by a person or for another version of the daemon. */
function draftsBefore() {
  try {
    return JSON.parse(recall(DRAFTS, "tab") ?? "[]");
  } catch {
    return []; // what is kept there is not ours
  }
}

/**
 * A hook: `[value, set, done]`, of a value that stays while the tab is open, whatever view is shown. `done(sent)`
 * forgets it, unless it is another meanwhile: what was written while the daemon was asked is not lost either.
 */
export function useDraft(key, first) {
  const [, redraw] = useState(0);
  const put = (value) => {
    if (value === first) drafts.delete(key);
    else drafts.set(key, value);
    keep(DRAFTS, JSON.stringify([...drafts]), "tab");
    redraw((count) => count + 1);
  };
  const done = (sent) => drafts.get(key) === sent && put(first);
  return [drafts.has(key) ? drafts.get(key) : first, put, done];
}

/**
 * A hook: `{send, busy, failed}`. `send(body, told, saved)` stores an entry, says so with `told` and calls `saved`; what
 * was refused is in `failed`, as `{error, body, told, saved}`, until something is sent again.
 */
export function useSend() {
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState(null);
  const isThere = useRef(true);
  const isBusy = useRef(false);
  useEffect(() => () => { isThere.current = false; }, []);
  const send = async (said, told, saved) => {
    if (isBusy.current) return;
    const body = { once: oneOfItsOwn(), ...said }; // the same when it is sent again: it may have come there
    isBusy.current = true;
    setBusy(true);
    setFailed(null);
    try {
      const answer = await post("api/entries", body);
      if (answer === null) return; // the person called it off
      sent({ body, told, entry: answer.entry });
      saved?.();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (isThere.current) setFailed({ error, body, told, saved });
    } finally {
      isBusy.current = false;
      if (isThere.current) setBusy(false);
    }
  };
  return { send, busy, failed };
}

/** A text that no other entry has; browsers give UUIDs to pages over TLS or from their own computer alone. */
const oneOfItsOwn = () => crypto.randomUUID?.() ?? crypto.getRandomValues(new Uint32Array(4)).join("-");

function sent(what) {
  clearTimeout(last?.timer);
  last = { ...what, isUndone: what.body.what === "undo", timer: setTimeout(forget, UNDO_MS) };
  nudge();
  tell();
}

function forget() {
  clearTimeout(last?.timer);
  last = null;
  tell();
}

const tell = () => followers.forEach((follow) => follow());

/** Whether the same may be taken another time: it never came there, or there was no room for it just then. */
const isWorthAgain = ({ status }) => status === 0 || status === 408 || status === 429 || (status >= 500 && status !== ENTERED);

/** Why it was not taken, what to do, and the same once more where that helps; nothing is sent again by itself. */
export function Failed({ sending: { send, busy, failed } }) {
  if (failed === null) return null;
  const again = () => send(failed.body, failed.told, failed.saved);
  return html`<div class="failed" role="alert">
    <p><${Icon} name="fail" /> <b>${failed.error.status === ENTERED ? t("word.not_yet_saved") : t("word.not_saved")}</b></p><${Refusal} error=${failed.error} />
    ${isWorthAgain(failed.error) && html`<button type="button" class="big" disabled=${busy} onClick=${again}>${t("word.again")}</button>`}
  </div>`;
}

/** What was saved last, and the way back. */
export function SaidBar() {
  const [, redraw] = useState(0);
  const undoing = useSend();
  useEffect(() => {
    const follow = () => redraw((count) => count + 1);
    followers.add(follow);
    return () => followers.delete(follow);
  }, []);
  const undo = () => undoing.send({ what: "undo", machine: last.body.machine, target: last.entry }, t("word.undone", { what: last.told }));
  return html`<div class="said-bar" data-field="said" role="status">
    ${last !== null && html`<p><${Icon} name="good" /> <span>${last.told}</span></p>
      ${!last.isUndone && html`<button type="button" class="big" data-undo=${last.entry} disabled=${undoing.busy} onClick=${undo}>${t("word.undo")}</button>`}
      <button type="button" class="big close" aria-label=${t("close")} onClick=${forget}>✕</button>`}
    ${undoing.failed && html`<${Refusal} error=${undoing.failed.error} />`}
  </div>`;
}
