// Chooses the language (?lang= or the browser's, else English) and fills texts in; no other file holds words.
import english from "./texts/en.js";

let texts = english;
let locale = "en";

/** Load the first language that is wanted and there. Languages are the files of texts/, which index.html lists. */
export async function chooseLanguage() {
  const root = document.documentElement;
  const there = root.dataset.languages.split(" ");
  const asked = new URLSearchParams(location.search).get("lang");
  for (const wanted of asked ? [asked, ...navigator.languages] : navigator.languages) {
    const name = [wanted, wanted.split("-")[0]].find((one) => there.includes(one));
    if (name === undefined) continue;
    if (name !== "en") texts = { ...english, ...(await import(`./texts/${name}.js`)).default };
    locale = isLocale(wanted) ? wanted : name;
    root.lang = name;
    return;
  }
}

function isLocale(name) {
  try {
    return Intl.getCanonicalLocales(name).length === 1;
  } catch {
    return false;
  }
}

/** The locale that numbers and times are written in. */
export const localeOf = () => locale;

/** The text of a key, with `{name}` filled in from `values`. */
export function t(key, values) {
  const text = texts[key] ?? key;
  return values === undefined ? text : text.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}

/** The text of one of a family (`state`, `category`, ...), or the name itself in plain words where the family lacks it. */
export function word(family, name) {
  return texts[`${family}.${name}`] ?? String(name).replaceAll("_", " ");
}
