"""Stops as people call them, told at once, revised under one id, and final when nothing can change them any more.

What a stop is follows from the intervals alone: those that are final are folded once, the others again each time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gateway.checkpoint import plain
from gateway.kpi.tally import Tally
from gateway.states.fold import Fold, Stop
from gateway.states.interval import Interval


@dataclass(frozen=True, slots=True)
class ToldStop:
    """A stop to be published."""

    stop: Stop
    rev: int
    final: bool
    minor: bool | None
    """None while it can still be one."""
    given: Mapping[str, Any] | None = None
    """The reason that a person gave."""

    @property
    def reason(self) -> Mapping[str, Any] | None:
        """What a person gave goes before what the machine said."""
        return self.given or self.stop.reason

    @property
    def failure(self) -> bool | None:
        """Whether it counts as one, for MTBF and MTTR."""
        if self.stop.kind != "own" or self.minor is None:
            return None if self.stop.kind == "own" else False
        reason = self.reason
        return not self.minor and (reason is None or bool(reason.get("failure", True)))


class Stops:
    """One machine's stops. Times are engine milliseconds."""

    def __init__(self, machine: str, short_stop: int, given: Callable[[str], Mapping[str, Any] | None]) -> None:
        """`short_stop`: a shorter one is minor; `given`: the reason that a person gave for a stop."""
        self._machine, self._short, self._given = machine, short_stop, given
        self.resume = 0
        """How long production must last to end a stop."""
        self._settled: Stop | None = None
        """The one that is open after all final intervals."""
        self._used: str | None = None
        """Id of the last final one."""
        self._withdrawn: dict[str, int] = {}
        """Final ids of stops that turned out not to be, and where they began: another may yet begin there."""
        self._published: dict[str, tuple[int, list[Any], Stop]] = {}
        """Revision, what was told, and the stop, of each that is not final."""
        self.deadline: int | None = None
        """When time alone says more of the open stop: that it is no minor one, or that it is over."""
        self.waits = False
        """Whether production has lasted, as soon as it is certain that it was production."""

    @property
    def open(self) -> dict[str, ToldStop]:
        """Those that are not final, by id."""
        return {name: ToldStop(stop, rev, False, told[-1]) for name, (rev, told, stop) in self._published.items()}

    def follow(
        self, closed: Sequence[Interval], current: Interval, horizon: int | None, now: int
    ) -> tuple[int, list[ToldStop]]:
        """How many of the closed intervals are decided for good, and the stops to be told; sets intervals' `stop`."""
        sure = now if horizon is None else min(horizon, now)
        used = () if self._used is None else (self._used,)
        fold = Fold(self._machine, self.resume, self._settled, (*used, *self._withdrawn))
        final, ended = 0, 0
        for index, interval in enumerate(closed):
            assert interval.ended is not None
            if interval.ended > sure:
                break
            fold.begin(interval, interval.ended)
            fold.include(interval, interval.ended)
            if not fold.run:
                final, ended = index + 1, len(fold.ended)
                self._keep(fold)
        else:
            fold.begin(current, sure)
            # how it began decides what was before it, unless it may yet turn out to be something else from its begin;
            # while it has lasted no time, by what is seen at the same instant
            if not fold.run and current.began < sure:
                final, ended = len(closed), len(fold.ended)
                self._keep(fold)
            fold.include(current, now)
        if final:
            over = closed[final - 1].ended or 0
            self._withdrawn = {name: began for name, began in self._withdrawn.items() if began >= over}
        done = fold.ended[:ended]
        self._look_ahead(fold, closed, current, sure, now)
        for interval in (*closed, current):
            interval.stop = fold.owners.get(interval.id)
        return final, self._tell(fold, done, now)

    def _keep(self, fold: Fold) -> None:
        """What has been taken so far is decided."""
        stop = fold.stop
        self._settled = None if stop is None else replace(stop, parts=replace(stop.parts), intervals=[*stop.intervals])
        if fold.ended:
            self._used = fold.ended[-1].id

    def _look_ahead(self, fold: Fold, closed: Sequence[Interval], current: Interval, sure: int, now: int) -> None:
        """The intervals that may yet be revised."""
        for interval in (*closed, current):
            if interval.id not in fold.owners and interval not in fold.run:
                until = now if interval.ended is None else interval.ended
                fold.begin(interval, min(until, sure))
                fold.include(interval, until)
        run = fold.run[0].began + self.resume if fold.run else None
        self.waits = run is not None and run <= now
        long = None
        if fold.stop is not None and fold.stop.kind == "own" and not fold.run:
            long = fold.stop.began + self._short
        self.deadline = min((one for one in (run, long) if one is not None and one > now), default=None)

    def _tell(self, fold: Fold, done: Sequence[Stop], now: int) -> list[ToldStop]:
        told = []
        known = {stop.id for stop in fold.ended} | ({fold.stop.id} if fold.stop is not None else set())
        for name in [name for name in self._published if name not in known]:
            rev, _, stop = self._published.pop(name)  # it turned out to have been something else from its begin on
            self._withdrawn[name] = stop.began
            gone = replace(
                stop, ended=stop.began, ended_text=stop.began_text, planned_ms=0, parts=Tally(), intervals=[]
            )
            told.append(ToldStop(gone, rev + 1, True, self._minor(gone, now)))
        until = fold.run[0].began if fold.run else now
        for stop in [*fold.ended, *([] if fold.stop is None else [fold.stop])]:
            final = any(stop is one for one in done)
            minor = self._minor(stop, until)
            given = self._given(stop.id)
            content = [stop.kind, stop.category, stop.began, stop.ended, given or stop.reason, stop.first_out, minor]
            rev, before, _ = self._published.get(stop.id, (-1, [], stop))
            if final:
                self._published.pop(stop.id, None)
            else:  # as it is now, be it told or not
                self._published[stop.id] = (rev + (content != before), content, replace(stop, intervals=[]))
            if final or content != before:
                told.append(ToldStop(stop, rev + 1, final, minor, given))
        return told

    def _minor(self, stop: Stop, until: int) -> bool | None:
        if stop.kind != "own" or (until if stop.ended is None else stop.ended) - stop.began >= self._short:
            return False
        return None if stop.ended is None else True

    def checkpoint(self) -> dict[str, Any]:
        """Plain values from which `restore` goes on."""
        return {
            "settled": None if self._settled is None else plain(self._settled),
            "used": self._used,
            **({"withdrawn": self._withdrawn} if self._withdrawn else {}),
            "published": {name: [rev, told, plain(stop)] for name, (rev, told, stop) in self._published.items()},
            "deadline": self.deadline,
            "waits": self.waits,
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._settled = None if saved["settled"] is None else _stop(saved["settled"])
        self._used = saved["used"]
        self._withdrawn = dict(saved.get("withdrawn", {}))
        self._published = {name: (rev, told, _stop(stop)) for name, (rev, told, stop) in saved["published"].items()}
        self.deadline, self.waits = saved["deadline"], saved["waits"]


def _stop(saved: dict[str, Any]) -> Stop:
    return Stop(**{**saved, "parts": Tally(**saved["parts"])})
