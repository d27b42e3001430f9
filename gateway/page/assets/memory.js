// What this browser remembers: for ever, or for as long as the tab lives; a browser that keeps nothing forgets at once.
const STORES = { ever: () => localStorage, tab: () => sessionStorage };

/** What was kept under a key; null where nothing was. */
export function recall(key, where = "ever") {
  try {
    return STORES[where]().getItem(key);
  } catch {
    return null;
  }
}

/** Keep it; whether that was possible. */
export function keep(key, value, where = "ever") {
  try {
    STORES[where]().setItem(key, value);
    return true;
  } catch {
    return false;
  }
}
