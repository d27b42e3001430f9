"""Cycle times of one machine: from one part to the next as its counter shows them, or as its PLC says them itself.

A scan that shows one part shows when it was made to within a scan, so that two of them enclose a cycle; one that shows
several says how long these took on average, and nothing of each. Cycles count that lie wholly within execute: of which
that is certain, with no rule or state that may yet turn out to have counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gateway.checkpoint import plain_list
from gateway.config.parts import CycleConfig
from gateway.kpi.counter import Counted, CounterFault
from gateway.kpi.task import Task
from protocols.model import Value

LONGEST_MS = 86_400_000
"""What says more than that is no cycle."""


class Measured(NamedTuple):
    """Cycles that one reading showed: how long all of them took, in whole milliseconds."""

    span_ms: int
    cycles: int
    uncertainty_ms: int
    """How far each end of that may be from where it was seen; 0 where the PLC measures."""


@dataclass(slots=True)
class CycleTimes:
    """Cycles of one minute and product; exact, since one minute has room for few different times."""

    n: int = 0
    span_ms: int = 0
    times: dict[int, int] = field(default_factory=dict)
    """How many of those that were seen one by one took so many milliseconds."""
    uncertainty_ms: int = 0
    ideal_ms: float | None = None

    def add(self, measured: Measured, ideal_ms: float | None) -> None:
        """Take cycles up; `ideal_ms` is what each should take."""
        self.n += measured.cycles
        self.span_ms += measured.span_ms
        self.uncertainty_ms, self.ideal_ms = max(self.uncertainty_ms, measured.uncertainty_ms), ideal_ms
        if measured.cycles == 1:
            self.times[measured.span_ms] = self.times.get(measured.span_ms, 0) + 1

    def figures(self) -> dict[str, float | int | None]:
        """The mean of all cycles, and what is known of those that were seen one by one."""
        return {
            "n": self.n,
            "n_single": sum(self.times.values()),
            "mean_s": round(self.span_ms / self.n / 1000, 6),
            "min_s": min(self.times) / 1000 if self.times else None,
            "max_s": max(self.times) / 1000 if self.times else None,
            "p50_s": self._percentile(50),
            "p95_s": self._percentile(95),
            "ideal_s": None if self.ideal_ms is None else self.ideal_ms / 1000,
            "uncertainty_s": self.uncertainty_ms / 1000,
        }

    def _percentile(self, percent: int) -> float | None:
        """The shortest time that at least so many percent of the cycles did not exceed (nearest rank)."""
        rank = -(-percent * sum(self.times.values()) // 100)
        for time in sorted(self.times):
            rank -= self.times[time]
            if rank <= 0:
                return time / 1000
        return None

    def checkpoint(self) -> list[Any]:
        """Plain values; `CycleTimes(*...)` makes it again."""
        return plain_list(self)


class Cycles:
    """Follows one machine's cycles. Times are engine milliseconds."""

    def __init__(self, config: CycleConfig | None) -> None:
        self.signal = None if config is None else config.signal
        """What the PLC says its cycle times in; None where its parts show them."""
        self._unit_ms = 0 if config is None else config.unit_ms
        self._shown: tuple[int, int, int] | None = None
        """What the current input shows: parts (of a cycle signal, milliseconds), the sample before, and now."""
        self._last: tuple[int, int, Task] | None = None
        """The last part that is certain: made between the two, while the machine worked on this."""
        self._is_known = False
        """Whether the cycle signal was good at its last sample."""

    def counted(self, found: Sequence[Counted | CounterFault], at: int, since: int | None, was_doubtful: bool) -> None:
        """The counter whose steps are cycles was read; `was_doubtful`: the reading before may have shown some of it."""
        if self.signal is not None or not found:
            return
        one = found[-1]
        is_sure = len(found) == 1 and isinstance(one, Counted) and one.outage_from is None and one.low == one.high > 0
        if is_sure and since is not None and not was_doubtful and isinstance(one, Counted):
            self._shown = (one.parts, since, at)
        else:
            self._last = None

    def said(self, value: Value, at: int, since: int | None) -> None:
        """The cycle signal changed."""
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if is_number and self._is_known and since is not None:
            length = round(float(value or 0) * self._unit_ms)
            self._shown = (length, since, at) if 0 < length <= LONGEST_MS else None
        self._is_known = is_number

    def lost(self) -> None:
        """Nobody looked."""
        self._last, self._shown, self._is_known = None, None, False

    def measured(self, executes_since: int | None, task: Task) -> Measured | None:
        """What the current input has shown, now that the state is decided; `executes_since`: None while it does not."""
        if self._shown is None:
            return None
        (shown, since, at), self._shown = self._shown, None
        if self.signal is not None:
            is_within = executes_since is not None and executes_since <= since - shown
            return Measured(shown, 1, 0) if is_within else None
        last, self._last = self._last, (since, at, task)
        if last is None or executes_since is None or executes_since > last[0] or last[2] != task:
            return None
        return Measured(at - last[1], shown, max(at - since, last[1] - last[0]))

    def checkpoint(self) -> list[Any]:
        """Plain values from which `restore` goes on."""
        last = None if self._last is None else [*self._last[:2], self._last[2].checkpoint()]
        return [last, self._is_known]

    def restore(self, saved: Sequence[Any]) -> None:
        """Go on from a checkpoint."""
        last, self._is_known = saved
        self._last = None if last is None else (last[0], last[1], Task(*last[2]))
