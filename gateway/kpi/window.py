"""One window of one machine: its bounds, what it has summed up so far, and what was told of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from gateway.checkpoint import field_names
from gateway.kpi.claimed import Claimed, output_of
from gateway.kpi.shares import Share
from gateway.kpi.tallies import NOT_PLANNED, Judged, Tallies
from gateway.kpi.task import Task
from gateway.states.interval import Interval
from gateway.states.stops import ToldStop

Kind = Literal["hour", "shift", "day", "job"]
KINDS: tuple[Kind, ...] = ("hour", "shift", "day", "job")
UNKNOWN = "unknown"


class Open(NamedTuple):
    """What is not settled yet: intervals that are not final, the last without an end, and stops that are not."""

    intervals: Sequence[Interval]
    stops: Mapping[str, ToldStop]


@dataclass(slots=True)
class Window:
    """Times are engine milliseconds; its length is the engine time between the crossings of its bounds."""

    id: str
    kind: Kind
    key: str
    """What it is the window of: UTC of the hour, the shift with its begin, the production day, the job."""
    began: int
    began_text: str
    shift: str | None = None
    production_date: str = ""
    job: str | None = None
    product: str | None = None
    ended: int | None = None
    ended_text: str | None = None
    tallies: Tallies = field(default_factory=Tallies)
    blind: int = 0
    """Unknown milliseconds since the counters can't be read, as long as nobody knows what they will say."""
    stopped: dict[str, list[int]] = field(default_factory=dict)
    """Of stops that are not final: planned milliseconds in here, and those that are neither production nor unknown."""
    claimed: dict[str, Claimed] = field(default_factory=dict)
    """Parts whose product is a person's word, by the entry that says it."""
    crew: str | None = None
    """Of a shift: who worked, as it was told last."""
    rev: int = -1
    told: str = ""
    """Digest of what was told last."""
    dirty: bool = True

    def overlap(self, began: int, ended: int) -> int:
        """Milliseconds of a span that lie in it."""
        until = ended if self.ended is None else min(ended, self.ended)
        return max(0, until - max(began, self.began))

    def holds(self, began: int, ended: int) -> bool:
        """Whether all of a span lies in it."""
        return self.began <= began and (self.ended is None or ended <= self.ended)

    def takes(self, since: int | None, at: int, job: str | None) -> bool:
        """Whether parts that were seen at `at`, or made over an outage since then, on a job, belong to it."""
        if since is None:
            return self.began <= at and (self.ended is None or at < self.ended)
        holds = self.holds(since, at)
        return holds if self.kind != "job" else self.key == job and (holds or self.began == at)

    def spend(self, category: str, ms: int, stop: str | None) -> None:
        """Time in a category, which may be within a stop."""
        self.dirty = True
        self.tallies.spend(category, ms)
        if stop is not None:
            times = self.stopped.setdefault(stop, [0, 0])
            times[0] += 0 if category in NOT_PLANNED else ms
            times[1] += 0 if category in (*NOT_PLANNED, "production", UNKNOWN) else ms

    def make(self, share: Share, parts: int, spread: int, task: Task) -> None:
        """Parts by one counter."""
        self.dirty = True
        made = output_of(share, parts, spread, task.ideal_ms)
        self.tallies.output(task.product).__iadd__(made)
        if task.claim:
            self.claimed[task.claim].count(share, parts, spread, made)

    def disclaim(self, entry: str, earlier: Task | None) -> bool:
        """A person's word of the product was taken back: its parts are of the one that was said before, or of none.

        False where none of them are here.
        """
        claimed = self.claimed.pop(entry, None)
        if claimed is None:
            return False
        self.dirty = True
        claimed.made.lay(self.tallies, claimed.task.product, -1)
        if earlier is None:
            claimed.base.lay(self.tallies, None, 1)
            return True
        now = claimed.under(earlier)
        now.made.lay(self.tallies, earlier.product, 1)
        if (before := self.claimed.setdefault(earlier.claim, now)) is not now:
            before.add(now)
        return True

    def judge(self, told: ToldStop, now: int) -> bool:
        """A stop is divided by time, and is minor or a downtime by its whole length; one that is open, until now.

        False where no time of it lies here.
        """
        times = self.stopped.pop(told.stop.id, None)
        if times is None:
            return False
        self.dirty = True
        stop = told.stop
        repair = (now if stop.ended is None else stop.ended) - stop.began - stop.planned_ms
        judged = Judged.of(stop.kind, stop.reason, told.minor, repair)
        self.tallies.judge(judged, self.begins(stop.began), *times)
        return True

    def begins(self, moment: int) -> int:
        """1 where a moment lies in it, else 0."""
        return int(self.began <= moment and (self.ended is None or moment < self.ended))

    def works_on(self, task: Task) -> None:
        """What is worked on at some time in it."""
        if task.claim:
            self.tallies.has_ideal |= task.base_ms is not None
            self.claimed.setdefault(task.claim, Claimed(task)).task = task
        else:
            self.tallies.works_on(task.product, has_ideal=task.ideal_ms is not None, listed=task.listed)

    def lay_claims(self) -> None:
        """What people said is worked on counts as if it were known."""
        for one in self.claimed.values():
            self.tallies.works_on(one.task.product, has_ideal=one.task.ideal_ms is not None, listed=one.task.listed)

    def copy(self) -> Window:
        """Of its own."""
        stopped = {stop: [*times] for stop, times in self.stopped.items()}
        claimed = {entry: one.copy() for entry, one in self.claimed.items()}
        return replace(self, tallies=self.tallies.copy(), stopped=stopped, claimed=claimed)

    def checkpoint(self) -> dict[str, Any]:
        """Plain values from which `restored` makes it again."""
        saved = {name: getattr(self, name) for name in field_names(Window) if name != "dirty"}
        claimed = {entry: one.checkpoint() for entry, one in self.claimed.items()}
        stopped = {k: [*v] for k, v in self.stopped.items()}
        saved = {name: value for name, value in saved.items() if value or name not in ("claimed", "crew")}
        if claimed:
            saved["claimed"] = claimed
        return {**saved, "tallies": self.tallies.checkpoint(), "stopped": stopped}

    @staticmethod
    def restored(saved: dict[str, Any]) -> Window:
        """From a checkpoint."""
        known = {name: saved[name] for name in field_names(Window) if name in saved}
        claimed = {entry: Claimed.restored(one) for entry, one in saved.get("claimed", {}).items()}
        return Window(**{**known, "tallies": Tallies.restored(saved["tallies"]), "claimed": claimed, "dirty": False})
