// One machine's card: its state in colour, shape and word, since when and why, its pace, its parts and its OEE.
import { Component, html } from "../vendor/preact-htm.js";
import { Bar } from "../bars.js";
import { now, useNow } from "../clock.js";
import { countOf, durationOf, numberOf, percentOf, shortOf } from "../format.js";
import { Icon, iconOf } from "../icons.js";
import { t, word } from "../texts.js";
import { isTelling, toneOf } from "../tone.js";

const UNEXPLAINED = new Set(["unplanned_stop", "suspended", "unknown"]);

/** Draws again only where something of this machine changed: at four messages a second and 50 machines that is little. */
export class Machine extends Component {
  shouldComponentUpdate(next) {
    return ["name", "kind", "isConstraint", "unit", "before", "rest"].some((key) => next[key] !== this.props[key]) || !same(next.machine, this.props.machine);
  }

  render({ name, machine, kind, isConstraint, unit, before, rest }) {
    const tone = toneOf(machine.state, machine.category);
    const window = machine.kpi[kind];
    return html`<article class="machine" data-machine=${name} data-tone=${tone} data-said=${reasonOf(machine) === null ? null : ""}><div class="inside">
      <header class="state">
        <h2 class="cut" title=${name}><a href=${whither(name, machine)}>${name}</a></h2>
        <${Since} since=${machine.since} />
        <p class="now"><${Icon} name=${iconOf(machine.state)} /><b data-field="state">${word("state", machine.state)}</b></p>
      </header>
      <div class="why" data-field="why">${why(machine)}</div>
      ${chips(machine, isConstraint, rest)}
      <dl class="figures">
        ${before !== undefined && html`<div class="whole before"><dt>${t("machine.before")}</dt><dd data-field="before">${before === null ? t("wip.unknown") : countOf(before)}</dd></div>`}
        ${machine.parts === null ? html`<${Availability} window=${window} />` : html`
          <${Pace} machine=${machine} unit=${unit} />
          <div><dt>${t("machine.good")}</dt><dd data-field="good">${countOf(window?.gq)}</dd></div>
          <div><dt>${t("machine.scrap")}</dt><dd data-field="scrap">${countOf(window?.sq)}</dd></div>
          ${kind !== "job" && html`<${OfJob} window=${machine.kpi.job} />`}
          <${Oee} window=${window} />`}
      </dl>
    </div></article>`;
  }
}

/** A stop that nobody has explained wants a reason; of any other machine its last hours are of interest. */
const wantsReason = ({ stop, reason, category }) => stop !== null && reason === null && UNEXPLAINED.has(category);
const whither = (name, machine) =>
  wantsReason(machine) ? `#word?stop=${encodeURIComponent(machine.stop)}` : `#time?machine=${encodeURIComponent(name)}`;

/** How long the state lasts, ticking, and since when. */
function Since({ since }) {
  const when = useNow();
  if (since === null) return null;
  const text = t("machine.since", { time: shortOf(since, when) });
  return html`<p class="since" title=${text}><span class="at">${text}</span> <span data-field="lasting">${durationOf((when - Date.parse(since)) / 1000)}</span></p>`;
}

/** The reason as text and code, or else the cause; null where nothing says it. */
function reasonOf({ reason, cause }) {
  const said = reason && (reason.text && reason.code && reason.text !== reason.code ? `${reason.text} (${reason.code})` : reason.text ?? reason.code);
  return said || (cause && word("cause", cause)) || null;
}

function why(machine) {
  const reason = reasonOf(machine);
  const rule = machine.rule && ruleOf(machine.rule);
  return html`${reason && html`<p class="cut first" title=${reason}>${reason}</p>`}
    ${rule && html`<p class="cut rule" title=${t("machine.rule", { rule })}>${rule}</p>`}`;
}

/** The last rule needs no condition: it holds where no other does. */
const ruleOf = ({ text }) => (text === "always" ? t("machine.otherwise") : text);

function chips(machine, isConstraint, rest) {
  const { state, category, mode, product, listed, muted_until: muted } = machine;
  const all = [
    wantsReason(machine) && t("machine.no_reason"),
    isTelling(state, category) && (rest ? restOf(rest) : word("category", category)),
    mode && t("machine.mode", { mode }),
    isConstraint && t("machine.constraint"),
    product && (listed ? product : t("machine.unlisted", { product })),
    muted && t("machine.muted", { time: shortOf(muted, now()) }),
  ].filter(Boolean);
  return all.length > 0 && html`<p class="chips">${all.map((text) => html`<span class="cut" title=${text}>${text}</span>`)}</p>`;
}

const restOf = ([, ended, why]) => t("rest.until", { rest: word("rest", why), time: shortOf(ended, now()) });

/** All that is known of how a machine does whose parts nobody counts. */
function Availability({ window }) {
  return html`<div class="whole of-oee"><dt>${word("kpi", "availability")}</dt><dd><b>${percentOf(window?.availability)}</b></dd><${Bar} low=${window?.availability} /></div>`;
}

function OfJob({ window }) {
  if (window === undefined) return null;
  const parts = t("machine.job_parts", { good: countOf(window.gq), scrap: countOf(window.sq) });
  return html`<div class="whole"><dt>${t("machine.job")}</dt><dd data-field="job">${parts}</dd></div>`;
}

function Pace({ machine, unit }) {
  const ideal = machine.ideal_s ? 60 / machine.ideal_s : null;
  const rate = machine.rate_now_per_min;
  const share = ideal === null || rate === null ? null : rate / ideal;
  return html`<div class="whole of-pace" title=${t("machine.rate_of", { unit })}>
    <dt>${t("machine.rate")}</dt>
    <dd><b data-field="rate">${numberOf(rate, rate < 20 ? 1 : 0)}</b>${ideal !== null && html` <span class="muted">${t("machine.of_ideal", { ideal: numberOf(ideal) })}</span>`}</dd>
    <${Bar} low=${share} tone="ready" />
  </div>`;
}

/** One figure, and between which two it lies where that is not the same. */
function Oee({ window }) {
  const { oee = null, oee_low: low = null, oee_high: high = null } = window ?? {};
  const between = t("oee.between", { low: percentOf(low), high: percentOf(high) });
  return html`<div class="whole of-oee" title=${low === null ? t("oee.unknown") : between}>
    <dt>${t("oee")}</dt>
    <dd><b data-field="oee">${oee === null ? t("oee.unknown") : percentOf(oee)}</b>${low !== null && percentOf(low) !== percentOf(high) && html` <span class="muted" data-field="oee-bounds">${t("oee.bounds", { low: percentOf(low), high: percentOf(high) })}</span>`}</dd>
    <${Bar} low=${low} high=${high} />
  </div>`;
}

function same(one, other) {
  if (Object.is(one, other)) return true;
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return false;
  const keys = Object.keys(one);
  return keys.length === Object.keys(other).length && keys.every((key) => same(one[key], other[key]));
}
