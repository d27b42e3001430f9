// The cycle-time chart: median, 95th percentile and mean of each minute, against the ideal.
import { html, useMemo } from "../vendor/preact-htm.js";
import { numberOf } from "../format.js";
import { t, word } from "../texts.js";
import { token } from "./paint.js";
import { Plot, numberAxis, timeAxis } from "./plot.js";
import { cycleColumns } from "./sums.js";

const SERIES = [
  { key: "p50", colour: "--series-1", width: 2 },
  { key: "p95", colour: "--series-2", width: 1.5 },
  { key: "mean", colour: "--series-3", width: 1.5, dash: [2, 3] },
  { key: "ideal", colour: "--good", width: 2, dash: [8, 4] },
];

/** Seconds with as many digits as say something. */
const seconds = (value) => (value === null || value === undefined ? "–" : numberOf(value, value < 10 ? 2 : 1));

/** `production` is a machine's minutes as `/api/history` has them, `view` what is shown of them. */
export function Cycles({ production, view }) {
  const data = useMemo(() => cycleColumns(production, view), [production, view.from, view.to]);
  const build = () => ({
    legend: { live: false },
    cursor: { drag: { x: false, y: false }, points: { size: 7 } },
    scales: {
      x: { time: true, range: () => [view.from / 1000, view.to / 1000] },
      y: { range: (_, low, high) => rangeOf(low, high) },
    },
    axes: [timeAxis(), { ...numberAxis(seconds), label: t("cycle.axis"), labelSize: 20, labelFont: `12px ${token("--font")}` }],
    bands: [{ series: [2, 1], fill: `color-mix(in srgb, ${token("--series-1")} 16%, transparent)` }],
    series: [{}, ...SERIES.map(({ key, colour, ...line }) => ({
      ...line,
      label: word("cycle", key),
      stroke: token(colour),
      points: { show: data[0].length < 40 && line.dash === undefined, size: 5 },
      spanGaps: false,
    }))],
  });
  return html`<${Plot} build=${build} shape=${`${view.from} ${view.to} ${data[0].length < 40}`} data=${data} height=${240} />`;
}

/** From nothing to a little above what is there: a cycle twice as long looks twice as long. */
function rangeOf(_low, high) {
  return [0, high > 0 ? high * 1.15 : 1];
}

/** Rows of the chart's table. */
export function cycleRows(production, view, timeOf) {
  return production
    .filter((one) => one.ended_ms > view.from && one.began_ms < view.to)
    .map((one) => [timeOf(one.began_ms), one.total, one.n, ...[one.p50_s, one.p95_s, one.mean_s, one.ideal_s].map(seconds)]);
}
