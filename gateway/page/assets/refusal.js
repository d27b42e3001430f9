// Why the daemon refused, and what to do about it: the same form wherever that is said.
import { html } from "./vendor/preact-htm.js";

/** `error` is an ApiError; announced at once where `isUrgent`. */
export function Refusal({ error, isUrgent = false }) {
  return html`<p class="refused" role=${isUrgent ? "alert" : null}><b>${capital(error.why)}</b>${error.remedy && html`<span class="remedy">${capital(error.remedy)}</span>`}</p>`;
}

/** As a sentence begins; a name or a path keeps its form. */
const capital = (words) => (/^[a-z]+('[a-z]+)?[ ,:]/.test(words) ? words.charAt(0).toUpperCase() + words.slice(1) : words);
