"""One machine of the engine: its rules, its intervals and its counters, and the events that they become."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from gateway.checkpoint import plain_list
from gateway.config.model import MachineConfig, Reasons
from gateway.deadlines import earliest
from gateway.entries.book import Book
from gateway.entries.machine import MachineEntries, OfMachine
from gateway.entries.word import Word
from gateway.events import Event
from gateway.inputs import Mute, Verified
from gateway.kpi.counting import LATE_MS, Counting, Since
from gateway.kpi.policy import Policy
from gateway.kpi.task import Task
from gateway.kpi.windows import Running, Windows
from gateway.linetime import Planned
from gateway.publisher import Publisher
from gateway.states.account import Accounts, Context
from gateway.states.deciding import GATEWAY_OFF, Deciding
from gateway.states.interval import Timeline, without_output
from gateway.states.output import OutputWatch
from gateway.states.ruleset import Evidence, Ruleset
from gateway.states.stops import Stops
from gateway.states.told import shown
from gateway.tell import Teller, said_event
from gateway.work.assignment import Assignment
from gateway.work.making import Making
from protocols.model import Value
from protocols.types import WireType


class Machine:
    """Works on engine time; every method that returns events is called in order of time."""

    def __init__(
        self,
        name: str,
        config: MachineConfig,
        types: Mapping[str, Any],
        moduli: dict[str, int],
        reasons: Reasons,
        texts: Mapping[str, Mapping[int | str, str]],
        teller: Teller,
        assignment: Assignment,
        policy: Policy,
        works: Mapping[str, str],
    ) -> None:
        """`types`, `moduli` and `texts` are of `device.signal`; `works`: why its job or product can't be entered."""
        self.name = name
        self.rules = Ruleset(config, types, reasons, texts)
        self.counting = None if config.parts is None else Counting(name, config, moduli, reasons, teller)
        self.parts = None if self.counting is None else self.counting.parts
        counted = frozenset() if self.counting is None else self.counting.signals
        self._assignment = assignment
        self.dirty = False
        self.was_left_out = False
        """Whether the configuration before did not have this machine: nothing is known since its own last input."""
        self._accounts = Accounts(config.categories)
        self._timeline = Timeline(name, config.settle, self._accounts, teller.time.text)
        self._deciding = Deciding(config, self.rules, self._timeline)
        self.signals: frozenset[str] = self._deciding.signals | counted | assignment.signals
        self._watch = OutputWatch()
        book = Book(config.short_stop)
        self.entries = MachineEntries(book, config, reasons, works)
        self._stops = Stops(name, config.short_stop, book.given)
        self.windows = Windows(name, policy, () if config.parts is None else config.parts.roles, teller, book)
        self.making = Making(
            config, assignment, self.counting, self._timeline, self._watch, self._stops, self.windows, teller
        )
        self._changeover = self.making.changeover
        self._publisher = Publisher(name, self._timeline, self._stops, self.windows, self.parts, book, teller)
        self.teller, self._time = teller, teller.time
        self._planned = self._time.planned(name, 0)
        self._at = 0
        self._floor = 0
        """Nothing that was before it is decided any more."""
        self.late: int | None = None
        """Until when what is due waits, for its signals are known up to an earlier moment only; None: for nothing."""
        self.making.pace(0)

    @property
    def task(self) -> Task:
        """What it works on now."""
        return self._assignment.task

    @property
    def each(self) -> int:
        """Parts in the line's unit of one of its own."""
        return 1 if self.parts is None else self.parts.each

    def ideal_of(self, product: str | None) -> float | None:
        """Ideal milliseconds of one part of a product, None where nothing says it."""
        return self._assignment.ideal_of(product)

    @property
    def deadline(self) -> int | None:
        """When something is to be decided without any input."""
        due = earliest(self._due())
        return due if due is None or self.late is None else max(due, self.late)

    def _due(self) -> tuple[int | None, ...]:
        """A rule that has held for long enough, a state that settles, a boundary, no part, a changeover, a stop, a
        minute's end, a KPI window."""
        minute = None if self.counting is None else self.counting.deadline
        boundary = None if self._timeline.current is None else self._planned.until
        states = self.rules.holds.deadline, self._timeline.deadline, boundary, self._watch.deadline
        return *states, self._changeover.deadline, self._stops.deadline, minute, self.windows.deadline

    def fire(self, at: int, values: Mapping[str, Value], evidence: Evidence) -> list[Event]:
        """What is due at `at`, the machine's deadline; what was due before it and has waited comes first."""
        events = [] if self.late is None else self.catch_up(at - 1, values, evidence)
        self.late = None
        return events + (self._fire(at, values, evidence) if earliest(self._due()) == at else [])

    def catch_up(self, at: int, values: Mapping[str, Value], evidence: Evidence) -> list[Event]:
        """What was due by `at` and has waited, each at its own time; `values` are those before what is seen then."""
        events: list[Event] = []
        while (due := earliest(self._due())) is not None and due <= at:
            events += self._fire(due, values, evidence)
        return events

    def _fire(self, at: int, values: Mapping[str, Value], evidence: Evidence) -> list[Event]:
        held, settles, boundary, output, lasted, stop, minute, _ = self._due()
        self._begin(at)
        if at in (held, settles, output, lasted, stop):
            self._floor = max(self._floor, at)
        if held == at:
            self._deciding.complete(at, values, evidence)
        elif settles == at:
            self._timeline.settle()
        elif boundary == at:
            self._planned = self._time.planned(self.name, at)
        elif output == at:
            if (last := self._watch.fire(at)) is None:
                return []
            self._rewrite_output(*last)
        elif lasted == at:
            for span in self._changeover.fire(self.task.product):
                self.windows.excess(*span)
        elif stop == at:
            return self.publish(at)
        elif minute == at and self.counting is not None:
            return self.counting.close_minute(at)
        else:
            events = self.publish(at)  # a stop that goes on is as long as it is now
            return events + self.windows.fire(at, self.task, self._publisher.unsettled)
        return self._account(at, values)

    def _rewrite_output(self, since: int, uncertainty: int | None) -> None:
        """Since then there was no part: what was production was none."""
        self._timeline.rewrite(since, without_output(self._watch.output), uncertainty)

    def moment(self, at: int) -> int:
        """When something that happened at `at` can have been for all that is decided: not before the last change."""
        current = self._timeline.current
        return max(at, self._floor, 0 if current is None else current.began)

    def sample(
        self,
        changed: Collection[str],
        values: Mapping[str, Value],
        at: int,
        since: Since,
        evidence: Evidence,
        received: int | None = None,
    ) -> list[Event]:
        """Signals changed at a `moment`; `since` tells when one of them was known before.

        `received`: when that became known, if it was later.
        """
        self._touch(at)
        received = at if received is None else received
        before = min((moment for signal in changed if (moment := since(signal)) is not None), default=None)
        uncertainty = None if before is None else max(at - before, received - at)
        events = self.making.count(changed, values, at, since, uncertainty, planned=self._planned.planned)
        events += self.making.follow(changed, values, at, uncertainty)  # what is counted now was made before
        self._deciding.follow(changed, values, self._context, at, uncertainty, evidence)
        events += self._account(at, values, uncertainty)
        if self.counting is not None and self.counts(changed):
            is_sure = self._deciding.is_sure
            events += self.counting.time_cycles(at, self._timeline.executes_since if is_sure else None, self.task)
        if self.counting is None or not self.counting.signals.issuperset(changed):
            self._floor = max(self._floor, at)
        if at < received:
            self.late = received + LATE_MS
            if self.counting is not None:
                self.counting.late_ms = LATE_MS
        return events

    def follow_clock(self, at: int) -> list[Event]:
        """UTC or the calendar is another from `at` on."""
        self._begin(at)
        self._floor = at
        self._planned = self._time.planned(self.name, at)
        self._timeline.place(self._context(), at)
        if self.windows.are_placed:
            self.windows.place(at, self.task)
        return self.publish(at)

    def _context(self) -> Context:
        changeover, demand = self._changeover.is_under_way, self._assignment.demand
        return Context.of(self._deciding.mode, self._planned, self._watch.output, self.task, demand, changeover)

    def _account(self, at: int, values: Mapping[str, Value], uncertainty: int | None = 0) -> list[Event]:
        """What the time from `at` on is accounted to, now that something may have changed; what there is to tell.

        `uncertainty`: how much earlier that may have been.
        """
        current = self._timeline.current
        if current is None:
            return []
        natural = self._accounts.natural(current.decision, self._deciding.mode)
        known = self.parts is not None and self.parts.is_known(values)
        last = self._watch.follow(natural == "production", self._planned.planned, known, current.began, at)
        if last is not None:
            self._rewrite_output(*last)
        produces = natural == "production" and self._watch.output != "missing"
        self._changeover.follow(produces, known, self.task.product, at)
        self._timeline.place(self._context(), at, uncertainty)
        if self._timeline.is_told and not self._stops.waits:
            waits = self.windows.waits or self.windows.is_touched
            return self._publisher.retell(self._horizon(), at, self.task) if waits else []
        return self.publish(at)

    def learn(self, signal: str, type_: WireType, at: int) -> list[Event]:
        """The device has said what type a signal is."""
        if self.counting is None or signal not in self.counting.signals:
            return []
        events = self.counting.learn(signal, type_, at)
        if events:
            self._touch(at)
        return events

    @property
    def waits(self) -> bool:
        """Whether a counter waits for the next reading to judge the last one."""
        return self.counting is not None and self.counting.waits

    def counts(self, changed: Collection[str]) -> bool:
        """Whether a counter was read."""
        return self.counting is not None and not self.counting.signals.isdisjoint(changed)

    def counters_waiting(self) -> list[str]:
        """Signals of waiting counters."""
        return [] if self.counting is None else self.counting.waiting()

    def interrupt(self, since: int, at: int) -> list[Event]:
        """The gateway was off from `since` (or from when this machine was last seen, if that is later) to `at`."""
        since = self._at if self.was_left_out else max(since, self._at)
        self.was_left_out = False
        self._touch(at)
        self._deciding.forget()
        self._assignment.interrupt()
        self.windows.absent(since, at)
        if self.counting is not None:
            self.counting.lost(since)
            self.windows.see(self.counting.blind_since, at, certain=True)
        current = self._timeline.current
        if current is None:
            return []  # it begins with what its rules say of signals that were never read
        moment = max(since, current.began)
        self._planned = self._time.planned(self.name, moment)
        self._timeline.decide(GATEWAY_OFF, self._context(), moment, None)
        return self._account(moment, {})

    def close_minute(self, at: int) -> list[Event]:
        """The minute that runs ends here, before its time."""
        self._begin(at)
        return [] if self.counting is None else self.counting.close_minute(at)

    def _touch(self, at: int) -> None:
        """Something was seen at `at`."""
        self._at = max(self._at, at)
        self._begin(at)

    def _begin(self, at: int) -> None:
        self.dirty = True
        if self._planned.until is None or at >= self._planned.until:
            self._planned = self._time.planned(self.name, at)
        if self.parts is not None:
            self.parts.begin(self._time.production_date(at), self._planned.shift)

    def take(self, at: int, values: Mapping[str, Value]) -> list[Event]:
        """What the flow has brought is what it works on from now on."""
        self._begin(at)
        self._floor = at
        events = self.making.take(values, at, None)
        return events + self._account(at, values, None)

    def _horizon(self) -> int | None:
        """What ended by then cannot turn out otherwise any more; None where nothing can."""
        timeline = self._timeline
        pending = None if timeline.pending is None else timeline.pending.since
        off = None
        if self.parts is not None and self.parts.in_outage:
            off = next((one.began for one in timeline.closed if one.account.assumed), None)
        return earliest((self.rules.holds.since, pending, self._watch.since, self._changeover.horizon, off))

    def publish(self, now: int) -> list[Event]:
        """All that is new, or is final now."""
        return self._publisher.publish(self._horizon(), now, self.task)

    def finish(self, at: int) -> list[Event]:
        """Nothing comes after `at`: KPI windows end here, and are told as they are."""
        self.dirty = True
        return self.publish(at) + self.windows.finish(at, self._publisher.unsettled)

    def running(self, now: int) -> list[Running]:
        """KPI windows that are open, and what each sums up to so far."""
        return self.windows.running(self._publisher.unsettled, now)

    def said(self, given: Verified | Mute) -> Event:
        """A person did something about it."""
        self.dirty = True
        if isinstance(given, Mute):
            self.teller.muted = given.at, given.until
        return said_event(given, self.teller)

    def asked(self, now: int) -> OfMachine:
        """The machine as it is when an entry is checked."""
        return OfMachine(self.entries, self.windows, self._publisher.unsettled, now)

    def hear(self, word: Word) -> list[Event]:
        """A person said something about it: what there is to tell anew."""
        self._begin(word.at)
        self.entries.take(word, self._timeline, self.windows, self._publisher.unsettled, word.at)
        return self.publish(word.at)

    def work(self, word: Word, values: Mapping[str, Value], *, of_line: bool) -> list[Event]:
        """A person said what it works on, or took that back: as if a signal said it, but no time is setup for it."""
        self._begin(word.at)
        self._floor = word.at
        events = self.making.hear(word, values, of_line=of_line)
        return events + self._account(word.at, values) + self.publish(word.at)

    def snapshot(self, now: int, running: Iterable[Running] | None = None) -> dict[str, Any]:
        """The machine as it is now, for people; `running`, where that has been asked for."""
        current = self._timeline.current
        muted_until = self.teller.muted[1]
        decision = current.decision if current is not None else GATEWAY_OFF
        given = None if current is None or current.stop is None else self.entries.book.given(current.stop)
        account = self._accounts.of(decision, self._context()) if current is None else current.account
        minute, rate = None, None
        if current is not None and self.counting is not None:
            minute, rate = self.counting.rates(current.began, account.category, now)
        return {
            **shown(current, decision, account, self.task, self.rules.jumps, given),
            "parts": None if self.parts is None else self.parts.figures(self.parts.day),
            "rate_per_min": minute,
            "rate_now_per_min": rate,
            "ever": None if self.parts is None else self.parts.figures(self.parts.ever),
            "enters": self.entries.enters,
            "muted_until": self._time.text(muted_until) if now < muted_until else None,
            "kpi": self.windows.shown(self.running(now) if running is None else running),
        }

    def checkpoint(self) -> dict[str, Any]:
        """Plain values from which `restore` goes on."""
        return {
            "at": self._at,
            "muted": self.teller.muted,
            "timeline": self._timeline.checkpoint(),
            "floor": self._floor,
            "late": self.late,
            **self._deciding.checkpoint(),
            "work": self._assignment.checkpoint(),
            "planned": plain_list(self._planned),
            "output": self._watch.checkpoint(),
            "stops": self._stops.checkpoint(),
            "changeover": self._changeover.checkpoint(),
            "windows": self.windows.checkpoint(),
            "parts": None if self.counting is None else self.counting.checkpoint(),
        }

    def restore(self, saved: dict[str, Any], windows: list[dict[str, Any]], values: Mapping[str, Value]) -> int:
        """Go on from a checkpoint, with its closed windows and the signals' values; the engine time that it is of."""
        self._at = int(saved["at"])
        self.teller.muted = tuple(saved.get("muted", (0, 0)))
        self._timeline.restore(saved["timeline"])
        if (work := saved.get("work")) is not None:
            self._assignment.restore(work)
        if self.counting is not None and saved["parts"] is not None:
            self.counting.restore(saved["parts"])
        self._floor, self.late = saved["floor"], saved["late"]
        self._deciding.restore(saved, values, self._at)
        self._watch.restore(saved["output"])
        self._stops.restore(saved["stops"])
        if (changeover := saved.get("changeover")) is not None:
            self._changeover.restore(changeover)
        self._planned = Planned(*saved["planned"])
        if "windows" in saved:
            self.windows.restore(saved["windows"], windows)
        self.making.pace(self._at)
        return self._at
