// Colours and patterns of states, kinds of stops and series, from the page's style; charts ask here and nowhere else.
import { toneOf } from "../tone.js";

const watchers = new Set();
const patterns = new Map();
const tokens = new Map();
const LOOKS = {};
const UNSEEN = new Set(["unknown", "undefined"]);

function forget() {
  tokens.clear();
  patterns.clear();
  for (const watcher of watchers) watcher();
}
addEventListener("themechange", forget);
for (const query of ["(prefers-contrast: more)", "(forced-colors: active)"]) matchMedia(query).addEventListener("change", forget);

/** Calls back when the page's colours have changed; the result ends that. */
export function onColours(watcher) {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

/** The value of a custom property of the page, such as `--ink`. */
export function token(name) {
  if (!tokens.has(name)) tokens.set(name, getComputedStyle(document.documentElement).getPropertyValue(name).trim());
  return tokens.get(name);
}

/** How an interval looks: a tone, and a pattern where that is not known (`unknown`), not seen (`assumed`), or a rest (`break`, ...). */
export function lookOf(interval) {
  const tone = toneOf(interval.state, interval.category);
  const isAssumed = tone === "off" && UNSEEN.has(interval.state);
  const pattern = tone === "unknown" ? "unknown" : isAssumed ? "assumed" : (interval.rest ?? null);
  return LOOKS[`${tone} ${pattern}`] ?? (LOOKS[`${tone} ${pattern}`] = { key: `${tone} ${pattern}`, tone, pattern });
}

/** The same without what tells planned time apart. */
export const plain = (look) => (look.tone === "off" && look.pattern !== "assumed" ? { key: "off", tone: "off", pattern: null } : look);

/** What a canvas fills with for a look. */
export function fillOf(context, look) {
  const colour = token(`--${look.tone}`);
  if (look.pattern === null || look.pattern === "no_shift") return token(look.pattern === null ? `--${look.tone}` : "--off-faint");
  const key = `${look.key} ${devicePixelRatio}`;
  if (!patterns.has(key)) patterns.set(key, hatched(context, colour, look.pattern));
  return patterns.get(key);
}

function hatched(context, colour, kind) {
  const size = Math.round(8 * devicePixelRatio);
  const tile = new OffscreenCanvas(size, size);
  const brush = tile.getContext("2d");
  brush.fillStyle = kind === "unknown" ? token("--surface") : colour;
  brush.fillRect(0, 0, size, size);
  brush.strokeStyle = kind === "unknown" ? colour : token("--surface");
  brush.lineWidth = size / (kind === "unknown" ? 3.2 : 5);
  if (kind === "break" || kind === "maintenance") {
    brush.fillStyle = token("--surface");
    brush.fillRect(0, 0, size, size / 4);
    if (kind === "maintenance") brush.fillRect(0, 0, size / 4, size);
    return repeated(context, tile);
  }
  for (const shift of [-size, 0, size]) {
    brush.beginPath();
    brush.moveTo(shift - 1, size + 1);
    brush.lineTo(shift + size + 1, -1);
    brush.stroke();
  }
  return repeated(context, tile);
}

function repeated(context, tile) {
  const pattern = context.createPattern(tile, "repeat");
  pattern.setTransform(new DOMMatrix().scale(1 / devicePixelRatio));
  return pattern;
}
