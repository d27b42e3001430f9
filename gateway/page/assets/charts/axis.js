// The time axis above the lanes: round times of the line's clocks, the shifts, and their breaks.

import { fitted } from "./lane.js";
import { fillOf, token } from "./paint.js";
import { ticksOf } from "./scale.js";

const HEIGHT = 44;
const BREAK = { key: "off break", tone: "off", pattern: "break" };

export class Axis {
  constructor(root, { offset, clock }) {
    this.box = document.createElement("div");
    this.box.className = "timeline-axis";
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("aria-hidden", "true");
    this.box.append(this.canvas);
    root.append(this.box);
    this.offset = offset;
    this.clock = clock;
    this.bands = [];
    this.breaks = [];
  }

  paint(width, view) {
    const context = fitted(this.canvas, width, HEIGHT);
    const place = (time) => ((time - view.from) / (view.to - view.from)) * width;
    context.textBaseline = "middle";
    context.font = `500 12px ${token("--font")}`;
    this.paintBands(context, place, width);
    const { step, at } = ticksOf(view, width, this.offset);
    context.fillStyle = token("--muted");
    for (const tick of at) {
      const x = Math.round(place(tick)) + 0.5;
      context.fillRect(x - 0.5, HEIGHT - 7, 1, 7);
      const text = this.clock(tick, step);
      const half = context.measureText(text).width / 2;
      context.fillText(text, Math.min(Math.max(x - half, 0), width - 2 * half), HEIGHT - 15);
    }
  }

  paintBands(context, place, width) {
    this.bands.forEach((band, index) => {
      const begin = Math.max(0, place(band.began_ms));
      const end = Math.min(width, place(band.ended_ms));
      if (end <= begin) return;
      context.fillStyle = token(index % 2 ? "--raised" : "--soft");
      context.fillRect(begin, 0, end - begin, 18);
      context.fillStyle = token("--ink");
      if (context.measureText(band.name).width < end - begin - 10) context.fillText(band.name, begin + 5, 9.5);
    });
    for (const one of this.breaks) this.paintBreak(context, Math.max(0, place(one.began_ms)), Math.min(width, place(one.ended_ms)), one.name);
  }

  paintBreak(context, begin, end, name) {
    if (end <= begin) return;
    context.fillStyle = fillOf(context, BREAK);
    context.fillRect(begin, 0, end - begin, 18);
    const wide = context.measureText(name).width;
    if (wide > end - begin - 10) return;
    context.fillStyle = token("--surface");
    context.fillRect(begin + 2, 2, wide + 6, 14);
    context.fillStyle = token("--ink");
    context.fillText(name, begin + 5, 9.5);
  }
}
