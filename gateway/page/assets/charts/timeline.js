// The timeline of all machines under one axis: lanes, now, zoom by wheel, pinch, drag and keys, and a stop to choose.

import { Axis } from "./axis.js";
import { Gestures } from "./gestures.js";
import { paintLane } from "./lane.js";
import { onColours } from "./paint.js";
import { moved, within, zoomed } from "./scale.js";
import { endOf, intervalAt, stopAt } from "./seek.js";

const STEP = 1.6;
const MOVE = 0.25;

function made(tag, name, parent) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  parent?.append(element);
  return element;
}

/**
 * `options`: `words` (`state(interval)`, `stop(stop)`, `tone(stop)`, `needsReason(stop)`, `told(machine, stop)`,
 * `lane(machine, count)`), `offset` (of `offsetsOf`), `clock(ms, step)`, and what is called back: `onView(view)` when a person has moved or
 * zoomed, `onStop(machine, stop)` when one is opened, `onMachine(machine)`, `onHover` with `{machine, time, stop, interval}` under the
 * pointer, or null.
 */
export class Timeline {
  constructor(root, options) {
    this.root = root;
    this.options = options;
    this.lanes = new Map();
    this.view = { from: 0, to: 1 };
    this.bounds = { from: 0, to: 1 };
    this.now = 0;
    this.chosen = null;
    this.drawing = 0;
    this.painted = { view: this.view, now: 0 };
    root.classList.add("timeline");
    this.axis = new Axis(root, options);
    this.body = made("div", "timeline-lanes", root);
    this.over = made("div", "timeline-over", this.body);
    this.nowLine = made("div", "timeline-now", this.over);
    this.cursor = made("div", "timeline-cursor", this.over);
    this.brush = made("div", "timeline-brush", this.over);
    this.cursor.hidden = this.brush.hidden = true;
    new Gestures(this);
    this.body.addEventListener("keydown", (event) => this.key(event));
    this.sizes = new ResizeObserver(() => this.draw());
    this.sizes.observe(root);
    this.endColours = onColours(() => this.draw());
    this.sight = new IntersectionObserver((entries) => this.seen(entries), { rootMargin: "120px" });
  }

  end() {
    cancelAnimationFrame(this.drawing);
    this.sizes.disconnect();
    this.sight.disconnect();
    this.endColours();
  }

  /** Machines as `/api/history` gives them, in flow order; `bands` are shifts and `breaks` theirs, `{name, began_ms, ended_ms}`. */
  setData(machines, bands, breaks) {
    for (const [name, lane] of this.lanes) {
      if (name in machines) continue;
      this.sight.unobserve(lane.box);
      lane.row.remove();
      this.lanes.delete(name);
    }
    let next = this.body.firstChild;
    for (const [name, data] of Object.entries(machines)) {
      const lane = this.lanes.get(name) ?? this.addLane(name);
      lane.data = data;
      if (lane.row === next) next = next.nextSibling;
      else this.body.insertBefore(lane.row, next); // only where it has to: a row that is moved loses the focus
    }
    if (!this.lanes.has(this.at)) this.at = this.lanes.keys().next().value;
    this.axis.bands = bands;
    this.axis.breaks = breaks;
    this.tell();
    this.draw();
  }

  /** What is shown, how far one may go, and what time it is; less than half a pixel is not painted. */
  setView(view, bounds, now) {
    const pixel = (view.to - view.from) / (this.width || 1) / 2;
    const { view: was, now: then } = this.painted;
    [this.view, this.bounds, this.now] = [view, bounds, now];
    const isSame = [view.from - was.from, view.to - was.to, now - then].every((by) => Math.abs(by) < pixel);
    if (isSame) this.placeNow();
    else this.draw();
  }

  /** The stop that is open beside the chart, or null. */
  choose(stop) {
    if (this.chosen === stop) return;
    this.chosen = stop;
    this.tell();
    this.draw();
  }

  /** Marks the machine that the other charts are about. */
  mark(machine) {
    this.marked = machine;
    for (const [name, lane] of this.lanes) lane.name.setAttribute("aria-pressed", String(name === machine));
  }

