// Shapes that say what colours say: one for each state, drawn here so that nothing is fetched.
import { html } from "./vendor/preact-htm.js";

const PATHS = {
  play: "M7 4.5v15l12.5-7.5z",
  pause: "M6 4.5h4.5v15H6zM13.500 4.5H18v15h-4.500z",
  stop: "M5 5h14v14H5z",
  cross: "M8 2.500h8l5.500 5.500v8l-5.500 5.500H8L2.500 16V8zM8.600 7.200 7.200 8.600l3.400 3.400-3.400 3.400 1.400 1.400 3.400-3.400 3.400 3.400 1.400-1.400-3.400-3.400 3.400-3.400-1.400-1.400-3.400 3.400z",
  wait: "M12 2.500 21.500 12 12 21.500 2.500 12zM11 7v6h2V7zm0 8v2h2v-2z",
  ready: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zm0 3a6 6 0 1 1 0 12 6 6 0 0 1 0-12z",
  turn: "M12 3a9 9 0 0 1 8.500 6h-3.300A6 6 0 1 0 18 12h3a9 9 0 1 1-9-9zm9 0v7h-7z",
  question: "M8 8.500a4 4 0 1 1 6 3.460c-.800.500-1 .900-1 1.540v1h-2v-1c0-1.700.900-2.500 2-3.200A2 2 0 1 0 10 8.500zM11 16.500h2.200v2.300H11z",
  good: "M9.500 17.600 4 12.100l1.900-1.900 3.600 3.600 8.600-8.600L20 7.100z",
  warn: "M12 2.500 23 21H1zM11 9v6h2V9zm0 8v2h2v-2z",
  fail: "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zM8.200 6.800 12 10.600l3.800-3.800 1.400 1.400L13.400 12l3.800 3.800-1.400 1.400-3.800-3.800-3.800 3.800-1.400-1.400L10.600 12 6.800 8.200z",
  line: "M3 17h18v2H3zM4 8h4v7H4zM10 5h4v10h-4zM16 10h4v5h-4z",
  time: "M3 5h9v4H3zM14 5h7v4h-7zM3 11h5v4H3zM10 11h11v4H10zM3 17h13v3H3z",
  signals: "M2 13h4l2.500-8 4 15 3-9 1.500 2H22v-2h-3.500L15 7l-2.500 6.500L8.800 1.500 4.700 11H2z",
  plumbing: "M21 6.500a5 5 0 0 1-6.600 4.700L7 18.600a2.200 2.200 0 1 1-3.100-3.100l7.400-7.400A5 5 0 0 1 17.600 1.800L14.500 5l.500 2.900 2.900.500 3.200-3.100c.300.400-.100.800-.100 1.200z",
  word: "M3 4h18v12h-9l-5 5v-5H3zM6 7.500v1.800h12V7.500zm0 3.700V13h8v-1.800z",
  theme: "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm0 2.500v15a7.500 7.500 0 0 1 0-15z",
};

/** An icon that says nothing to a screen reader: words stand beside it. */
export const Icon = ({ name }) =>
  html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path fill-rule="evenodd" d=${PATHS[name]} /></svg>`;

const OF_STATE = {
  execute: "play", completing: "play",
  idle: "ready", complete: "ready", starting: "turn", resetting: "turn", unholding: "turn", unsuspending: "turn", clearing: "turn",
  suspended: "wait", suspending: "wait",
  held: "pause", holding: "pause",
  stopped: "stop", stopping: "stop",
  aborted: "cross", aborting: "cross",
};

/** The icon of a PackML state. */
export const iconOf = (state) => OF_STATE[state] ?? "question";
