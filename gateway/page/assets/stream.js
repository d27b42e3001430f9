// The live stream: one EventSource, begun again with patience when it breaks, and a plain word while nothing comes.
import { address } from "./address.js";
import { setClock } from "./clock.js";
import { keep, recall } from "./memory.js";
import { known, learn } from "./store.js";

const SILENT_MS = 4000;
const FIRST_MS = 500;
const LONGEST_MS = 8000;

let source = null;
let withSignals = false;
let quietSince = 0;
let failures = 0;
let again = null;

/** Begin, and go on until the page is left. */
export function startStream() {
  open();
  setInterval(watch, 500);
  addEventListener("online", retryNow);
  document.addEventListener("visibilitychange", () => document.hidden || retryNow());
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => event.persisted && open());
}

/** Ask for the signals too, or no more: a view does while it is shown. */
export function wantSignals(wanted) {
  if (wanted === withSignals) return;
  withSignals = wanted;
  open();
}

function open() {
  clearTimeout(again);
  again = null;
  source?.close();
  const mine = new EventSource(address(withSignals ? "api/stream?signals" : "api/stream"));
  source = mine;
  quietSince = performance.now();
  let begun = false;
  const heard = (message) => {
    quietSince = performance.now();
    failures = 0;
    if (!begun) {
      begun = true;
      learn({ epoch: known.epoch + 1 });
    }
    return JSON.parse(message.data);
  };
  mine.addEventListener("line", (message) => {
    const line = heard(message);
    setClock(Date.parse(line.time));
    learn({ line, connection: "live" });
  });
  mine.addEventListener("health", (message) => {
    const health = heard(message);
    learn({ health });
    reloadIfNewer(health.releaseId);
  });
  let isFirst = true;
  mine.addEventListener("signals", (message) => {
    takeSignals(heard(message), isFirst);
    isFirst = false;
  });
  mine.addEventListener("bye", (message) => (heard(message).why === "reload" ? open() : broken(mine, "ended")));
  mine.onerror = () => broken(mine, mine.readyState === EventSource.CLOSED ? "refused" : "broken");
}

/** `isAll`: the first message of a stream has every signal there is, each later one those that changed. */
function takeSignals(devices, isAll) {
  if (isAll) known.signals.clear();
  for (const [device, signals] of Object.entries(devices)) {
    for (const [name, signal] of Object.entries(signals)) known.signals.set(`${device}.${name}`, signal);
  }
  learn({ signalsRev: known.signalsRev + 1 });
}

function broken(which, why) {
  if (which !== source) return;
  which.close();
  learn({ connection: known.line === null ? "connecting" : "stale", staleWhy: why });
  const pause = Math.min(LONGEST_MS, FIRST_MS * 2 ** failures) * (0.75 + Math.random() / 2);
  failures += 1;
  clearTimeout(again);
  again = setTimeout(open, pause);
}

function retryNow() {
  if (again !== null) open();
}

function watch() {
  if (again === null && performance.now() - quietSince > SILENT_MS) broken(source, "silent");
}

/** This page is of another daemon: take that one's, but not again and again where something keeps the old one. */
function reloadIfNewer(version) {
  const mine = document.documentElement.dataset.version;
  if (version === mine || recall("reloaded_for", "tab") === version) return;
  if (keep("reloaded_for", version, "tab")) location.reload();
}
