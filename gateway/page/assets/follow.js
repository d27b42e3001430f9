// Asks the daemon again as events are stored: one question at a time, and with pauses.
import { useEffect, useMemo, useState } from "./vendor/preact-htm.js";
import { get } from "./api.js";
import { useKnown } from "./store.js";

const PAUSE_MS = 2000;
const LONG_PAUSE_MS = 5000;
const living = new Set();

/** Something was stored just now, by us: whoever follows asks at once. */
export function nudge() {
  for (const follower of living) follower.want(true);
}

/** `ask(signal)` asks once and says whether it should soon be asked again; `told(error)` is called after each answer. */
export class Follower {
  constructor(ask, told, pauseMs = PAUSE_MS) {
    this.pauseMs = pauseMs;
    this.ask = ask;
    this.told = told;
    this.asking = null;
    this.timer = null;
    this.isWanted = false;
    living.add(this);
  }

  /** There may be something new; `atOnce` where that is not only because time went by. */
  want(atOnce = false) {
    this.isWanted = true;
    if (this.asking === null && (atOnce || this.timer === null)) this.run();
  }

  async run() {
    clearTimeout(this.timer);
    this.timer = null;
    this.isWanted = false;
    this.asking = new AbortController();
    const { signal } = this.asking;
    let error = null;
    try {
      this.isWanted = await this.ask(signal) || this.isWanted;
    } catch (caught) {
      error = caught;
    }
    if (signal.aborted) return;
    this.asking = null;
    this.isWanted ||= error !== null;
    this.told(error);
    this.timer = setTimeout(() => {
      this.timer = null;
      if (this.isWanted) this.run();
    }, this.pauseMs);
  }

  end() {
    living.delete(this);
    this.asking?.abort();
    clearTimeout(this.timer);
  }
}

/** A hook: grows when something was stored, or the stream has begun anew. */
export function useNews() {
  const seq = useKnown(({ line }) => line?.buffer.last_seq);
  const epoch = useKnown((known) => known.epoch);
  return `${epoch} ${seq}`;
}

/** A hook: `{answer, error}` of a GET, followed at leisure; the last answer stands while the daemon is away. */
export function useAnswer(path) {
  const [state, show] = useState({ path, answer: null, error: null });
  const news = useNews();
  const follower = useMemo(() => {
    let answer = null;
    const ask = async (signal) => {
      answer = await get(path, { signal });
      return false;
    };
    return new Follower(ask, (error) => show({ path, answer, error }), LONG_PAUSE_MS);
  }, [path]);
  useEffect(() => follower.want(), [follower, news]);
  useEffect(() => () => follower.end(), [follower]);
  const mine = state.path === path ? state : { answer: null, error: null };
  return { answer: mine.answer, error: mine.error };
}
