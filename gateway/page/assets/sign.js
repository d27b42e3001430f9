// Asks who is there: a name and a PIN, in a dialog of the browser's own.
import { html, render, useEffect, useRef } from "./vendor/preact-htm.js";
import { t } from "./texts.js";

/** {name, pin} as the person gives them, null where it is called off. `refused`: the ApiError of the try before. */
export function askWho(refused, operators) {
  const place = document.createElement("div");
  document.body.append(place);
  return new Promise((answer) => {
    const done = (who) => {
      render(null, place);
      place.remove();
      answer(who);
    };
    render(html`<${Sign} refused=${refused} operators=${operators} done=${done} />`, place);
  });
}

function Sign({ refused, operators, done }) {
  const dialog = useRef(null);
  useEffect(() => dialog.current.showModal(), []);
  const submitted = (event) => {
    event.preventDefault();
    const given = new FormData(event.target);
    done({ name: given.get("who").trim(), pin: given.get("pin") });
  };
  return html`<dialog ref=${dialog} class="sign" aria-labelledby="sign-title" onClose=${() => done(null)}>
    <form onSubmit=${submitted}>
      <h2 id="sign-title">${t("sign.title")}</h2>
      ${refused && html`<p class="refused" role="alert">${refused.why} ${refused.remedy}</p>`}
      <label>${t("sign.who")}
        ${operators.length
          ? html`<select name="who" required>${operators.map((name) => html`<option value=${name}>${name}</option>`)}</select>`
          : html`<input name="who" required autocomplete="username" maxlength="100" />`}
      </label>
      <label>${t("sign.pin")}
        <input name="pin" type="password" inputmode="numeric" required autocomplete="off" maxlength="200" />
      </label>
      <div class="buttons">
        <button type="button" onClick=${() => done(null)}>${t("sign.cancel")}</button>
        <button type="submit" class="primary">${t("sign.enter")}</button>
      </div>
    </form>
  </dialog>`;
}
