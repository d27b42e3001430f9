"""One machine's KPI windows: hours, shifts, production days and jobs, summed up as things become certain.

What can't change any more is settled into the windows once; the rest is laid over a copy when a window is told. A
window that has ended is told after `grace`, again when what was learned later changes it, and for the last time when
it freezes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from gateway.checkpoint import plain_list
from gateway.entries.book import Book
from gateway.events import Event
from gateway.kpi.blind import Blindness
from gateway.kpi.counting import Made
from gateway.kpi.figures import figures
from gateway.kpi.policy import Policy
from gateway.kpi.shares import shares
from gateway.kpi.tallies import Output, Tallies
from gateway.kpi.task import Task
from gateway.kpi.waiting import Part, WaitingParts, classified, classify
from gateway.kpi.window import KINDS, UNKNOWN, Kind, Open, Window
from gateway.states.interval import Interval
from gateway.states.stops import ToldStop
from gateway.tell import Teller

LONG_ABSENT = 7 * 86_400_000
"""What nobody saw for longer has windows of its own only for so long before it ended, or for as long as they last."""


SHOWN = ("oee", "oee_low", "oee_high", "availability", "effectiveness", "quality", "pq", "gq", "sq")
"""Figures of a window that is open."""
SHOWN_OF_HOUR = (*SHOWN, "pbt_s", "unknown_s", "run_s", "ideal_s", "ideal_good_s", "losses")
"""Of the hour that runs also what its losses follow from; longer windows have closed hours for that."""


class Running(NamedTuple):
    """A window that is open, and what it sums up to so far."""

    window: Window
    tallies: Tallies


class Told(NamedTuple):
    """A window as it was told last."""

    machine: str
    window: Window
    tallies: Tallies
    final: bool


def shown(window: Window, every: Mapping[str, Any]) -> dict[str, Any]:
    """A window that is open, for people."""
    told = {"began": window.began_text, "job": window.job, "shift": window.shift}
    names = SHOWN_OF_HOUR if window.kind == "hour" else SHOWN
    return {**told, **{name: every[name] for name in names}}


class Windows:
    """Times are engine milliseconds."""

    def __init__(self, machine: str, policy: Policy, roles: Collection[str], teller: Teller, book: Book) -> None:
        """`roles`: of the counters that the machine has; `book`: what people said of it."""
        self._book = book
        self.crew_of: Callable[[int, int], str | None] = lambda _began, _ended: None
        """Who worked in a time, as far as somebody said it."""
        self._machine, self._policy, self._teller = machine, policy, teller
        self._shares = shares(roles)
        counted = set(roles) - {"rework"}
        self._empty = Tallies(counts=bool(counted), counts_scrap=len(counted) > 1, counts_rework="rework" in roles)
        self.open: dict[Kind, Window] = {}
        self.closed: list[Window] = []
        """Those that have ended and are not frozen, in the order in which they ended."""
        self.told: list[Told] | None = None
        """Those that were told, for whoever sets it to a list, and empties that."""
        self.turns = 0
        """How often one has begun or ended."""
        self.gone: list[str] = []
        """Ids of those that were frozen since the last checkpoint."""
        self.deadline: int | None = None
        """When a window ends, is to be told, or freezes."""
        self._until: int | None = None
        self._returns = 0
        """No window begins before it."""
        self._blind = Blindness()
        self._carry: dict[str, dict[str, Output]] = {}
        """Parts that would be negative in the last window of a kind, by product, for the next one."""
        self._parts = WaitingParts()
        self._touched: set[str] = set()
        """Ids of windows that were told and have changed."""

    def place(self, at: int, task: Task) -> None:
        """The windows that `at` is in: others end here, and theirs begin."""
        periods = self._teller.time.periods(at)
        keys: dict[Kind, str | None] = {
            "hour": periods.hour,
            "shift": periods.shift,
            "day": periods.day,
            "job": task.job,
        }
        for kind in KINDS:
            window, key = self.open.get(kind), keys[kind]
            if window is not None and window.key != key:
                self._close(window, at)
            if key is not None and kind not in self.open and at >= self._returns:
                self._begin(kind, key, at, task)
        self._until = periods.until if at >= self._returns or self.open.keys() - {"job"} else self._returns
        for window in self.open.values():
            window.works_on(task)
            if (window.job, window.product) != (task.job, task.product):
                window.job = window.job if window.job == task.job else None
                window.product = window.product if window.product == task.product else None
        self._plan()

    @property
    def are_placed(self) -> bool:
        """Whether there have ever been any."""
        return self._until is not None

    def absent(self, since: int, at: int) -> None:
        """Nobody looked from `since` to `at`: what is open goes on to its end, and years have no hours."""
        longest = max(LONG_ABSENT, self._policy.freeze)
        self._returns = at - longest if at - since > longest else 0

    def _begin(self, kind: Kind, key: str, at: int, task: Task) -> None:
        of_event = self._teller.time.of_event(at)
        window = Window(
            f"{self._machine}-{kind}-{at}",
            kind,
            key,
            at,
            self._teller.time.text(at),
            shift=None if kind in ("day", "job") else of_event["shift"],
            production_date=of_event["production_date"] or "",
            job=task.job,
            product=task.product,
            tallies=self._empty.copy(),
        )
        window.tallies.add_parts(self._carry.pop(kind, {}))
        self.open[kind] = window
        self.turns += 1

    def _close(self, window: Window, at: int) -> None:
        del self.open[window.kind]
        self.turns += 1
        if window.began < at:
            window.ended, window.ended_text, window.dirty = at, self._teller.time.text(at), True
            self._carry[window.kind] = window.tallies.carry()
            self.closed.append(window)

    def _plan(self) -> None:
        due = [(one.ended or 0) + (self._policy.grace if one.rev < 0 else self._policy.freeze) for one in self.closed]
        self.deadline = min((moment for moment in (self._until, *due) if moment is not None), default=None)

    def fire(self, at: int, task: Task, unsettled: Open) -> list[Event]:
        """What is due at `at`."""
        if self._until is not None and at >= self._until:
            self.place(at, task)
        events = []
        for window in [*self.closed]:
            assert window.ended is not None
            if at >= window.ended + self._policy.freeze and window.rev >= 0:
                events += self._tell(window, unsettled, at, final=True)
                self.closed.remove(window)
                self.gone.append(window.id)
                self._book.forget(at if self.oldest is None else self.oldest, unsettled)
            elif at >= window.ended + self._policy.grace and window.rev < 0:
                events += self._tell(window, unsettled, at)
        self._plan()
        return events

    def finish(self, at: int, unsettled: Open) -> list[Event]:
        """Nothing comes after `at`: what is open ends here, and all is told as it is."""
        self._until = None
        for window in [*self.open.values()]:
            self._close(window, at)
        events = [event for window in self.closed for event in self._tell(window, unsettled, at)]
        self._plan()
        return events

    def made(self, made: Made, at: int, task: Task, stretch: tuple[int, ...]) -> None:
        """Parts came, within a stretch of time; those of an outage belong to the windows that hold all of it."""
        share, counted = self._shares.get(made.role), made.counted
        if share is None:
            return
        since = counted.outage_from
        latest = max((window.began for window in self.open.values()), default=at)
        is_now = since is None and at >= latest
        for window in self.open.values() if is_now else self._all():
            if is_now or window.takes(since, at, task.job):
                window.make(share, counted.parts, counted.high - counted.low, task)
            elif since is not None and window.overlap(since, at) and not (window.kind == "job" and window.ended == at):
                window.tallies.recovered += share.pq * counted.parts
                window.dirty = True
            else:
                continue
            self._touch(window)
        ideal = 0 if task.ideal_ms is None else round(task.ideal_ms * 1e6)
        pq, sq = share.pq * counted.parts, share.sq * counted.parts
        part = Part(at, since, pq * ideal, sq * ideal, (), task.job)
        if task.claim:
            base = 0 if task.base_ms is None else round(task.base_ms * 1e6)
            part = part._replace(claim=task.claim, base_ns=pq * base, base_scrap_ns=sq * base, pq=pq, sq=sq)
        if part.ns or part.scrap_ns or part.pq or part.sq:
            self._parts.add(part._replace(stretch=(*stretch, latest)))

    def see(self, blind: int | None, at: int, *, certain: bool) -> None:
        """Since when the counters can't be read (None: they can); whether it is certain what was made until now."""
        for window in self._blind.see(blind, at, certain=certain, windows=self._all()):
            self._touch(window)

    def excess(self, began: int, ended: int) -> None:
        """A changeover took longer than its standard, by this span."""
        for window in self._all():
            window.tallies.excess_ms += window.overlap(began, ended)
            window.dirty = True
            self._touch(window)

    def settle(self, final: Sequence[Interval], stops: Iterable[ToldStop]) -> None:
        """Intervals that are final, in order, and stops that were told."""
        latest = max((window.began for window in self.open.values()), default=0)
        for interval in final:
            assert interval.ended is not None
            self._book.stops.spend(interval, latest)
            for window in self._all():
                if window.overlap(interval.began, interval.ended):
                    self._spend(window, interval, interval.ended)
                    self._touch(window)
        if final:
            self._blind.settled(final[-1].ended or 0)
        for told in (one for one in stops if one.final):
            self._book.stops.close(told)
            for window in self._all():
                if window.judge(told, told.stop.began):
                    self._touch(window)

    def _spend(self, window: Window, interval: Interval, until: int) -> None:
        category = interval.account.category
        window.spend(category, window.overlap(interval.began, until), interval.stop)
        if category == UNKNOWN:
            ended = until if window.ended is None else min(until, window.ended)
            self._blind.spend(window, max(interval.began, window.began), ended)

    def classify(self, sure: int, intervals: Sequence[Interval]) -> None:
        """Parts until `sure` were made in the category that held then, which is certain now."""
        if done := classified(self._parts.until(sure), intervals):
            for window in self._all():
                classify(window, done)

    @property
    def waits(self) -> bool:
        """Whether parts wait to be classified."""
        return bool(self._parts)

    def disclaim(self, entry: str, earlier: Task | None) -> None:
        """A person's word of the product was taken back: the one before stands, or none."""
        self._parts.disclaim(entry, earlier)
        for window in self._all():
            if window.disclaim(entry, earlier):
                self._touch(window)

    def touch(self, began: int, ended: int) -> None:
        """What was said changes figures of this time."""
        for window in self._all():
            if window.overlap(began, ended):
                self._touch(window)

    def around(self, moment: int) -> list[Window]:
        """Those that a moment lies in and that can still change."""
        return [window for window in self._all() if window.begins(moment)]

    @property
    def oldest(self) -> int | None:
        """When the oldest began that can still change."""
        return min((window.began for window in self._all()), default=None)

    @property
    def is_touched(self) -> bool:
        """Whether told windows have changed."""
        return bool(self._touched)

    def retell(self, unsettled: Open, now: int) -> list[Event]:
        """Windows that were told and have changed since."""
        touched, self._touched = self._touched, set()
        return [event for one in self.closed if one.id in touched for event in self._tell(one, unsettled, now)]

    def sum(self, window: Window, unsettled: Open, now: int) -> Tallies:
        """What a window sums up to as far as it is known now."""
        laid = window.copy()
        for interval in unsettled.intervals:
            until = now if interval.ended is None else interval.ended
            if laid.overlap(interval.began, until):
                self._spend(laid, interval, until)
        classify(laid, self._parts.classified(unsettled.intervals))
        for name in [*laid.stopped]:
            if (told := unsettled.stops.get(name)) is not None:
                laid.judge(told, now)
        laid.lay_claims()
        laid.tallies.unrecovered += laid.blind
        laid.tallies.carry()
        self._book.adjust(window, laid.tallies, unsettled, now)
        return laid.tallies

    def _tell(self, window: Window, unsettled: Open, now: int, *, final: bool = False) -> list[Event]:
        assert window.ended is not None
        tallies = self.sum(window, unsettled, now)
        told = figures(tallies, self._policy.rules)
        if window.kind == "shift":
            window.crew = self.crew_of(window.began, window.ended)
            told |= {} if window.crew is None else {"crew": window.crew}
        digest = hashlib.blake2b(orjson.dumps(told), digest_size=8).hexdigest()
        if digest == window.told and not final:
            return []
        window.told, window.dirty = digest, True
        window.rev += 1
        if self.told is not None:
            self.told.append(Told(self._machine, window, tallies, final))
        data = {
            "kpi": window.id,
            "window": window.kind,
            "began": window.began_text,
            "ended": window.ended_text,
            "rev": window.rev,
            "final": final,
            "policy": self._policy.digest,
            **told,
            "job": window.job,
            "product": window.product,
            "shift": window.shift,
            "production_date": window.production_date,
        }
        return [self._teller.event("machine.kpi", self._machine, window.ended, data, window.began)]

    def running(self, unsettled: Open, now: int) -> list[Running]:
        """The windows that are open, and what each sums up to so far."""
        return [Running(window, self.sum(window, unsettled, now)) for window in self.open.values()]

    def shown(self, running: Iterable[Running]) -> dict[str, Any]:
        """The windows that are open, for people."""
        return {window.kind: shown(window, figures(tallies, self._policy.rules)) for window, tallies in running}

    def _all(self) -> list[Window]:
        return [*self.open.values(), *self.closed]

    def _touch(self, window: Window) -> None:
        if window.rev >= 0:
            self._touched.add(window.id)

    def checkpoint(self) -> dict[str, Any]:
        """Plain values from which `restore` goes on, without the closed windows."""
        return {
            "open": [window.checkpoint() for window in self.open.values()],
            "until": self._until,
            "blind": self._blind.checkpoint(),
            "carry": {kind: {p: plain_list(one) for p, one in carry.items()} for kind, carry in self._carry.items()},
            "parts": self._parts.checkpoint(),
        }

    def rows(self, *, whole: bool) -> dict[str, dict[str, Any] | None]:
        """Closed windows that have changed since this was last asked, None for one that is gone; or, `whole`, all."""
        if whole:
            return {window.id: window.checkpoint() for window in self.closed}
        rows: dict[str, dict[str, Any] | None] = dict.fromkeys(self.gone)
        self.gone = []
        for window in self.closed:
            if window.dirty:
                window.dirty = False
                rows[window.id] = window.checkpoint()
        return rows

    def restore(self, saved: dict[str, Any], closed: Iterable[dict[str, Any]]) -> None:
        """Go on from a checkpoint; `closed` are the rows of closed windows."""
        windows = [Window.restored(one) for one in saved["open"]]
        self.open = {window.kind: window for window in windows}
        rows = [Window.restored(one) for one in closed]
        self.closed = sorted(rows, key=lambda one: (one.ended or 0, KINDS.index(one.kind)))
        self._until = saved["until"]
        self._blind.restore(saved["blind"])
        self._parts.restore(saved["parts"])
        carries = saved.get("carry", {}).items()
        self._carry = {kind: {p: Output(*one) for p, one in carry.items()} for kind, carry in carries}
        self._plan()
