// Times in the line's zone, durations and numbers, as people read them.
import { localeOf, t } from "./texts.js";

const NONE = "–";
let wanted = "UTC";
let zone = "UTC";
let formats = new Map();

/** All times from now on are in this IANA zone; in UTC where this browser does not know it. */
export function setZone(name) {
  if (name === wanted) return;
  wanted = name;
  zone = isKnown(name) ? name : "UTC";
  formats = new Map();
}

/** The zone that times are shown in, and whether that is not the one that was asked for. */
export const zoneShown = () => ({ zone, isOther: zone !== wanted });

function isKnown(name) {
  try {
    return Boolean(new Intl.DateTimeFormat("en", { timeZone: name }));
  } catch {
    return false;
  }
}

const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
const MINUTE = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const DAY = { weekday: "short", day: "numeric", month: "short" };

function written(name, options, when) {
  if (when === null || when === undefined) return NONE;
  if (!formats.has(name)) formats.set(name, new Intl.DateTimeFormat(localeOf(), { timeZone: zone, ...options }));
  return formats.get(name).format(typeof when === "string" ? Date.parse(when) : when);
}

/** Of a time (UTC ms or RFC 3339): the hour, minute and second; the hour and minute; the day; all of it. */
export const clockOf = (when) => written("clock", CLOCK, when);
export const minuteOf = (when) => written("minute", MINUTE, when);
export const dayOf = (when) => written("day", DAY, when);
export const momentOf = (when) => written("moment", { ...DAY, ...CLOCK }, when);

/** Hour and minute, and the day too where it is not today's (`now`: UTC ms). */
export const shortOf = (when, now) => (dayOf(when) === dayOf(now) ? minuteOf(when) : `${dayOf(when)} ${minuteOf(when)}`);

/** Seconds as `45 s`, `4 min 05 s`, `2 h 07 min`, `3 d 04 h`. */
export function durationOf(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return NONE;
  const whole = Math.max(0, Math.floor(seconds));
  const two = (number) => String(number).padStart(2, "0");
  if (whole < 60) return t("duration.s", { s: whole });
  if (whole < 3600) return t("duration.min", { min: Math.floor(whole / 60), s: two(whole % 60) });
  if (whole < 86400) return t("duration.h", { h: Math.floor(whole / 3600), min: two(Math.floor((whole % 3600) / 60)) });
  return t("duration.d", { d: Math.floor(whole / 86400), h: two(Math.floor((whole % 86400) / 3600)) });
}

function number(name, options, value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  if (!formats.has(name)) formats.set(name, new Intl.NumberFormat(localeOf(), options));
  return formats.get(name).format(value);
}

/** A count; a number with at most so many decimals; a share of one as per cent; a share without its sign. */
export const countOf = (value) => number("count", { maximumFractionDigits: 0 }, value);
export const numberOf = (value, digits = 1) => number(`number${digits}`, { maximumFractionDigits: digits }, value);
export const percentOf = (value) => number("percent", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 }, value);
export const wholePercentOf = (value) => number("whole", { style: "percent", maximumFractionDigits: 0 }, value);

const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** Bytes, in powers of a thousand. */
export function bytesOf(value) {
  if (value === null || value === undefined) return NONE;
  const power = Math.min(UNITS.length - 1, value < 1000 ? 0 : Math.floor(Math.log10(value) / 3));
  return `${numberOf(value / 1000 ** power, power === 0 ? 0 : 1)} ${UNITS[power]}`;
}

/** A signal's value: its text where it has one, numbers with at most seven digits, strings as they are. */
export function valueOf(signal) {
  const value = signal.text ?? signal.value;
  if (value === null || value === undefined) return NONE;
  if (typeof value === "boolean") return t(value ? "value.true" : "value.false");
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value)) return countOf(value);
  return number("significant", { maximumSignificantDigits: 7 }, value);
}
