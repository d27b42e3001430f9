// Signals around a moment: numbers as lines, everything else as a strip of its values; what was bad is a gap.
import { html, useEffect, useMemo, useRef } from "../vendor/preact-htm.js";
import uPlot from "../vendor/uplot.js";
import { clockOf, numberOf, valueOf } from "../format.js";
import { t, word } from "../texts.js";
import { fitted } from "./lane.js";
import { Numbers } from "./numbers.js";
import { fillOf, onColours, token } from "./paint.js";
import { Plot, marks, numberAxis, timeAxis } from "./plot.js";

const STRIP = 30;
const BAD = { key: "unknown unknown", tone: "unknown", pattern: "unknown" };

/** `signal` is `{unit, points}` of /api/samples; `moment` is marked, `stretches` are shaded. */
export function SignalAround({ name, signal, view, moment, stretches, decides, isFirst, now }) {
  const points = useMemo(() => until(signal.points, Math.min(view.to, now)), [signal, view.to, Math.min(view.to, now)]);
  const isNumber = points.some(([, value]) => typeof value === "number");
  const Chart = isNumber ? NumberLine : Strip;
  const before = points.findLast(([at]) => at < moment);
  const after = points.find(([at]) => at >= moment);
  const told = t("around.told", { before: shown(before), after: shown(after) });
  return html`<figure class="around" data-around=${name}>
    <figcaption><span class="around-name">${name}</span>${signal.unit && html` <span class="unit">${signal.unit}</span>`}
      ${isFirst ? html` <span class="tag first-out">${word("fact", "first")}</span>` : decides && html` <span class="tag">${t("around.decides")}</span>`}<span class="around-told">${told}</span></figcaption>
    ${points.length === 0 ? html`<p class="empty">${t("around.none")}</p>`
    : html`<${Chart} points=${points} view=${view} moment=${moment} stretches=${stretches} />
      <${Numbers} caption=${name} columns=${[word("heading", "moment"), word("heading", "value")]} rows=${() => points.map((point) => [clockOf(point[0]), shown(point)])} />`}
  </figure>`;
}

/** The points, and the last value again at the end: it stood until then. */
function until(points, end) {
  const last = points.at(-1);
  return last === undefined || last[0] >= end ? points : [...points, [end, last[1]]];
}

const shown = (point) => (point === undefined ? "–" : point[1] === null ? t("around.bad") : valueOf({ value: point[1] }));

function NumberLine({ points, view, moment, stretches }) {
  const data = useMemo(() => {
    return [points.map(([at]) => at / 1000), points.map(([, value]) => (typeof value === "number" ? value : null))];
  }, [points]);
  const build = () => ({
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: true, range: () => [view.from / 1000, view.to / 1000] } },
    axes: [timeAxis(), numberAxis((value) => numberOf(value, 2))],
    hooks: marks({ stretches, moment }),
    series: [{}, { stroke: token("--series-1"), width: 2, paths: stepped, points: { show: false }, spanGaps: false }],
  });
  return html`<${Plot} build=${build} shape=${`${view.from} ${moment}`} data=${data} height=${130} />`;
}

/** A value stands until the next one comes. */
function stepped(plot, series, first, last) {
  return uPlot.paths.stepped({ align: 1 })(plot, series, first, last);
}

function Strip({ points, view, moment, stretches }) {
  const canvas = useRef(null);
  useEffect(() => {
    const paint = () => canvas.current && paintStrip(canvas.current, points, view, moment, stretches);
    paint();
    const ended = onColours(paint);
    const sizes = new ResizeObserver(paint);
    sizes.observe(canvas.current);
    return () => {
      ended();
      sizes.disconnect();
    };
  }, [points, view.from, view.to, moment]);
  return html`<canvas class="strip" ref=${canvas} aria-hidden="true"></canvas>
    <p class="strip-times" aria-hidden="true"><span>${clockOf(view.from)}</span><span>${clockOf(moment)}</span><span>${clockOf(view.to)}</span></p>`;
}

function paintStrip(canvas, points, view, moment, stretches) {
  const width = canvas.clientWidth;
  if (width === 0) return;
  const context = fitted(canvas, width, STRIP);
  const place = (time) => ((time - view.from) / (view.to - view.from)) * width;
  context.font = `500 12px ${token("--font")}`;
  context.textBaseline = "middle";
  points.forEach(([at, value], index) => {
    const begin = Math.max(0, place(at));
    const end = Math.min(width, place(points[index + 1]?.[0] ?? at));
    if (end <= begin) return;
    const isOff = value === false || value === 0 || value === "";
    context.fillStyle = value === null ? fillOf(context, BAD) : token(isOff ? "--soft" : "--series-1");
    context.fillRect(begin, isOff ? STRIP - 9 : 3, Math.max(end - begin, 1), isOff ? 6 : STRIP - 6);
    const text = typeof value === "boolean" || value === null ? "" : valueOf({ value });
    if (text !== "" && context.measureText(text).width < end - begin - 8) {
      context.fillStyle = token(isOff ? "--ink" : "--accent-ink");
      context.fillText(text, begin + 4, STRIP / 2);
    }
  });
  for (const { from, to, colour } of stretches) {
    context.globalAlpha = 0.16;
    context.fillStyle = token(colour);
    context.fillRect(place(from), 0, place(to) - place(from), STRIP);
    context.globalAlpha = 1;
  }
  context.fillStyle = token("--accent");
  context.fillRect(place(moment) - 1, 0, 2, STRIP);
}
