// Which colour a machine has: its PackML state, seen in the light of what its time is accounted to.
const OF_CATEGORY = {
  production: "run",
  setup: "setup",
  unplanned_stop: "stop",
  starved: "wait",
  blocked: "wait",
  suspended: "wait",
  idle: "ready",
  no_demand: "off",
  planned_stop: "off",
  unknown: "unknown",
};
const SAID_BY_STATE = new Set(["production", "unplanned_stop", "suspended", "idle", "unknown"]);

/** run, ready, setup, wait, stop, abort, off or unknown: `--<tone>`, `--<tone>-ink` and `--<tone>-soft` in the style sheet. */
export function toneOf(state, category) {
  if (category === "unplanned_stop" && (state === "aborted" || state === "aborting")) return "abort";
  return OF_CATEGORY[category] ?? "unknown";
}

/** Whether the category says something that the state does not. */
export function isTelling(state, category) {
  return !SAID_BY_STATE.has(category) || (category === "unplanned_stop" && state === "execute");
}
