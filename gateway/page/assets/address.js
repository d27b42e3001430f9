// Where the daemon is asked: beside the page, without the name and password that a kiosk's address may carry.

/** The address of a path such as `api/line`; browsers refuse to fetch one that holds a password. */
export const address = (path) => new URL(path, location.origin + location.pathname).href;