  get width() {
    return this.over.clientWidth;
  }

  timeAt(x) {
    return this.view.from + (x / this.width) * (this.view.to - this.view.from);
  }

  addLane(machine) {
    const row = made("div", "timeline-row");
    const name = made("button", "timeline-name", row);
    name.type = "button";
    name.textContent = machine;
    name.title = machine;
    name.setAttribute("aria-pressed", String(machine === this.marked));
    name.addEventListener("click", () => this.options.onMachine(machine));
    const box = made("div", "timeline-lane", row);
    box.dataset.lane = machine;
    box.addEventListener("focus", () => {
      this.at = machine;
      this.tell();
    });
    const canvas = made("canvas", "", box);
    canvas.setAttribute("aria-hidden", "true");
    const lane = { row, name, box, canvas, option: null, cursor: null, isSeen: false, isStale: true, data: { intervals: [], stops: [] } };
    this.sight.observe(box);
    this.lanes.set(machine, lane);
    return lane;
  }

  draw() {
    if (this.drawing) return;
    this.drawing = requestAnimationFrame(() => {
      this.drawing = 0;
      this.paint();
    });
  }

  paint() {
    const width = this.width;
    if (width === 0) return;
    const { view, now } = this;
    this.painted = { view, now };
    this.axis.paint(width, view);
    for (const lane of this.lanes.values()) {
      lane.isStale = !lane.isSeen;
      if (lane.isSeen) this.paintOne(lane);
    }
    this.placeNow();
  }

  paintOne(lane) {
    const { view, now } = this.painted;
    const chosen = this.chosen ?? lane.cursor;
    lane.isStale = false;
    paintLane(lane.canvas, this.width, lane.data, { view, now, words: this.options.words, chosen });
  }

  /** Lanes that came into sight, or left it: only what is seen is painted. */
  seen(entries) {
    for (const { target, isIntersecting } of entries) {
      const lane = this.lanes.get(target.dataset.lane);
      if (lane === undefined) continue;
      lane.isSeen = isIntersecting;
      if (isIntersecting && lane.isStale && this.width > 0) this.paintOne(lane);
    }
  }

  placeNow() {
    const { view, now, width } = this;
    const at = ((now - view.from) / (view.to - view.from)) * width;
    this.nowLine.hidden = at < 0 || at > width;
    this.nowLine.style.transform = `translateX(${at}px)`;
  }

  /** A person moved or zoomed. */
  go(view) {
    this.view = view;
    this.draw();
    this.options.onView(view);
  }

  zoom(factor, at = (this.view.from + this.view.to) / 2) {
    this.go(zoomed(this.view, factor, at, this.bounds));
  }

  move(share) {
    this.go(moved(this.view, share * (this.view.to - this.view.from), this.bounds));
  }

  /** What is under a point of a lane: its stop, if any, and its interval. */
  under(machine, x) {
    const { stops, intervals } = this.lanes.get(machine).data;
    const time = this.timeAt(x);
    const stop = stopAt(stops, time, this.now, this.width / (this.view.to - this.view.from));
    return { time, stop, interval: intervalAt(intervals, time, this.now) };
  }

  open(machine, x) {
    const { stop } = this.under(machine, x);
    this.lanes.get(machine).box.focus({ preventScroll: true });
    if (stop === null) return;
    this.lanes.get(machine).cursor = stop.stop;
    this.tell();
    this.options.onStop(machine, stop.stop);
  }

  /** Where the pointer is: a line across all lanes, and words; null where it has left. */
  hover(machine, x) {
    this.cursor.hidden = x === null;
    if (x === null) return this.options.onHover(null);
    this.cursor.style.transform = `translateX(${x}px)`;
    return this.options.onHover({ machine, ...this.under(machine, x) });
  }

  showBrush(from, to) {
    this.brush.hidden = from === null;
    if (from === null) return;
    this.brush.style.transform = `translateX(${Math.min(from, to)}px)`;
    this.brush.style.width = `${Math.abs(to - from)}px`;
  }

