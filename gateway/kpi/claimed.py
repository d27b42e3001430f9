"""Parts of one window whose product is a person's word: as they were counted, and as they would be without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from gateway.checkpoint import plain_list
from gateway.kpi.shares import Share
from gateway.kpi.tallies import Output, Tallies
from gateway.kpi.task import Task

TIMES = ("ideal_ns", "good_ns", "scrap_ns", "spread_ns", "less_ns", "unknown_ns", "start_up_ns")


@dataclass(slots=True)
class Parts(Output):
    """Parts, and how many ideal nanoseconds of them were made in unknown time, and of their scrap in setup."""

    unknown_ns: int = 0
    start_up_ns: int = 0

    def lay(self, tallies: Tallies, product: str | None, sign: int) -> None:
        """Put them into a window's sums, or with -1 take them out."""
        mine = {one.name: sign * getattr(self, one.name) for one in fields(Output)}
        output = tallies.output(product)
        output += Output(**mine)
        tallies.unknown_ns += sign * self.unknown_ns
        tallies.start_up_ns += sign * self.start_up_ns
        if output == Output():
            tallies.products = {key: one for key, one in tallies.products.items() if one is not output}


def output_of(share: Share, parts: int, spread: int, ideal_ms: float | None) -> Output:
    """Parts by one counter, at an ideal cycle time."""
    of_pq, of_gq, of_sq, of_rq = (one * parts for one in share)
    made = Output(pq=of_pq, gq=of_gq, sq=of_sq, rq=of_rq, spread=share.pq * spread)
    if ideal_ms is None:
        made.unpriced = abs(parts) if share.pq or share.gq else 0
        return made
    ideal = round(ideal_ms * 1e6)
    made.ideal_ns, made.good_ns, made.scrap_ns = of_pq * ideal, of_gq * ideal, of_sq * ideal
    if spread:
        made.spread_ns = max(0, share.gq) * spread * ideal
        made.less_ns = max(0, -share.gq) * spread * ideal
    return made


@dataclass(slots=True)
class Claimed:
    """Of one entry. `made` is what the window's sums have, `base` what they would have if nobody had said anything."""

    task: Task
    made: Parts = field(default_factory=Parts)
    base: Parts = field(default_factory=Parts)
    unit: Parts = field(default_factory=Parts)
    """At an ideal of 1 ns, and counted as without any ideal."""

    def count(self, share: Share, parts: int, spread: int, made: Output) -> None:
        """Parts by one counter."""
        self.made.__iadd__(made)
        self.base.__iadd__(output_of(share, parts, spread, self.task.base_ms))
        self.unit.__iadd__(output_of(share, parts, spread, 1e-6))
        self.unit.__iadd__(Output(unpriced=output_of(share, parts, spread, None).unpriced))

    def early(self, name: str, times: Sequence[int]) -> None:
        """Some of them were made in unknown time, or in setup: nanoseconds of each of the three."""
        for one, ns in zip((self.made, self.base, self.unit), times, strict=True):
            setattr(one, name, getattr(one, name) + ns)

    def under(self, task: Task) -> Claimed:
        """The same parts where an earlier word says the product."""
        if task.ideal_ms == task.base_ms:
            return replace(self, task=task, made=replace(self.base))
        ideal = 0 if task.ideal_ms is None else round(task.ideal_ms * 1e6)
        made = replace(self.unit, **{name: getattr(self.unit, name) * ideal for name in TIMES})
        made.unpriced = self.unit.unpriced if task.ideal_ms is None else 0
        return replace(self, task=task, made=made)

    def add(self, other: Claimed) -> None:
        """More parts of the same entry."""
        self.made.__iadd__(other.made)
        self.base.__iadd__(other.base)
        self.unit.__iadd__(other.unit)

    def copy(self) -> Claimed:
        """Of its own."""
        return replace(self, made=replace(self.made), base=replace(self.base), unit=replace(self.unit))

    def checkpoint(self) -> list[Any]:
        """Plain values from which `restored` makes it again."""
        return [plain_list(one) for one in (self.task, self.made, self.base, self.unit)]

    @staticmethod
    def restored(saved: Sequence[Sequence[Any]]) -> Claimed:
        """From a checkpoint."""
        task, made, base, unit = saved
        return Claimed(Task(*task), Parts(*made), Parts(*base), Parts(*unit))
