// When nothing is meant to be made, and why: breaks, no shift, maintenance; asked for a day ahead, and anew now and then.
import { useEffect, useMemo, useState } from "./vendor/preact-htm.js";
import { get, unanswered } from "./api.js";
import { useNow } from "./clock.js";
import { useKnown } from "./store.js";

const HOUR_MS = 3_600_000;
const STEP_MS = 6 * HOUR_MS;
const BEFORE_MS = 30 * HOUR_MS;
const AFTER_MS = 36 * HOUR_MS;
const NONE = { line: [], machines: {} };

/** Rests of the last day and the next, as `of(machine)` (null: the line's): [[began_ms, ended_ms, why], ...] in order. */
export function useRests() {
  const configuration = useKnown(({ line }) => line?.configuration);
  const epoch = useKnown((known) => known.epoch);
  const step = Math.floor((useNow() ?? 0) / STEP_MS) * STEP_MS;
  const [found, learn] = useState(NONE);
  useEffect(() => {
    if (step === 0) return;
    get(`api/rests?from=${step - BEFORE_MS}&to=${step + AFTER_MS}`).then(learn).catch(unanswered); // then none are told apart
  }, [configuration, epoch, step]);
  return useMemo(() => (machine) => found.machines[machine] ?? found.line, [found]);
}
