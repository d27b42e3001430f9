// What fingers, mouse and wheel do to the timeline: move, pinch, draw a stretch to zoom to, and open a stop.

import { moved, within, zoomed } from "./scale.js";

const TAP = 6;
const WHEEL = 1.0018;

export class Gestures {
  constructor(timeline) {
    this.timeline = timeline;
    this.pointers = new Map();
    this.start = null;
    const { body, axis } = timeline;
    for (const [box, kind] of [[body, "lanes"], [axis.box, "axis"]]) {
      box.addEventListener("pointerdown", (event) => this.down(event, kind));
      box.addEventListener("pointermove", (event) => this.move(event));
      box.addEventListener("pointerup", (event) => this.up(event, true));
      box.addEventListener("pointercancel", (event) => this.up(event, false));
      box.addEventListener("pointerleave", () => timeline.hover(null, null));
      box.addEventListener("wheel", (event) => this.wheel(event, kind), { passive: false });
    }
  }

  xOf(event) {
    return event.clientX - this.timeline.over.getBoundingClientRect().left;
  }

  laneOf(event) {
    return event.target.closest(".timeline-lane")?.dataset.lane ?? null;
  }

  down(event, kind) {
    const machine = this.laneOf(event);
    if (event.button !== 0 || (kind === "lanes" && machine === null)) return;
    const x = this.xOf(event);
    this.pointers.set(event.pointerId, x);
    const brushes = kind === "axis" || event.shiftKey;
    this.start = { x, machine, brushes, view: { ...this.timeline.view }, moved: false, spread: this.spread() };
  }

  spread() {
    const [one, other] = [...this.pointers.values()];
    return other === undefined ? null : { width: Math.max(Math.abs(one - other), 20), middle: (one + other) / 2 };
  }

  move(event) {
    const { timeline, pointers } = this;
    const x = this.xOf(event);
    if (!pointers.has(event.pointerId)) {
      const machine = event.pointerType === "mouse" ? this.laneOf(event) : null;
      if (machine !== null) timeline.hover(machine, x);
      return;
    }
    pointers.set(event.pointerId, x);
    const { start } = this;
    if (!start.moved && Math.abs(x - start.x) < TAP) return;
    if (!start.moved) event.target.setPointerCapture?.(event.pointerId);
    start.moved = true;
    const scale = (start.view.to - start.view.from) / timeline.width;
    if (start.spread !== null && pointers.size > 1) {
      const { width, middle } = this.spread();
      const at = start.view.from + start.spread.middle * scale;
      const wider = zoomed(start.view, start.spread.width / width, at, timeline.bounds);
      const by = ((start.spread.middle - middle) / timeline.width) * (wider.to - wider.from);
      timeline.go(moved(wider, by, timeline.bounds));
    } else if (start.brushes) {
      timeline.showBrush(start.x, x);
    } else {
      timeline.go(moved(start.view, (start.x - x) * scale, timeline.bounds));
    }
  }

  up(event, isMeant) {
    const { timeline, start } = this;
    if (!this.pointers.delete(event.pointerId)) return;
    const x = this.xOf(event);
    timeline.showBrush(null);
    if (this.pointers.size > 0) {
      this.start = { ...start, x: [...this.pointers.values()][0], view: { ...timeline.view }, moved: true, spread: null };
    } else if (isMeant && !start.moved && start.machine !== null) {
      timeline.open(start.machine, x);
    } else if (isMeant && start.moved && start.brushes && Math.abs(x - start.x) > TAP) {
      const [from, to] = [timeline.timeAt(Math.min(x, start.x)), timeline.timeAt(Math.max(x, start.x))];
      timeline.go(within({ from, to }, timeline.bounds));
    }
  }

  /** The wheel zooms over the axis, with Ctrl, and where the chart has the focus; elsewhere it scrolls the page. */
  wheel(event, kind) {
    const { timeline } = this;
    const isSideways = Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey;
    const unit = [1, 16, 400][event.deltaMode];
    if (isSideways) {
      event.preventDefault();
      timeline.move(((event.deltaX || event.deltaY) * unit) / timeline.width);
      return;
    }
    if (kind !== "axis" && !event.ctrlKey && !timeline.root.contains(document.activeElement)) return;
    event.preventDefault();
    const factor = WHEEL ** (Math.max(-300, Math.min(300, event.deltaY * unit)) * (event.ctrlKey ? 4 : 1));
    timeline.zoom(factor, timeline.timeAt(this.xOf(event)));
  }
}
