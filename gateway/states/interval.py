"""A machine's state over time: intervals that tile it, each with its proof."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from gateway.kpi.parts import Tally
from gateway.states.packml import UNKNOWN


@dataclass(frozen=True, slots=True)
class Decision:
    """What the rules say at one instant, and why."""

    state: str
    cause: str | None = None
    reason: dict[str, Any] | None = None
    """code, text and source."""
    rule: dict[str, Any] | None = None
    """index and text."""
    because: dict[str, Any] = field(default_factory=dict)
    """The deciding signals: value, quality, why, time."""

    def same_as(self, other: Decision) -> bool:
        """Whether both are one interval: a reason may come late or go early, another one is another interval."""
        if (self.state, self.cause) != (other.state, other.cause):
            return False
        if self.reason is None or other.reason is None:
            return True
        return bool(self.reason["code"] == other.reason["code"])


@dataclass(slots=True)
class Interval:
    """One span in one state. Times are engine milliseconds."""

    id: str
    decision: Decision
    began: int
    began_text: str
    """UTC of its begin, as the wall clock was then: a later step of it moves no boundary that was told."""
    uncertainty: int | None
    """Milliseconds to the last sample that did not show the state."""
    rev: int = 0
    parts: Tally = field(default_factory=Tally)
    previous: dict[str, str] | None = None


@dataclass(slots=True)
class Pending:
    """A state that has been seen and must still hold until it counts."""

    decision: Decision
    since: int
    since_text: str
    uncertainty: int | None
    parts: Tally = field(default_factory=Tally)


@dataclass(frozen=True, slots=True)
class Revision:
    """An interval as it is to be published: open, or ended."""

    interval: Interval
    ended: int | None = None
    ended_text: str | None = None


class Timeline:
    """The current interval of one machine, and the one that is about to follow it."""

    def __init__(self, machine: str, settle: int, text: Callable[[int], str]) -> None:
        """`settle` in milliseconds; `text` gives UTC of an engine time, as the wall clock is now."""
        self._machine = machine
        self._settle = settle
        self._text = text
        self.current: Interval | None = None
        self.pending: Pending | None = None

    @property
    def deadline(self) -> int | None:
        """When the pending state counts."""
        return None if self.pending is None else self.pending.since + self._settle

    def decide(self, decision: Decision, at: int, uncertainty: int | None) -> list[Revision]:
        """What the rules say from `at` on; the intervals that begin, change or end by it."""
        current = self.current
        if current is None or decision.state == UNKNOWN or self._settle == 0:
            self.pending = None
            if current is not None and decision.same_as(current.decision):
                return self._fill_in(current, decision)
            return self._switch(decision, at, self._text(at), uncertainty, Tally())
        if decision.same_as(current.decision):
            self.pending = None
            return self._fill_in(current, decision)
        if self.pending is None or not decision.same_as(self.pending.decision):
            self.pending = Pending(decision, at, self._text(at), uncertainty)
        elif self.pending.decision.reason is None and decision.reason is not None:
            self.pending.decision = decision
        return []

    def settle(self) -> list[Revision]:
        """The pending state has held: it counts from when it was first seen."""
        pending, self.pending = self.pending, None
        assert pending is not None
        return self._switch(pending.decision, pending.since, pending.since_text, pending.uncertainty, pending.parts)

    def count(self, role: str, parts: int) -> None:
        """Parts made now."""
        if self.current is not None:
            self.current.parts.add(role, parts)
        if self.pending is not None:
            self.pending.parts.add(role, parts)

    def _fill_in(self, current: Interval, decision: Decision) -> list[Revision]:
        """A reason that came after its state revises the interval."""
        if current.decision.reason is not None or decision.reason is None:
            return []
        current.decision = replace(decision, because={**current.decision.because, **decision.because})
        current.rev += 1
        return [Revision(replace(current))]

    def _switch(self, decision: Decision, at: int, text: str, uncertainty: int | None, parts: Tally) -> list[Revision]:
        old = self.current
        if old is not None and old.began == at:  # nothing lasted no time: the interval was something else all along
            old.decision, old.uncertainty, old.parts = decision, uncertainty, parts
            old.rev += 1
            return [Revision(replace(old))]
        revisions, previous = [], None
        if old is not None:
            old.parts = old.parts.minus(parts)
            old.rev += 1
            revisions.append(Revision(old, at, text))
            previous = {"state": old.decision.state, "interval": old.id}
        self.current = Interval(
            f"{self._machine}-{at}", decision, at, text, uncertainty, parts=parts, previous=previous
        )
        return [*revisions, Revision(replace(self.current))]

    def checkpoint(self) -> dict[str, Any]:
        """Plain values from which `restore` goes on."""
        return {
            "current": None if self.current is None else asdict(self.current),
            "pending": None if self.pending is None else asdict(self.pending),
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        if saved["current"] is not None:
            self.current = Interval(**_revived(saved["current"]))
        if saved["pending"] is not None:
            self.pending = Pending(**_revived(saved["pending"]))


def _revived(saved: dict[str, Any]) -> dict[str, Any]:
    return {**saved, "decision": Decision(**saved["decision"]), "parts": Tally(**saved["parts"])}
