// A uPlot chart as a component: as wide as its place, in the page's colours and the line's zone, marks drawn behind.
import { html, useEffect, useRef } from "../vendor/preact-htm.js";
import uPlot from "../vendor/uplot.js";
import { clockOf, minuteOf } from "../format.js";
import { known } from "../store.js";
import { onColours, token } from "./paint.js";

const MINUTE_S = 60;

/** The axis of times, `x` being seconds of UTC. */
export function timeAxis() {
  const values = (_, splits, _axis, _space, step) => splits.map((at) => (step < MINUTE_S ? clockOf : minuteOf)(at * 1000));
  return { ...look(), values, space: 64, size: 30 };
}

/** An axis of numbers; `write` gives their words. */
export function numberAxis(write, size = 56) {
  return { ...look(), values: (_, splits) => splits.map(write), size, space: 28 };
}

function look() {
  const line = { stroke: token("--edge"), width: 1 };
  return { stroke: token("--muted"), font: `12px ${token("--font")}`, grid: line, ticks: { ...line, size: 4 } };
}

/** Stretches (`{from, to, colour}`, milliseconds) behind the series, and one moment as a line over them. */
export function marks({ stretches = [], moment = null }) {
  const paint = (plot, from, to, colour, alpha) => {
    const { left, top, width, height } = plot.bbox;
    const place = (ms) => Math.min(Math.max(plot.valToPos(ms / 1000, "x", true), left), left + width);
    plot.ctx.save();
    plot.ctx.globalAlpha = alpha;
    plot.ctx.fillStyle = token(colour);
    plot.ctx.fillRect(place(from), top, Math.max(place(to) - place(from), 2 * devicePixelRatio), height);
    plot.ctx.restore();
  };
  return {
    drawAxes: [(plot) => stretches.forEach((one) => paint(plot, one.from, one.to, one.colour, 0.16))],
    draw: [(plot) => moment !== null && paint(plot, moment, moment, "--accent", 1)],
  };
}

/**
 * `build()` gives uPlot's options without size, anew whenever colours change or `shape` is another; `data` is uPlot's.
 * The chart says nothing to a screen reader: numbers stand beside it.
 */
export function Plot({ build, shape, data, height }) {
  const place = useRef(null);
  const plot = useRef(null);
  const latest = useRef(null);
  latest.current = { build, data };
  useEffect(() => {
    const make = () => {
      plot.current?.destroy();
      const { build: options, data: values } = latest.current;
      const zone = known.about?.time_zone ?? "UTC";
      const size = { width: Math.max(place.current.clientWidth, 100), height };
      const tzDate = (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone);
      plot.current = new uPlot({ ...size, tzDate, ...options() }, values, place.current);
    };
    make();
    const ended = onColours(make);
    const sizes = new ResizeObserver(() => {
      const width = Math.max(place.current.clientWidth, 100);
      if (width !== plot.current.width) plot.current.setSize({ width, height });
    });
    sizes.observe(place.current);
    return () => {
      ended();
      sizes.disconnect();
      plot.current.destroy();
      plot.current = null;
    };
  }, [shape, height]);
  useEffect(() => plot.current?.setData(data), [data]);
  return html`<div class="plot" ref=${place} aria-hidden="true"></div>`;
}
