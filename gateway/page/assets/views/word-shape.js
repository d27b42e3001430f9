// A stop as two, or two as one: where to cut is chosen on its intervals, by slider or by buttons.
import { html, useEffect, useRef, useState } from "../vendor/preact-htm.js";
import { clockOf, durationOf, shortOf } from "../format.js";
import { t, word } from "../texts.js";
import { isTelling } from "../tone.js";
import { paintLane } from "../charts/lane.js";
import { onColours } from "../charts/paint.js";
import { endOf } from "../charts/seek.js";
import { lengthOf, nameOfStop } from "./stops.js";
import { Failed, useSend } from "./word-send.js";

const SECOND = 1000;
const STEPS = [-60, -10, -1, 1, 10, 60];
const MOST_PLACES = 6;

const stepOf = (step) => (Math.abs(step) < 60 ? t("duration.s", { s: Math.abs(step) }) : t("split.minutes", { min: Math.abs(step) / 60 }));
const stateOf = (one) => (isTelling(one.state, one.category) ? word("category", one.category) : word("state", one.state));

export function Split({ stop, intervals, now, onChoose }) {
  const sending = useSend();
  const end = stop.ended_ms ?? now;
  const [first, last] = [stop.began_ms + SECOND, end - SECOND];
  const [wanted, want] = useState(Math.round((stop.began_ms + end) / 2));
  const at = Math.min(Math.max(wanted, first), last);
  if (last <= first) return html`<p class="muted">${t("split.too_short")}</p>`;
  const inside = intervals.filter((one) => one.began_ms > first && one.began_ms < last);
  const split = () => {
    const body = { what: "split", machine: stop.machine, target: stop.stop, at: new Date(at).toISOString() };
    sending.send(body, t("split.told", { machine: stop.machine, time: clockOf(at) }), () => onChoose(`${stop.stop}/1`));
  };
  return html`<section class="split"><h3>${t("split.title")}</h3>
    <p class="muted">${t("split.how")}</p>
    <${Strip} stop=${stop} intervals=${intervals} at=${at} now=${now} />
    <label class="field">${t("split.at")} <output class="number">${clockOf(at)}</output>
      <input type="range" name="split" min=${first} max=${last} step=${SECOND} value=${at} aria-valuetext=${clockOf(at)} onInput=${({ target }) => want(Number(target.value))} /></label>
    <div class="steps" role="group" aria-label=${t("split.move")}>
      ${STEPS.map((step) => html`<button type="button" key=${step} class="big" onClick=${() => want(at + step * SECOND)} aria-label=${step < 0 ? t("split.earlier", { length: stepOf(step) }) : t("split.later", { length: stepOf(step) })}>${step < 0 ? "−" : "+"}${stepOf(step)}</button>`)}
    </div>
    ${inside.length > 0 && html`<div class="steps" role="group" aria-label=${t("split.places")}>
      ${inside.slice(0, MOST_PLACES).map((one) => html`<button type="button" key=${one.interval} class="big" onClick=${() => want(one.began_ms)}>${t("split.place", { time: clockOf(one.began_ms), state: stateOf(one) })}</button>`)}</div>`}
    <p class="number">${t("split.parts", { one: durationOf((at - stop.began_ms) / 1000), other: durationOf((end - at) / 1000) })}</p>
    <${Failed} sending=${sending} />
    <button type="button" class="big" data-action="split" disabled=${sending.busy} onClick=${split}>${t("split.do", { time: clockOf(at) })}</button>
  </section>`;
}

/** The stop's intervals, and where the cut goes. */
function Strip({ stop, intervals, at, now }) {
  const canvas = useRef(null);
  const view = { from: stop.began_ms, to: stop.ended_ms ?? now };
  useEffect(() => {
    const words = { state: stateOf, stop: nameOfStop, tone: () => "off", needsReason: () => false };
    const paint = () => canvas.current && paintLane(canvas.current, canvas.current.clientWidth, { intervals, stops: [] }, { view, now, words, chosen: null });
    paint();
    const sizes = new ResizeObserver(paint);
    sizes.observe(canvas.current);
    const ended = onColours(paint);
    return () => {
      sizes.disconnect();
      ended();
    };
  }, [intervals, view.from, view.to]);
  const share = (at - view.from) / (view.to - view.from);
  return html`<div class="cut-strip" aria-hidden="true"><canvas ref=${canvas}></canvas><span style=${{ left: `${share * 100}%` }}></span></div>`;
}

/** The next stop on either side, and the one stop that both would be. */
export function Merge({ stop, stops, now, onChoose }) {
  const sending = useSend();
  const index = stops.findIndex((one) => one.stop === stop.stop);
  if (index < 0) return null;
  const sides = [["before", stops[index - 1], stop], ["after", stop, stops[index + 1]]]
    .filter(([, one, other]) => one !== undefined && other !== undefined);
  const merge = (one, other) => {
    const body = { what: "merge", machine: stop.machine, target: one.stop, other: other.stop };
    const told = t("merge.told", { machine: stop.machine, one: clockOf(one.began_ms), other: clockOf(other.began_ms) });
    sending.send(body, told, () => onChoose(one.stop));
  };
  return html`<section class="merge"><h3>${t("merge.title")}</h3>
    ${sides.length === 0 && html`<p class="muted">${t("merge.none")}</p>`}
    ${sides.map(([side, one, other]) => {
      const neighbour = side === "before" ? one : other;
      const facts = { time: shortOf(neighbour.began_ms, now), length: lengthOf(neighbour, now), name: nameOfStop(neighbour) };
      const between = (other.began_ms - endOf(one, now)) / 1000;
      return html`<button type="button" key=${side} class="big wide" data-action=${`merge-${side}`} disabled=${sending.busy} onClick=${() => merge(one, other)}>
        <b>${side === "before" ? t("merge.before", facts) : t("merge.after", facts)}</b> <span class="muted">${between < 1 ? t("merge.touching") : t("merge.between", { length: durationOf(between) })}</span></button>`;
    })}
    <${Failed} sending=${sending} />
  </section>`;
}