  key(event) {
    const lane = this.lanes.get(event.target.dataset?.lane);
    if (lane === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    const actions = {
      ArrowLeft: () => (event.shiftKey ? this.move(-MOVE) : this.step(lane, -1)),
      ArrowRight: () => (event.shiftKey ? this.move(MOVE) : this.step(lane, 1)),
      ArrowUp: () => this.toLane(-1),
      ArrowDown: () => this.toLane(1),
      PageUp: () => this.move(-1),
      PageDown: () => this.move(1),
      Home: () => this.step(lane, -Infinity),
      End: () => this.step(lane, Infinity),
      "+": () => this.zoom(1 / STEP, this.focusTime(lane)),
      "=": () => this.zoom(1 / STEP, this.focusTime(lane)),
      "-": () => this.zoom(STEP, this.focusTime(lane)),
      0: () => this.go({ ...this.bounds }),
      Enter: () => lane.cursor !== null && this.options.onStop(event.target.dataset.lane, lane.cursor),
      " ": () => lane.cursor !== null && this.options.onStop(event.target.dataset.lane, lane.cursor),
    };
    if (!Object.hasOwn(actions, event.key)) return;
    event.preventDefault();
    actions[event.key]();
  }

  focusTime(lane) {
    const stop = lane.data.stops.find((one) => one.stop === lane.cursor);
    const time = stop === undefined ? null : (stop.began_ms + endOf(stop, this.now)) / 2;
    return time !== null && time > this.view.from && time < this.view.to ? time : undefined;
  }

  toLane(by) {
    const names = [...this.lanes.keys()];
    const next = names[names.indexOf(this.at) + by];
    if (next !== undefined) this.lanes.get(next).box.focus();
  }

  /** To another stop of the lane: the next one in view if none was chosen, and the view follows. */
  step(lane, by) {
    const { stops } = lane.data;
    if (stops.length === 0) return;
    const { from, to } = this.view;
    let index = stops.findIndex((one) => one.stop === lane.cursor);
    if (index < 0) {
      const seen = stops.findIndex((one) => endOf(one, this.now) > from);
      index = by > 0 ? (seen < 0 ? stops.length - 1 : seen) : stops.findLastIndex((one) => one.began_ms < to);
    } else {
      index += by;
    }
    const stop = stops[Math.min(Math.max(index, 0), stops.length - 1)];
    lane.cursor = stop.stop;
    this.tell();
    this.draw();
    const [begin, end] = [stop.began_ms, endOf(stop, this.now)];
    if (begin >= from && end <= to) return;
    const middle = end - begin > to - from ? begin + (to - from) / 3 : (begin + end) / 2;
    this.go(within({ from: middle - (to - from) / 2, to: middle + (to - from) / 2 }, this.bounds));
  }

  /** What screen readers are told of each lane: its name and number of stops, and the one that the keys have reached. */
  tell() {
    for (const [machine, lane] of this.lanes) {
      const { stops } = lane.data;
      const { box } = lane;
      const index = stops.findIndex((one) => one.stop === lane.cursor);
      if (index < 0) lane.cursor = null;
      box.tabIndex = machine === this.at ? 0 : -1;
      box.setAttribute("aria-label", this.options.words.lane(machine, stops.length));
      if (index < 0) {
        lane.option?.remove();
        lane.option = null;
        box.setAttribute("role", "application");
        box.removeAttribute("aria-activedescendant");
        continue;
      }
      lane.option ??= made("div", "timeline-option", box);
      lane.option.id = `lane-${[...this.lanes.keys()].indexOf(machine)}-stop`;
      lane.option.textContent = this.options.words.told(machine, stops[index]);
      const set = { role: "option", "aria-selected": "true", "aria-posinset": index + 1, "aria-setsize": stops.length };
      for (const [name, value] of Object.entries(set)) lane.option.setAttribute(name, value);
      box.setAttribute("role", "listbox");
      box.setAttribute("aria-activedescendant", lane.option.id);
    }
  }
}
