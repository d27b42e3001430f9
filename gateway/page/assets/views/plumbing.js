// The plumbing: how the daemon, its devices, uplinks and buffer are; what is wrong first, each with what to do.
import { html, useEffect, useState } from "../vendor/preact-htm.js";
import { get, unanswered } from "../api.js";
import { useNow } from "../clock.js";
import { bytesOf, countOf, durationOf, momentOf, numberOf, shortOf } from "../format.js";
import { Icon } from "../icons.js";
import { useKnown } from "../store.js";
import { t, word } from "../texts.js";

const ORDER = ["fail", "warn", "pass"];
const ICONS = { pass: "good", warn: "warn", fail: "fail" };
const BUFFER_MS = 30_000;

export function PlumbingView({ line }) {
  const health = useKnown(({ health }) => health);
  if (health === null) return html`<section data-view="plumbing"><p class="empty">${t("shell.connecting")}</p></section>`;
  const checks = Object.entries(health.checks).map(([name, [check]]) => ({ name, ...check, values: check.observedValue ?? {} }));
  const wrong = checks.filter(({ status }) => status !== "pass").sort((one, other) => ORDER.indexOf(one.status) - ORDER.indexOf(other.status));
  const well = checks.filter(({ status }) => status === "pass");
  return html`<section data-view="plumbing" class="plumbing">
    <section class="panel" aria-labelledby="wrong">
      <h2 id="wrong">${wrong.length === 0 ? t("plumbing.nothing_wrong") : t("plumbing.wrong", { count: wrong.length })}</h2>
      ${wrong.map((check) => html`<${Check} key=${check.name} check=${check} line=${line} />`)}
    </section>
    <${Overview} line=${line} health=${health} />
    ${groupsOf(well).map(([group, found]) => html`<section class="panel" key=${group} aria-label=${word("group", group)}>
      <h2>${word("group", group)} <span class="muted">${found.length}</span></h2>
      ${found.map((check) => html`<${Check} key=${check.name} check=${check} line=${line} />`)}
    </section>`)}
  </section>`;
}

function groupsOf(checks) {
  const groups = new Map([["device", []], ["uplink", []], ["daemon", []]]);
  for (const check of checks) groups.get(kindOf(check.name)).push(check);
  return [...groups].filter(([, found]) => found.length > 0);
}

const kindOf = (name) => (name.startsWith("device:") ? "device" : name.startsWith("uplink:") ? "uplink" : "daemon");

function Check({ check, line }) {
  const kind = kindOf(check.name);
  const own = check.name.slice(check.name.indexOf(":") + 1);
  const where = kind === "device" ? placeOf(line.devices[own]) : null;
  return html`<article class="check" data-check=${check.name} data-status=${check.status}>
    <${Icon} name=${ICONS[check.status]} />
    <div class="what">
      <h3><span class="cut" title=${own}>${kind === "daemon" ? word("check", own) : own}</span>
        <span class="is">${word("status", check.status)}</span></h3>
      ${where && html`<p class="cut muted where" title=${where}>${where}</p>`}
    </div>
    <div class="said">
      ${check.output && html`<p class="output">${check.output}</p>`}
      ${check.remedy && html`<p class="remedy"><span class="muted">${t("plumbing.remedy")}</span> ${check.remedy}</p>`}
      <dl>${Object.entries(check.values).map(([name, value]) => html`<div><dt>${word("measure", name)}</dt><dd data-zero=${value === 0 ? "" : null}>${measured(name, value)}</dd></div>`)}</dl>
    </div>
  </article>`;
}

/** Endpoint and unit id of a device; nothing of one that is gone from the configuration. */
function placeOf({ endpoint, unit_id: unit } = {}) {
  return unit === null || unit === undefined ? endpoint : t("plumbing.unit", { endpoint, unit });
}

/** A measured value as its name's unit wants it; what is not known is a dash. */
function measured(name, value) {
  if (typeof value === "boolean") return t(value ? "plumbing.yes" : "plumbing.no");
  if (typeof value !== "number") return name === "applied" && value ? momentOf(value) : String(value ?? "–");
  if (name.endsWith("_ms")) return t("duration.ms", { ms: numberOf(value, 1) });
  if (name.endsWith("_s")) return value < 60 ? t("duration.s", { s: numberOf(value, 2) }) : durationOf(value);
  if (name.endsWith("bytes") || name.startsWith("bytes_")) return bytesOf(value);
  return countOf(value);
}

function Overview({ line, health }) {
  const buffer = useBuffer();
  const when = useNow();
  const devices = Object.values(line.devices);
  const uplinks = Object.values(line.uplinks);
  const backlog = Math.max(0, ...uplinks.map((uplink) => uplink.backlog));
  const behind = Math.max(0, ...Object.keys(line.uplinks).map((name) => health.checks[`uplink:${name}`]?.[0].observedValue.behind_s ?? 0));
  const [clock] = health.checks.clock;
  const [configuration] = health.checks.configuration;
  const tiles = [
    ["devices", t("plumbing.of", { some: devices.filter((one) => one.connected).length, all: devices.length }), t("tile.devices.more")],
    ["uplinks", t("plumbing.of", { some: uplinks.filter((one) => one.state === "connected").length, all: uplinks.length }), t("tile.uplinks.more", { backlog: countOf(backlog), behind: durationOf(behind) })],
    ["buffer", buffer?.hours_left == null ? t("tile.buffer.unknown") : t("tile.buffer.hours", { time: durationOf(buffer.hours_left * 3600) }), bufferMore(line.buffer, buffer, when)],
    ["clock", clock.observedValue.synchronised ? t("tile.clock.kept") : t("tile.clock.alone"), line.line.time_zone],
    ["version", health.releaseId, t("tile.version.more", { events: countOf(line.buffer.last_seq) })],
    ["configuration", line.configuration, t("tile.configuration.more", { time: shortOf(configuration.observedValue.applied, when) })],
  ];
  return html`<dl class="tiles">
    ${tiles.map(([name, value, more]) => html`<div class="panel tile" data-tile=${name}><dt>${word("tile", name)}</dt><dd class="cut" title=${value}>${value}</dd><dd class="tile-note">${more}</dd></div>`)}
  </dl>`;
}

function bufferMore(buffer, more, when) {
  const size = more ? t("tile.buffer.of", { size: bytesOf(buffer.size_bytes), most: bytesOf(more.max_size) }) : bytesOf(buffer.size_bytes);
  const oldest = more?.oldest_time ? t("tile.buffer.oldest", { time: shortOf(more.oldest_time, when) }) : "";
  return [size, oldest].filter(Boolean).join(" · ");
}

/** What the stream does not carry of the buffer: asked for now and then while this is looked at. */
function useBuffer() {
  const [buffer, take] = useState(null);
  const epoch = useKnown(({ epoch }) => epoch);
  useEffect(() => {
    const ask = () => get("api/buffer").catch(unanswered).then(take); // what is missing is shown as not known
    ask();
    const timer = setInterval(ask, BUFFER_MS);
    return () => clearInterval(timer);
  }, [epoch]);
  return buffer;
}
