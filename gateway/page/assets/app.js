// The shell: what is around every view, and which one is shown (the address's #).
import { html, render, useEffect, useErrorBoundary, useState } from "./vendor/preact-htm.js";
import { get, unanswered } from "./api.js";
import { now, useNow } from "./clock.js";
import { clockOf, dayOf, setZone, zoneShown } from "./format.js";
import { Icon } from "./icons.js";
import { keep } from "./memory.js";
import { learn, useKnown } from "./store.js";
import { startStream } from "./stream.js";
import { chooseLanguage, t, word } from "./texts.js";
import { VIEWS } from "./views.js";

const wall = document.documentElement.dataset.wall !== undefined;

const chosen = () => VIEWS.find(({ name }) => `#${name}` === location.hash.split("?")[0]) ?? VIEWS[0];

function App() {
  const [view, show] = useState(chosen);
  useEffect(() => {
    const moved = () => show(chosen());
    addEventListener("hashchange", moved);
    return () => removeEventListener("hashchange", moved);
  }, []);
  useAbout();
  const line = useKnown(({ line }) => line);
  useEffect(() => {
    document.title = [line?.line.name, word("nav", view.name), "linegate"].filter(Boolean).join(" · ");
  }, [line?.line.name, view]);
  return html`
    <a class="skip" href="#main" onClick=${skip}>${t("shell.skip")}</a>
    <${Header} line=${line} />
    ${!wall && html`<${Tabs} shown=${view.name} />`}
    <${Stale} />
    <main id="main" tabindex="0" key=${view.name}>
      ${line === null ? html`<${Waiting} />` : html`<${Guarded} view=${view.view} line=${line} />`}
    </main>`;
}

/** A view that fails costs itself, not the page around it. */
function Guarded({ view: View, line }) {
  const [error, again] = useErrorBoundary((error) => console.error(error));
  if (error === undefined) return html`<${View} line=${line} />`;
  return html`<div class="empty" role="alert"><p>${t("shell.broken")} <code>${String(error)}</code></p>
    <button class="primary" onClick=${again}>${t("shell.again")}</button></div>`;
}

/** Nothing has come yet. */
function Waiting() {
  const why = useKnown(({ staleWhy }) => staleWhy);
  return html`<p class="empty" role="status">${t("shell.connecting")} ${why && word("stale", why)}</p>`;
}

function skip(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}

/** Fetches what does not change while a configuration is in force, when another one is. */
function useAbout() {
  const configuration = useKnown(({ line }) => line?.configuration);
  const epoch = useKnown(({ epoch }) => epoch);
  const zone = useKnown(({ line }) => line?.line.time_zone);
  if (zone !== undefined) setZone(zone);
  useEffect(() => {
    if (configuration === undefined) return;
    get("api/about").then((about) => learn({ about })).catch(unanswered); // the banner says it where nobody answers
  }, [configuration, epoch]);
}

function Header({ line }) {
  const place = line?.line;
  return html`<header class="top">
    <div class="brand">
      <h1 title=${place && `${place.enterprise} / ${place.site} / ${place.area} / ${place.name}`}>${place?.name ?? "linegate"}</h1>
      ${place && html`<span class="place">${place.enterprise} / ${place.site} / ${place.area}</span>`}
    </div>
    <${Task} line=${line} />
    <${Health} />
    <${Connection} />
    <${Clock} />
    ${!wall && html`<${Theme} />`}
  </header>`;
}

function Task({ line }) {
  const shift = line?.kpi.shift;
  const job = line?.job;
  return html`<div class="task">
    ${shift && html`<span>${shift.shift ? t("shell.shift", { shift: shift.shift }) : t("shell.shift_unnamed")}</span>`}
    ${line?.crew && html`<span title=${line.crew}>${t("shell.crew", { crew: line.crew })}</span>`}
    ${job?.job && html`<span title=${job.job}>${t("shell.job", { job: job.job })}</span>`}
    ${job?.product && html`<span title=${job.product}>${job.product}</span>`}
  </div>`;
}

function Health() {
  const health = useKnown(({ health }) => health);
  if (health === null) return null;
  const wrong = Object.values(health.checks).filter(([check]) => check.status !== "pass").length;
  const said = wrong === 0 ? t("shell.well") : wrong === 1 ? t("shell.one_wrong") : t("shell.wrong", { count: wrong });
  return html`<a class="health" data-status=${health.status} href="#plumbing" aria-label=${said} title=${said}>
    <${Icon} name=${{ pass: "good", warn: "warn", fail: "fail" }[health.status]} /><span>${said}</span>
  </a>`;
}

function Connection() {
  const connection = useKnown(({ connection }) => connection);
  return html`<span class="connection" data-connection=${connection}>${word("connection", connection)}</span>`;
}

function Clock() {
  const when = useNow();
  const time = clockOf(when);
  const { zone, isOther } = zoneShown();
  return html`<time class="clock" title=${zone}><span class="day">${dayOf(when)}</span> <b>${time}</b> ${isOther && zone}</time>`;
}

function Theme() {
  const turn = () => {
    const { dataset } = document.documentElement;
    dataset.theme = dataset.theme === "dark" ? "light" : "dark";
    keep("theme", dataset.theme);
    dispatchEvent(new Event("themechange"));
  };
  return html`<button class="theme" onClick=${turn} title=${t("shell.theme")} aria-label=${t("shell.theme")}><${Icon} name="theme" /></button>`;
}

function Tabs({ shown }) {
  return html`<nav class="tabs" aria-label=${t("shell.views")}>
    ${VIEWS.map(
      ({ name }) => html`<a href=${`#${name}`} aria-current=${name === shown ? "page" : null}><${Icon} name=${name} /><span>${word("nav", name)}</span></a>`,
    )}
  </nav>`;
}

function Stale() {
  const connection = useKnown(({ connection }) => connection);
  const why = useKnown(({ staleWhy }) => staleWhy);
  const isStale = connection === "stale";
  useEffect(() => {
    document.documentElement.toggleAttribute("data-stale", isStale);
  }, [isStale]);
  return html`<div id="stale" role="status" hidden=${!isStale}>
    ${isStale && html`<${Icon} name="warn" /><p><b>${t("stale.old", { time: clockOf(now()) })}</b> ${word("stale", why)}</p>`}
  </div>`;
}

await chooseLanguage();
render(html`<${App} />`, document.getElementById("app"));
startStream();
