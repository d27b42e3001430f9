// The views, in the order of the tabs: `name` is the address's # and the key of its words and icon.
import { LineView } from "./views/line.js";
import { PlumbingView } from "./views/plumbing.js";
import { SignalsView } from "./views/signals.js";

export const VIEWS = [
  { name: "line", view: LineView },
  { name: "signals", view: SignalsView },
  { name: "plumbing", view: PlumbingView },
];
