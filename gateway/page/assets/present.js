// Who is there: known for two minutes after the page was last touched, so that a shared panel does not stay somebody's.
import { useEffect, useState } from "./vendor/preact-htm.js";
import { keep, recall } from "./memory.js";

const KEPT_MS = 120_000;
const MOST_NAMES = 8;
const NAMES = "names";

let who = null;
let touchedAt = 0;
const followers = new Set();

/** `{name, pin}`, or null where nobody is known to be there. */
export function present() {
  if (who !== null && performance.now() - touchedAt > KEPT_MS) leave();
  return who;
}

/** Somebody has said who it is, and was believed. */
export function arrive(name, pin) {
  who = { name, pin };
  touchedAt = performance.now();
  remember(name);
  tell();
}

/** Nobody is there any more. */
export function leave() {
  who = null;
  tell();
}

/** A hook: who is there. */
export function usePresent() {
  const [, redraw] = useState(0);
  useEffect(() => {
    const follow = () => redraw((count) => count + 1);
    followers.add(follow);
    return () => followers.delete(follow);
  }, []);
  return present();
}

function tell() {
  for (const follow of followers) follow();
}

function touched() {
  if (present() !== null) touchedAt = performance.now();
}
for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, touched, { capture: true, passive: true });
setInterval(present, 1000);

/** Names that were used on this device, the last one first. */
export function namesUsed() {
  try {
    const names = JSON.parse(recall(NAMES) ?? "[]");
    return Array.isArray(names) ? names.filter((name) => typeof name === "string").slice(0, MOST_NAMES) : [];
  } catch {
    return []; // what is kept there is not ours
  }
}

function remember(name) {
  keep(NAMES, JSON.stringify([name, ...namesUsed().filter((one) => one !== name)].slice(0, MOST_NAMES)));
}
