// Hooks for views: the history of a stretch of time, fetched once and then only what is new.
import { useEffect, useMemo, useRef, useState } from "../vendor/preact-htm.js";
import { get } from "../api.js";
import { Follower, useNews } from "../follow.js";
import { Past } from "../past.js";

/**
 * A hook: `{past, rev, error}`, from a time on, followed as events are stored and anew after a break of the stream;
 * of one machine with its production, of all without.
 */
export function usePast(from, machine = null) {
  const past = useMemo(() => new Past(machine), [machine]);
  const [state, show] = useState({ past, rev: 0, error: null });
  const wanted = useRef(from);
  const news = useNews();
  const follower = useMemo(() => {
    const ask = async (signal) => {
      const question = past.question(wanted.current);
      const isMore = past.take(question, await get(`api/history?${question}`, { signal }));
      return isMore || wanted.current < past.from;
    };
    return new Follower(ask, (error) => show(({ rev }) => ({ past, rev: rev + 1, error })));
  }, [past]);
  useEffect(() => {
    wanted.current = from;
    follower.want(past.from === null || from < past.from);
  }, [follower, from, news]);
  useEffect(() => () => follower.end(), [follower]);
  return state.past === past ? state : { past, rev: 0, error: null };
}
