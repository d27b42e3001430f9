// One machine's lane: its states as a band, its stops below, on a canvas, however many there are.

import { fillOf, lookOf, plain, token } from "./paint.js";
import { endOf, firstAfter } from "./seek.js";

const LANE_HEIGHT = 52;
const BAND = { top: 4, height: 24 };
const STOPS = { top: 30, height: 18 };
const LEAST_ROOM = 14;
/** Narrower than that a pattern of planned time is but noise. */
const PATTERN_ROOM = 8;
const LEAST_LETTERS = 6;

/** Gives a canvas the size of its box in device pixels; its context, in CSS pixels. */
export function fitted(canvas, width, height) {
  const ratio = devicePixelRatio;
  const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== wide || canvas.height !== high) {
    canvas.width = wide;
    canvas.height = high;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

/** Paints a lane. `view` is `{from, to}`, `words` names states and stops, `chosen` is the id of a stop. */
export function paintLane(canvas, width, { intervals, stops }, { view, now, words, chosen }) {
  const context = fitted(canvas, width, LANE_HEIGHT);
  const scale = width / (view.to - view.from);
  const place = (time) => (time - view.from) * scale;
  context.font = `500 12px ${token("--font")}`;
  context.textBaseline = "middle";
  paintBand(context, width, intervals, view, now, place, words);
  paintStops(context, width, stops, view, now, place, words, chosen);
}

function paintBand(context, width, intervals, view, now, place, words) {
  const column = new Column(context);
  for (let index = firstAfter(intervals, view.from, now); index < intervals.length; index += 1) {
    const one = intervals[index];
    if (one.began_ms >= view.to) break;
    const begin = Math.max(0, place(one.began_ms));
    const end = Math.min(width, place(endOf(one, now)));
    const look = end - begin < PATTERN_ROOM ? plain(lookOf(one)) : lookOf(one);
    if (end - begin < 1.5) {
      column.add(look, begin, end);
      continue;
    }
    column.flush();
    context.fillStyle = fillOf(context, look);
    context.fillRect(begin, BAND.top, end - begin, BAND.height);
    label(context, words.state(one), begin, end, BAND, look.pattern === null ? token(`--${look.tone}-ink`) : null, Infinity);
  }
  column.flush();
}

/** Intervals narrower than a pixel: each pixel shows all of them, by their share of its time, from top to bottom. */
class Column {
  constructor(context) {
    this.context = context;
    this.at = null;
    this.shares = new Map();
  }

  add(look, begin, end) {
    const at = Math.floor(begin);
    if (at !== this.at) this.flush();
    this.at = at;
    const known = this.shares.get(look.key);
    if (known === undefined) this.shares.set(look.key, { look, length: Math.max(end - begin, 0.001) });
    else known.length += Math.max(end - begin, 0.001);
  }

  flush() {
    let whole = 0;
    for (const { length } of this.shares.values()) whole += length;
    let top = BAND.top;
    for (const { look, length } of this.shares.values()) {
      const height = (BAND.height * length) / whole;
      this.context.fillStyle = fillOf(this.context, look);
      this.context.fillRect(this.at, top, 1.5, height);
      top += height;
    }
    this.shares.clear();
    this.at = null;
  }
}

/** Writes a word; with at least so many of its letters where there is not room for all, else not at all. On a plate of its own where the ground is hatched. */
function label(context, text, begin, end, box, ink, least) {
  const room = end - begin - 12;
  if (room < LEAST_ROOM || text === "") return;
  let shown = text;
  let width = context.measureText(text).width;
  if (width > room) {
    if (least === Infinity) return;
    const letters = Math.floor((text.length * room) / width) - 1;
    if (letters < least) return;
    shown = `${text.slice(0, letters)}…`;
    width = context.measureText(shown).width;
  }
  if (ink === null) {
    context.fillStyle = token("--surface");
    context.fillRect(begin + 3, box.top + 3, width + 8, box.height - 6);
  }
  context.fillStyle = ink ?? token("--ink");
  context.fillText(shown, begin + 7, box.top + box.height / 2 + 0.5);
}

function paintStops(context, width, stops, view, now, place, words, chosen) {
  let painted = -1;
  for (let index = firstAfter(stops, view.from, now); index < stops.length; index += 1) {
    const stop = stops[index];
    if (stop.began_ms >= view.to) break;
    const begin = Math.max(0, place(stop.began_ms));
    const end = Math.min(width, place(endOf(stop, now)));
    const isChosen = stop.stop === chosen;
    if (end - begin < 2 && !isChosen) {
      if (Math.floor(begin) === painted) continue;
      painted = Math.floor(begin);
      context.fillStyle = token(stop.reason === null ? "--warn" : "--muted");
      context.fillRect(painted, STOPS.top, 1.5, STOPS.height);
      continue;
    }
    paintStop(context, stop, begin, Math.max(end, begin + 2), isChosen, words);
  }
}

function paintStop(context, stop, begin, end, isChosen, words) {
  const isOpenQuestion = words.needsReason(stop);
  const [left, wide] = [begin + 0.5, Math.max(1, end - begin - 1)];
  context.fillStyle = token(isChosen ? "--accent" : `--${words.tone(stop)}-soft`);
  context.fillRect(left, STOPS.top + 0.5, wide, STOPS.height - 1);
  context.strokeStyle = token(isChosen ? "--accent" : isOpenQuestion ? "--warn" : "--muted");
  context.lineWidth = isOpenQuestion || isChosen ? 2 : 1;
  context.setLineDash(isOpenQuestion && !isChosen ? [4, 3] : []);
  context.strokeRect(left, STOPS.top + 0.5, wide, STOPS.height - 1);
  context.setLineDash([]);
  label(context, words.stop(stop), begin, end, STOPS, isChosen ? token("--accent-ink") : token("--ink"), LEAST_LETTERS);
}
