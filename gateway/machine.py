"""One machine of the engine: its rules, its intervals and its counters, and the events that they become."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from gateway.config.model import MachineConfig, Reasons
from gateway.events import Event
from gateway.kpi.counter import Counted, CounterFault
from gateway.kpi.parts import Parts, Window
from gateway.linetime import MINUTE_MS, LineTime
from gateway.states.interval import Decision, Revision, Timeline
from gateway.states.packml import UNKNOWN, category_of
from gateway.states.ruleset import Evidence, Ruleset, Verdict
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
        texts: Mapping[str, Reasons],
        line_time: LineTime,
        common: Mapping[str, Any],
    ) -> None:
        """`types`, `moduli` and `texts` are of `device.signal`; `common` are the fields that every event carries."""
        self.name = name
        self.rules = Ruleset(config, types, reasons, texts)
        self.parts = None if config.parts is None else Parts(config, config.parts, moduli)
        self.signals: frozenset[str] = self.rules.signals | (self.parts.signals.keys() if self.parts else frozenset())
        self.ideal_ms = config.ideal
        self.dirty = False
        self.was_left_out = False
        """Whether the configuration before did not have this machine: nothing is known since its own last input."""
        self._timeline = Timeline(name, config.settle, line_time.text)
        self._verdict: Verdict | None = None
        self._time = line_time
        self._common = common
        self._at = 0
        self._last_minute: tuple[int, int] | None = None
        """Its end and what it made, for people only."""

    @property
    def deadline(self) -> int | None:
        """When something is due without any input: a state that settles, a minute that ends."""
        minute = self.parts.minute_ends if self.parts is not None and self.parts.minute is not None else None
        due = [moment for moment in (self._timeline.deadline, minute) if moment is not None]
        return min(due) if due else None

    def fire(self, at: int) -> list[Event]:
        """What is due at `at`, the machine's own deadline."""
        self._begin(at)
        if self._timeline.deadline == at:
            return self._publish(self._timeline.settle())
        return self._end_minute(at)

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
        self.rules.update(changed, values)
        verdict = self.rules.verdict(values)
        if verdict != self._verdict:
            self._verdict = verdict
            before = min((moment for signal in changed if (moment := since(signal)) is not None), default=None)
            uncertainty = None if before is None else at - before
            events += self._publish(self._timeline.decide(self.rules.decision(verdict, evidence), at, uncertainty))
        return events

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
        for counter in self.parts.counters.values() if self.parts is not None else ():
            counter.lost(since)
        current = self._timeline.current
        if current is None:
            return []  # it begins with what its rules say of signals that were never read
        return self._publish(self._timeline.decide(GATEWAY_OFF, max(since, current.began), None))

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
            parts.count(role, counted, *self._time.minute(at))
            return
        window = outages.setdefault(counted.outage_from, Window(counted.outage_from))
        window.add(role, counted)
        parts.day.add(role, counted.parts)

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

    def _publish(self, revisions: list[Revision]) -> list[Event]:
        return [self._state(revision) for revision in revisions]

    def _state(self, revision: Revision) -> Event:
        interval, ended = revision.interval, revision.ended
        decision = interval.decision
        category = category_of(decision.state, decision.cause)
        parts = None if self.parts is None else self.parts.figures(interval.parts)
        data = {
            "interval": interval.id,
            "stop": None,
            "rev": interval.rev,
            "final": ended is not None,
            "state": decision.state,
            "category": category,
            "mode": None,
            "reason": decision.reason,
            "cause": (decision.cause or UNKNOWN) if category in ("starved", "blocked", "suspended") else None,
            "inferred": False,
            "began": interval.began_text,
            "ended": revision.ended_text,
            "duration_s": None if ended is None else (ended - interval.began) / 1000,
            "uncertainty_s": None if interval.uncertainty is None else interval.uncertainty / 1000,
            "unscheduled": False,
            "assumed": False,
            "demand": UNKNOWN if category == "idle" else None,
            "rule": decision.rule,
            "because": decision.because,
            "parts": parts,
            "previous": interval.previous,
        }
        return self._event("machine.state", self.name, interval.began if ended is None else ended, data, interval.began)

    def _event(self, kind: str, subject: str, at: int, data: dict[str, Any], began: int | None = None) -> Event:
        """What lasts belongs to the shift in which it began."""
        common = {**self._common, **self._time.of_event(at if began is None else began)}
        return Event(kind, subject, self._time.utc(at), {**data, **common})

    def snapshot(self, now: int) -> dict[str, Any]:
        """The machine as it is now, for people."""
        current, minute = self._timeline.current, self._last_minute
        decision = current.decision if current is not None else GATEWAY_OFF
        return {
            "state": decision.state,
            "category": category_of(decision.state, decision.cause),
            "cause": decision.cause,
            "since": None if current is None else current.began_text,
            "reason": decision.reason,
            "rule": decision.rule,
            "interval": None if current is None else current.id,
            "parts": None if self.parts is None else self.parts.figures(self.parts.day),
            "rate_per_min": None if minute is None or now - minute[0] > 2 * MINUTE_MS else minute[1],
            "ideal_s": None if self.ideal_ms is None else self.ideal_ms / 1000,
        }

    def checkpoint(self) -> dict[str, Any]:
        """Plain values from which `restore` goes on."""
        return {
            "at": self._at,
            "timeline": self._timeline.checkpoint(),
            "parts": None if self.parts is None else self.parts.checkpoint(),
        }

    def restore(self, saved: dict[str, Any], values: Mapping[str, Value]) -> int:
        """Go on from a checkpoint, with the signals' values of then; the engine time that it is of."""
        self._at = int(saved["at"])
        self._timeline.restore(saved["timeline"])
        if self.parts is not None and saved["parts"] is not None:
            self.parts.restore(saved["parts"])
        self.rules.update(self.rules.signals, values)
        self._verdict = self.rules.verdict(values)
        return self._at
