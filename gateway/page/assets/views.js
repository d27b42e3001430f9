// The views, in the order of the tabs: `name` is the address's # and the key of its words and icon.
import { LineView } from "./views/line.js";
import { PlumbingView } from "./views/plumbing.js";
import { SignalsView } from "./views/signals.js";
import { TimeView } from "./views/time.js";
import { WordView } from "./views/word.js";

export const VIEWS = [
  { name: "line", view: LineView },
  { name: "time", view: TimeView },
  { name: "word", view: WordView },
  { name: "signals", view: SignalsView },
  { name: "plumbing", view: PlumbingView },
];
