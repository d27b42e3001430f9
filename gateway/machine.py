"""One machine of the engine: its rules, its intervals and its counters, and the events that they become."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import astuple, replace
from typing import Any

from gateway.config.model import MachineConfig, Reasons
from gateway.events import Event
from gateway.kpi.counter import Counted, CounterFault
from gateway.kpi.parts import Parts, Window
from gateway.linetime import MINUTE_MS, LineTime, Planned
from gateway.states.account import Accounts, Context
from gateway.states.decision import Decision
from gateway.states.interval import MOST_CLOSED, Interval, Timeline, decided_by
from gateway.states.output import OutputWatch
from gateway.states.packml import UNKNOWN
from gateway.states.ruleset import Evidence, Ruleset, Verdict
from gateway.states.stops import Stops, ToldStop
from gateway.states.told import cause_of, state_data, stop_data
from protocols.model import Value
from protocols.types import WireType

Since = Callable[[str], int | None]
"""Engine time of a signal's last sample but this one."""
GATEWAY_OFF = Decision(UNKNOWN, reason={"code": "gateway_off", "text": "the gateway was not running", "source": "rule"})


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
        line_time: LineTime,
        common: Mapping[str, Any],
    ) -> None:
        """`types`, `moduli` and `texts` are of `device.signal`; `common` are the fields that every event carries."""
        self.name = name
        self.rules = Ruleset(config, types, reasons, texts)
        self.parts = None if config.parts is None else Parts(config, config.parts, moduli)
        self._mode = config.mode
        named = frozenset() if config.mode is None else frozenset({config.mode.signal})
        self.signals: frozenset[str] = self.rules.signals | named | (self.parts.signals.keys() if self.parts else set())
        self.ideal_ms = config.ideal
        self.dirty = False
        self.was_left_out = False
        """Whether the configuration before did not have this machine: nothing is known since its own last input."""
        self._accounts = Accounts(config.categories)
        self._timeline = Timeline(name, config.settle, self._accounts, line_time.text)
        self._watch = OutputWatch(config.no_output_ms, config.no_output_ms or config.resume_ms, config.ideal or 0.0)
        self._stops = Stops(name, config.resume_ms, config.short_stop)
        self._verdict: Verdict | None = None
        self._mode_now = None if config.mode is None else UNKNOWN
        self._time = line_time
        self._planned = line_time.planned(name, 0)
        self._common = common
        self._at = 0
        self._last_minute: tuple[int, int] | None = None
        """Its end and what it made, for people only."""

    @property
    def deadline(self) -> int | None:
        """When something is due without any input."""
        return min((moment for moment in self._due() if moment is not None), default=None)

    def _due(self) -> tuple[int | None, ...]:
        """A rule that has held for long enough, a state that settles, a boundary, no part, a stop, a minute's end."""
        minute = self.parts.minute_ends if self.parts is not None and self.parts.minute is not None else None
        boundary = None if self._timeline.current is None else self._planned.until
        stop = self._stops.deadline
        return self.rules.holds.deadline, self._timeline.deadline, boundary, self._watch.deadline, stop, minute

    def fire(self, at: int, values: Mapping[str, Value], evidence: Evidence) -> list[Event]:
        """What is due at `at`, the machine's own deadline."""
        held, settles, boundary, output, stop, _ = self._due()
        self._begin(at)
        if held == at:
            self._complete(at, values, evidence)
        elif settles == at:
            self._timeline.settle()
        elif boundary == at:
            self._planned = self._time.planned(self.name, at)
        elif output == at:
            if (since := self._watch.fire(at)) is None:
                return []
            self._rewrite_output(since)
        elif stop == at:
            return self._publish(at)
        else:
            return self._end_minute(at)
        return self._account(at, values)

    def _complete(self, at: int, values: Mapping[str, Value], evidence: Evidence) -> None:
        """Rules have held for long enough: they count from when they began to."""
        for index, since, uncertainty in self.rules.holds.complete(at):
            self._timeline.rewrite(since, decided_by(self.rules.held(index, values, evidence)), uncertainty)
        self._verdict = self.rules.verdict(values)
        current = self._timeline.current
        if current is not None:
            decision = self.rules.decision(self._verdict, evidence)
            if decision.same_as(current.decision):
                self._timeline.pending = None

    def _rewrite_output(self, since: int) -> None:
        """Since then there was no part: what was production was none."""
        output = self._watch.output

        def change(one: Interval) -> tuple[Decision, Context] | None:
            is_production = one.account.category == "production"
            return (one.decision, replace(one.context, output=output)) if is_production else None

        self._timeline.rewrite(since, change)

    def sample(
        self,
        changed: Collection[str],
        values: Mapping[str, Value],
        at: int,
        since: Since,
        evidence: Evidence,
    ) -> list[Event]:
        """Signals changed; `since` tells when one of them was sampled before."""
        self._touch(at)
        events = self._count(changed, values, at, since)
        if self._verdict is None or not self.rules.signals.isdisjoint(changed):
            self._decide(changed, values, at, since, evidence)
        if self._mode is not None and self._mode.signal in changed:
            self._mode_now = self._mode.name_of(values.get(self._mode.signal))
        return events + self._account(at, values)

    def _decide(
        self, changed: Collection[str], values: Mapping[str, Value], at: int, since: Since, evidence: Evidence
    ) -> None:
        before = min((moment for signal in changed if (moment := since(signal)) is not None), default=None)
        uncertainty = None if before is None else at - before
        begins = self.rules.update(changed, values, at, uncertainty)
        verdict = self.rules.verdict(values)
        if verdict != self._verdict:
            self._verdict = verdict
            self._timeline.decide(self.rules.decision(verdict, evidence), self._context(), at, uncertainty)
        if begins:
            self._timeline.mark(at)

    def follow_clock(self, at: int) -> list[Event]:
        """UTC or the calendar is another from `at` on."""
        self._begin(at)
        self._planned = self._time.planned(self.name, at)
        self._timeline.place(self._context(), at)
        return self._publish(at)

    def _context(self) -> Context:
        return Context.of(self._mode_now, self._planned, self._watch.output)

    def _account(self, at: int, values: Mapping[str, Value]) -> list[Event]:
        """What the time from `at` on is accounted to, now that something may have changed; what there is to tell."""
        current = self._timeline.current
        if current is None:
            return []
        natural = self._accounts.natural(current.decision, self._mode_now)
        known = self.parts is not None and self.parts.is_known(values)
        self._watch.follow(natural == "production", self._planned.planned, known, current.began, at)
        self._timeline.place(self._context(), at)
        return [] if self._timeline.is_told and not self._stops.waits else self._publish(at)

    def learn(self, signal: str, type_: WireType, at: int) -> list[Event]:
        """The device has said what type a signal is: as a counter, it counts as far as that does."""
        if self.parts is None or signal not in self.parts.signals or self.parts.is_counted_by(signal, type_):
            return []
        self._touch(at)
        why = f"the device holds a {type_} there, and a counter is a number; name another signal under `parts`"
        return [self._fault(signal, CounterFault(None, None, why), at)]

    @property
    def waits(self) -> bool:
        """Whether a counter waits for the next reading to judge the last one."""
        return self.parts is not None and any(counter.waits for counter in self.parts.counters.values())

    def counters_waiting(self) -> list[str]:
        """Signals of waiting counters."""
        if self.parts is None:
            return []
        return [signal for signal, role in self.parts.signals.items() if self.parts.counters[role].waits]

    def interrupt(self, since: int, at: int) -> list[Event]:
        """The gateway was off from `since` (or from when this machine was last seen, if that is later) to `at`."""
        since = self._at if self.was_left_out else max(since, self._at)
        self.was_left_out = False
        self._touch(at)
        self._verdict = None
        self.rules.holds.forget()
        self._mode_now = None if self._mode is None else UNKNOWN
        for counter in self.parts.counters.values() if self.parts is not None else ():
            counter.lost(since)
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
        return self._end_minute(at)

    def _touch(self, at: int) -> None:
        """Something was seen at `at`."""
        self._at = at
        self._begin(at)

    def _begin(self, at: int) -> None:
        self.dirty = True
        if self._planned.until is None or at >= self._planned.until:
            self._planned = self._time.planned(self.name, at)
        if self.parts is not None:
            self.parts.begin_day(self._time.production_date(at))

    def _count(self, changed: Iterable[str], values: Mapping[str, Value], at: int, since: Since) -> list[Event]:
        parts = self.parts
        if parts is None:
            return []
        events: list[Event] = []
        outages: dict[int, Window] = {}
        for signal in sorted(parts.signals.keys() & changed):
            role, value, before = parts.signals[signal], values[signal], since(signal)
            if not isinstance(value, (int, float)):
                parts.counters[role].lost(at if before is None else before)
                continue
            for found in parts.read(signal, int(value), at, before):
                if isinstance(found, CounterFault):
                    events.append(self._fault(signal, found, at))
                else:
                    self._add(role, found, at, outages)
        return events + [self._production(window, at, recovered=True) for window in outages.values()]

    def _add(self, role: str, counted: Counted, at: int, outages: dict[int, Window]) -> None:
        """Parts go to their minute; those of an outage to a window of their own that holds all of it."""
        parts = self.parts
        assert parts is not None
        self._timeline.count(role, counted.parts)
        if counted.outage_from is None:
            self._saw(role, counted.parts, at)
            parts.count(role, counted, *self._time.minute(at))
            return
        window = outages.setdefault(counted.outage_from, Window(counted.outage_from))
        window.add(role, counted)
        parts.day.add(role, counted.parts)
        if counted.parts > 0:
            self._timeline.rewrite(
                counted.outage_from,
                lambda one: (one.decision, replace(one.context, output="recovered")) if one.account.assumed else None,
            )

    def _saw(self, role: str, parts: int, at: int) -> None:
        """Parts came while somebody looked."""
        if role != "scrap" and parts > 0 and self._timeline.current is not None:
            self._watch.counted(parts, at, self._planned.planned)

    def _end_minute(self, at: int) -> list[Event]:
        window = self.parts.close_minute(at) if self.parts is not None else None
        if window is None:
            return []
        event = self._production(window, at)
        self._last_minute = (at, event.data["total"])
        return [event]

    def _production(self, window: Window, ended: int, *, recovered: bool = False) -> Event:
        parts = self.parts
        assert parts is not None
        figures = parts.published(window.tally)
        total = figures["total"] or 0
        data = {
            "began": self._time.text(window.began),
            "ended": self._time.text(ended),
            **figures,
            "rework": None,
            "recovered": total if recovered else 0,
            **parts.bounds(window, figures),
            "scrap_by_reason": {},
            "counter": parts.readings(),
            "cycle": None,
        }
        return self._event("machine.production", self.name, ended, data, window.began)

    def _fault(self, signal: str, fault: CounterFault, at: int) -> Event:
        data = {"signal": signal, "before": fault.before, "after": fault.after, "why": fault.why, "counted": 0}
        return self._event("counter.fault", signal, at, data)

    def _horizon(self) -> int | None:
        """What ended by then cannot turn out otherwise any more; None where nothing can."""
        timeline = self._timeline
        pending = None if timeline.pending is None else timeline.pending.since
        off = None
        if self.parts is not None and self.parts.in_outage:
            off = next((one.began for one in timeline.closed if one.account.assumed), None)
        return min(
            (one for one in (self.rules.holds.since, pending, self._watch.since, off) if one is not None), default=None
        )

    def _publish(self, now: int) -> list[Event]:
        timeline = self._timeline
        if timeline.current is None:
            return []
        horizon = self._horizon()
        if horizon is None:
            timeline.forget_marks()
        crowded = len(timeline.closed) > MOST_CLOSED
        final, stops = self._stops.follow(timeline.closed, timeline.current, None if crowded else horizon, now)
        return [self._state(interval) for interval in timeline.publish(final)] + [self._stop(told) for told in stops]

    def _stop(self, told: ToldStop) -> Event:
        stop = told.stop
        total = None if self.parts is None else self.parts.figures(stop.parts)["total"]
        at = stop.began if stop.ended is None else stop.ended
        return self._event("machine.stop", self.name, at, stop_data(self.name, told, total, self.ideal_ms), stop.began)

    def _state(self, interval: Interval) -> Event:
        parts = None if self.parts is None else self.parts.figures(interval.parts)
        at = interval.began if interval.ended is None else interval.ended
        return self._event("machine.state", self.name, at, state_data(interval, parts), interval.began)

    def _event(self, kind: str, subject: str, at: int, data: dict[str, Any], began: int | None = None) -> Event:
        """What lasts belongs to the shift in which it began."""
        common = {**self._common, **self._time.of_event(at if began is None else began)}
        return Event(kind, subject, self._time.utc(at), {**data, **common})

    def snapshot(self, now: int) -> dict[str, Any]:
        """The machine as it is now, for people."""
        current, minute = self._timeline.current, self._last_minute
        decision = current.decision if current is not None else GATEWAY_OFF
        account = self._accounts.of(decision, self._context()) if current is None else current.account
        return {
            "state": decision.state,
            "category": account.category,
            "cause": cause_of(account),
            "since": None if current is None else current.began_text,
            "reason": decision.reason,
            "rule": decision.rule,
            "interval": None if current is None else current.id,
            "stop": None if current is None else current.stop,
            "parts": None if self.parts is None else self.parts.figures(self.parts.day),
            "rate_per_min": None if minute is None or now - minute[0] > 2 * MINUTE_MS else minute[1],
            "ideal_s": None if self.ideal_ms is None else self.ideal_ms / 1000,
        }

    def checkpoint(self) -> dict[str, Any]:
        """Plain values from which `restore` goes on."""
        return {
            "at": self._at,
            "timeline": self._timeline.checkpoint(),
            "holds": self.rules.holds.checkpoint(),
            "mode": self._mode_now,
            "planned": astuple(self._planned),
            "output": self._watch.checkpoint(),
            "stops": self._stops.checkpoint(),
            "parts": None if self.parts is None else self.parts.checkpoint(),
        }

    def restore(self, saved: dict[str, Any], values: Mapping[str, Value]) -> int:
        """Go on from a checkpoint, with the signals' values of then; the engine time that it is of."""
        self._at = int(saved["at"])
        self._timeline.restore(saved["timeline"])
        if self.parts is not None and saved["parts"] is not None:
            self.parts.restore(saved["parts"])
        self.rules.update(self.rules.signals, values, self._at, None)
        self.rules.holds.restore(saved["holds"])
        self._verdict = self.rules.verdict(values)
        self._mode_now = saved["mode"] if self._mode is not None else None
        self._watch.restore(saved["output"])
        self._stops.restore(saved["stops"])
        self._planned = Planned(*saved["planned"])
        return self._at
