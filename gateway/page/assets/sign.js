// Asks who is there: a name, and a PIN where the daemon wants one, by buttons that work with gloves.
import { html, render, useEffect, useRef, useState } from "./vendor/preact-htm.js";
import { namesUsed } from "./present.js";
import { Refusal } from "./refusal.js";
import { t } from "./texts.js";

const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "clear", "0", "back"];
const LONGEST = 200;

/** `{name, pin}` as the person gives them, null where it is called off. `me`: /api/me's answer; `refused`: the ApiError of the try before, `before`: who that was. */
export function askWho(me, refused = null, before = null) {
  const place = document.createElement("div");
  document.body.append(place);
  return new Promise((answer) => {
    const done = (who) => {
      render(null, place);
      place.remove();
      answer(who);
    };
    render(html`<${Sign} me=${me} refused=${refused} before=${before} done=${done} />`, place);
  });
}

function Sign({ me, refused, before, done }) {
  const dialog = useRef(null);
  const pinField = useRef(null);
  const isListed = me.operators.length > 0;
  const names = isListed ? me.operators : namesUsed();
  const [name, setName] = useState(before?.name ?? (me.operators.length === 1 ? me.operators[0] : ""));
  const [pin, setPin] = useState("");
  useEffect(() => {
    const element = dialog.current;
    const origin = document.activeElement;
    element.showModal();
    if (name !== "") pinField.current?.focus();
    return () => {
      element.close();
      if (origin?.isConnected) origin.focus({ preventScroll: true });
    };
  }, []);
  const isReady = name.trim() !== "" && (!me.wants_pin || pin !== "");
  const submitted = (event) => {
    event.preventDefault();
    if (isReady) done({ name: name.trim(), pin });
  };
  const choose = (one) => {
    setName(one);
    if (me.wants_pin) pinField.current.focus();
  };
  return html`<dialog ref=${dialog} class="sign" aria-labelledby="sign-title" onCancel=${(event) => { event.preventDefault(); done(null); }}>
    <form onSubmit=${submitted}>
      <h2 id="sign-title">${t("sign.title")}</h2>
      ${refused && html`<div id="sign-refused"><${Refusal} error=${{ why: refused.why, remedy: t("sign.remedy") }} isUrgent=${true} /></div>`}
      ${names.length > 0 && html`<fieldset class="sign-names"><legend>${t("sign.who")}</legend>
        ${names.map((one) => html`<label key=${one}><input type="radio" name=${isListed ? "who" : "used"} value=${one} checked=${one === name} onChange=${() => choose(one)} /><span class="cut">${one}</span></label>`)}
      </fieldset>`}
      ${!isListed && html`<label class="field">${t(names.length > 0 ? "sign.other" : "sign.who")}
        <input name="who" value=${name} onInput=${({ target }) => setName(target.value)} autocomplete="off" maxlength="100" aria-describedby=${refused ? "sign-refused" : null} /></label>`}
      ${me.wants_pin && html`<${Pin} field=${pinField} pin=${pin} onPin=${setPin} refused=${refused} />`}
      <div class="buttons">
        <button type="button" onClick=${() => done(null)}>${t("sign.cancel")}</button>
        <button type="submit" class="primary" disabled=${!isReady}>${t("sign.enter")}</button>
      </div>
    </form>
  </dialog>`;
}

/** The pad works without the system's keyboard, which would cover it; who has letters in the PIN turns that on. */
function Pin({ field, pin, onPin, refused }) {
  const [hasLetters, setLetters] = useState(false);
  const press = (key) => {
    if (key === "clear") onPin("");
    else if (key === "back") onPin(pin.slice(0, -1));
    else onPin((pin + key).slice(0, LONGEST));
  };
  const letters = () => {
    setLetters(true);
    setTimeout(() => field.current?.focus());
  };
  return html`<label class="field">${t("sign.pin")}
      <input ref=${field} name="pin" type="password" inputmode=${hasLetters ? "text" : "none"} autocomplete="off" maxlength=${LONGEST} value=${pin}
        onInput=${({ target }) => onPin(target.value)} aria-invalid=${refused ? "true" : null} aria-describedby=${refused ? "sign-refused" : null} /></label>
    <div class="pad" role="group" aria-label=${t("sign.pad")} onPointerDown=${(event) => event.preventDefault() /* the field keeps the focus */}>
      ${KEYS.map((key) => html`<button type="button" key=${key} onClick=${() => press(key)} aria-label=${key === "clear" ? t("sign.clear") : key === "back" ? t("sign.back") : key}>${{ clear: "✕", back: "⌫" }[key] ?? key}</button>`)}
      ${!hasLetters && html`<button type="button" class="letters" onClick=${letters}>${t("sign.letters")}</button>`}
    </div>`;
}
