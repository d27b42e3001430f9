// The numbers of a chart as a table: for screen readers, and for those who want numbers.
import { html, useState } from "../vendor/preact-htm.js";
import { t } from "../texts.js";

/** `columns` are headings, `rows` lists of cells whose first is the row's heading; made when it is opened. */
export function Numbers({ caption, columns, rows }) {
  const [isOpen, setOpen] = useState(false);
  const cells = () => rows().map(
    ([head, ...rest]) => html`<tr><th scope="row">${head}</th>${rest.map((cell) => html`<td>${cell}</td>`)}</tr>`,
  );
  return html`<details class="numbers" onToggle=${(event) => setOpen(event.currentTarget.open)}>
    <summary>${t("chart.numbers")}</summary>
    ${isOpen && html`<div class="scrolls" tabindex="0" role="region" aria-label=${t("chart.numbers_of", { caption })}><table>
      <caption class="unseen">${caption}</caption>
      <thead><tr>${columns.map((column) => html`<th scope="col">${column}</th>`)}</tr></thead>
      <tbody>${cells()}</tbody>
    </table></div>`}
  </details>`;
}
