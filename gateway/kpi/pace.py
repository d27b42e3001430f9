"""How fast a machine makes parts just now, from the last steps of its counters: for people, no event tells of it."""

from __future__ import annotations

from collections import deque

LOOK_MS = 30_000
"""So far back steps tell of now, and the last FEW however far."""
FEW = 4
MOST = 300
"""Steps that are kept."""
MINUTE_MS = 60_000


class Pace:
    """Times are engine milliseconds."""

    def __init__(self) -> None:
        self._steps: deque[tuple[int, int]] = deque(maxlen=MOST)

    def counted(self, parts: int, at: int) -> None:
        """A reading showed parts; what several counters show at one time is one step."""
        if self._steps and self._steps[-1][0] == at:
            parts += self._steps.pop()[1]
        self._steps.append((at, parts))

    def forget(self) -> None:
        """What comes next does not go on from what was before."""
        self._steps.clear()

    def per_minute(self, since: int, now: int, *, runs: bool) -> float | None:
        """Parts a minute since the machine does what it does, which is producing where it `runs`; None where that is
        not known yet.

        From the first step to the last it is exact; and it is no more than if the next step came now, so that it falls
        where none comes.
        """
        steps = [step for step in self._steps if step[0] > since]
        recent = [step for step in steps if step[0] > now - LOOK_MS]
        steps = max(recent, steps[-FEW:], key=len)
        if len(steps) < 2:
            return None if runs and (steps or now - since < LOOK_MS) else 0.0
        (first, _), (last, step) = steps[0], steps[-1]
        parts = sum(parts for _, parts in steps[1:])
        rate = min(parts / (last - first), (parts + step) / (now - first))
        return round(max(0.0, rate) * MINUTE_MS, 1)
