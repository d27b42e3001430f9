// The line at a glance: its figures, its job, and the machines in flow order with what lies between them.
import { html, useState } from "../vendor/preact-htm.js";
import { Bar } from "../bars.js";
import { linksInto, stagesOf } from "../flow.js";
import { countOf, durationOf, percentOf, shortOf } from "../format.js";
import { useNow } from "../clock.js";
import { keep, recall } from "../memory.js";
import { restAt } from "../charts/resting.js";
import { useRests } from "../rests.js";
import { t, word } from "../texts.js";
import { Machine } from "./machine.js";

const FEW = 8;
const KINDS = ["hour", "shift", "day", "job"];

const isWall = document.documentElement.dataset.wall !== undefined;

export function LineView({ line }) {
  const [wanted, want] = useState(() => recall("window") ?? "shift");
  const there = KINDS.filter((kind) => line.kpi[kind] !== undefined || Object.values(line.machines).some(({ kpi }) => kpi[kind]));
  const kind = there.includes(wanted) ? wanted : there.includes("day") ? "day" : there[0];
  const choose = (one) => {
    keep("window", one);
    want(one);
  };
  return html`<section data-view="line" class="line">
    <div class="summary">
      <${Figures} line=${line} isMany=${Object.keys(line.machines).length > FEW} kind=${kind} there=${there} choose=${choose} />
      <${Job} job=${line.job} unit=${line.line.unit} />
    </div>
    <${Flow} line=${line} kind=${kind} />
  </section>`;
}

function Figures({ line, isMany, kind, there, choose }) {
  const window = line.kpi[kind];
  const constraint = constraintOf(window);
  const { oee = null, oee_low: low = null, oee_high: high = null } = window ?? {};
  return html`<section class="panel figures-of-line" aria-label=${t("line.figures")}>
    <div class="oee-of-line">
      <span class="name">${t("oee")}</span>
      <b data-field="line-oee">${oee === null ? t("oee.unknown") : percentOf(oee)}</b>
      ${low !== null && percentOf(low) !== percentOf(high) && html`<span class="muted">${t("oee.bounds", { low: percentOf(low), high: percentOf(high) })}</span>`}
      <${Bar} low=${low} high=${high} />
    </div>
    <dl>
      ${["availability", "effectiveness", "quality"].map((name) => html`<div><dt>${word("kpi", name)}</dt><dd>${percentOf(window?.[name])}</dd></div>`)}
      <div><dt>${t("line.good", { unit: line.line.unit })}</dt><dd data-field="line-good">${countOf(window?.gq)}</dd></div>
      <div><dt>${t("line.scrap")}</dt><dd data-field="line-scrap">${countOf(window?.sq)}</dd></div>
      ${constraint.length > 0 && isMany && html`<div class="constraint"><dt>${t("line.constraint")}</dt><dd class="cut" title=${constraint.join(", ")}>${constraint.join(", ")}</dd></div>`}
    </dl>
    ${isWall ? html`<b class="kind">${word("window", kind)}</b>` : html`<div class="choice" role="group" aria-label=${t("line.window")}>
      ${there.map((one) => html`<button aria-pressed=${one === kind} onClick=${() => choose(one)}>${word("window", one)}</button>`)}
    </div>`}
  </section>`;
}

/** The machines whose time is the line's; independent ones are summed up, and none is the constraint. */
const constraintOf = (window) => (window?.rollup.rule === "constraint" ? window.rollup.machines : []);

function Job({ job, unit }) {
  const when = useNow();
  if (job === null) return null;
  const share = job.target ? job.good / job.target : null;
  return html`<section class="panel job" aria-label=${t("job")}>
    <p class="head"><b class="cut" title=${job.job}>${job.job ?? t("job")}</b><span class="cut muted" title=${job.product}>${job.product}</span></p>
    <p class="made"><b data-field="job-good">${countOf(job.good)}</b> ${job.target ? t("job.of", { target: countOf(job.target), unit }) : t("job.made", { unit })}</p>
    <${Bar} low=${share} tone="run" />
    <dl>
      <div><dt>${t("job.forecast")}</dt><dd data-field="forecast">${job.forecast ? shortOf(job.forecast, when) : t("job.no_forecast")}</dd></div>
      ${job.due && html`<div><dt>${t("job.due")}</dt><dd>${shortOf(job.due, when)} <span class="muted">${durationOf((Date.parse(job.due) - when) / 1000)}</span></dd></div>`}
    </dl>
  </section>`;
}

/** Few machines stand with what lies between them; of many each says itself what waits before it. */
function Flow({ line, kind }) {
  const names = Object.keys(line.machines);
  const stages = stagesOf(names, line.flow);
  const isDense = names.length > FEW;
  const constraint = constraintOf(line.kpi[kind]);
  const rests = useRests();
  const restOf = (name) => (line.machines[name].category === "planned_stop" ? restAt(rests(name), Date.parse(line.time)) : null);
  const card = (name, before) => html`<${Machine} key=${name} name=${name} machine=${line.machines[name]} kind=${kind}
    isConstraint=${constraint.includes(name)} unit=${line.line.unit} before=${before} rest=${restOf(name)} />`;
  const isParallel = stages.some((stage) => stage.length > 1);
  return html`<div class="flow" data-parallel=${isParallel ? "" : null} data-density=${isDense ? "dense" : "few"} style=${{ "--columns": columnsFor(names.length) }}>
    ${stages.map((stage) => {
      const links = linksInto(stage, stages, line.flow);
      if (isDense) return stage.map((name) => card(name, links.find(({ to }) => to.includes(name))?.wip));
      return html`${links.map((link) => html`<${Between} link=${link} />`)}<div class="stage">${stage.map((name) => card(name))}</div>`;
    })}
  </div>`;
}

/** So many that cards on a wall screen are about half as high as they are wide. */
const columnsFor = (count) => Math.max(1, Math.ceil(Math.sqrt(count * 1.1)));

/** What lies between machines; how full that is where somebody said what fits. */
function Between({ link }) {
  const range = link.wip_high === null ? t("wip.unknown") : `${countOf(link.wip_low)}–${countOf(link.wip_high)}`;
  const wip = link.wip === null ? range : countOf(link.wip);
  const title = t("wip.between", { from: link.from.join(", "), to: link.to.join(", "), wip });
  const full = link.capacity && link.wip !== null ? link.wip / link.capacity : null;
  return html`<div class="between-machines" title=${title} data-link=${`${link.from.join("+")}>${link.to.join("+")}`}>
    <b>${wip}</b>
    <svg viewBox="0 0 40 12" aria-hidden="true"><path d="M0 6h33M28 1l6 5-6 5" /></svg>
    ${full !== null && html`<${Bar} low=${full} tone=${full > 0.9 ? "wait" : "ready"} />`}
    <span class="muted">${link.capacity ? t("wip.of", { capacity: countOf(link.capacity) }) : t("wip")}</span>
  </div>`;
}
