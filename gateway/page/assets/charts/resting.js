// Why nothing was meant to be made, put to what machines did meanwhile. Pure.

/** The rest that a time lies in, or null. */
export const restAt = (rests, time) => rests.find(([began, ended]) => began <= time && time < ended) ?? null;

/** Intervals with `rest` (why nothing was meant to be made) where they are planned stops of which that is known. */
export const withRests = (intervals, rests) =>
  intervals.map((one) => {
    const rest = one.category === "planned_stop" ? restAt(rests, one.began_ms) : null;
    return rest === null ? one : { ...one, rest: rest[2] };
  });
