"""Parts by what their counters count, and those of one span of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.checkpoint import plain_list
from gateway.kpi.counter import Counted
from gateway.kpi.cycles import CycleTimes

ROLES = ("total", "good", "scrap", "rework")


@dataclass(slots=True)
class Tally:
    """Parts by the counters that a machine has; a role without a counter stays 0, several of one are added up."""

    total: int = 0
    good: int = 0
    scrap: int = 0
    rework: int = 0

    def add(self, role: str, parts: int) -> None:
        """Count parts that a counter of the role brought."""
        setattr(self, role, getattr(self, role) + parts)

    def minus(self, other: Tally) -> Tally:
        """What remains without another tally."""
        return Tally(
            self.total - other.total, self.good - other.good, self.scrap - other.scrap, self.rework - other.rework
        )

    def __bool__(self) -> bool:
        return bool(self.total or self.good or self.scrap or self.rework)


@dataclass(slots=True)
class Window:
    """Parts of one span of time; `began` is engine time."""

    began: int
    tally: Tally = field(default_factory=Tally)
    spread: Tally = field(default_factory=Tally)
    """How many more than counted each counter may have seen, where its number is ambiguous."""
    reasons: dict[str, int] = field(default_factory=dict)
    """Scrap by the reason of its counter."""
    cycles: CycleTimes = field(default_factory=CycleTimes)

    def __bool__(self) -> bool:
        return bool(self.tally or self.spread or self.cycles.n)

    def add(self, role: str, counted: Counted, reason: str | None) -> None:
        """Count parts that a counter of the role brought."""
        self.tally.add(role, counted.parts)
        self.spread.add(role, counted.high - counted.low)
        if reason is not None:
            self.reasons[reason] = self.reasons.get(reason, 0) + counted.parts

    def checkpoint(self) -> list[Any]:
        """Plain values from which `restored` makes it again."""
        tallies = plain_list(self.tally), plain_list(self.spread)
        return [self.began, *tallies, self.reasons, self.cycles.checkpoint()]

    @classmethod
    def restored(cls, saved: Sequence[Any]) -> Window:
        """A window from its checkpoint; older ones have no reasons and no cycles."""
        began, tally, spread, reasons, cycles = [*saved, {}, []][:5] if len(saved) < 5 else saved
        return cls(began, Tally(*tally), Tally(*spread), dict(reasons), CycleTimes(*cycles))
