"""One machine's counting: readings of its counters become parts, minutes of production, and faults, as events."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.config.model import MachineConfig, Reasons
from gateway.events import Event
from gateway.kpi.counter import Counted, CounterFault
from gateway.kpi.cycles import Cycles
from gateway.kpi.pace import MINUTE_MS, Pace
from gateway.kpi.parts import Parts
from gateway.kpi.tally import Window
from gateway.kpi.task import Task
from gateway.states.packml import UNKNOWN
from gateway.tell import Teller
from protocols.model import Value
from protocols.types import WireType

Since = Callable[[str], int | None]
"""Engine time of a signal's last sample but this one."""


@dataclass(frozen=True, slots=True)
class Made:
    """Parts that one reading of one counter brought."""

    signal: str
    role: str
    counted: Counted


LATE_MS = 1_000
"""What is due before its device is known to have said all of that time waits for so long: values that were held up come
one right after the other."""
NEVER = -1
"""Since when counters that were never read can't be."""


class Counting:
    """Works on engine time; every method that returns events is called in order of time."""

    def __init__(
        self, machine: str, config: MachineConfig, moduli: Mapping[str, int], reasons: Reasons, teller: Teller
    ) -> None:
        """`moduli`: of `device.signal`; `reasons`: those that hold for all machines."""
        assert config.parts is not None
        explained = {**reasons, **config.reasons}
        self._texts = {
            str(one.reason): known if isinstance(known, str) else known.text
            for _, one in config.parts.counters
            if one.reason is not None and (known := explained.get(one.reason)) is not None
        }
        """Of scrap counters' reasons."""
        self._machine = machine
        self._teller = teller
        self.parts = Parts(config.parts, moduli)
        self._deciding = [one for signal, one in self.parts.counters.items() if self.parts.signals[signal] != "rework"]
        """Counters that say what was made."""
        self._cycles = Cycles(config.cycle)
        timed = () if config.cycle is None else (config.cycle.signal,)
        self.signals = frozenset((*self.parts.signals, *timed))
        self.late_ms = 0
        """How long a minute waits behind its end for parts that were made in it and are still on their way."""
        self._last_minute: tuple[int, int] | None = None
        """Its end and what it made, for people only."""
        self._pace = Pace()

    @property
    def deadline(self) -> int | None:
        """When the minute that runs is told."""
        return None if self.parts.minute is None else self.parts.minute_ends + self.late_ms

    @property
    def waits(self) -> bool:
        """Whether a counter waits for the next reading to judge the last one."""
        return any(counter.waits for counter in self.parts.counters.values())

    def waiting(self) -> list[str]:
        """Signals of waiting counters."""
        return [signal for signal, counter in self.parts.counters.items() if counter.waits]

    def learn(self, signal: str, type_: WireType, at: int) -> list[Event]:
        """The device has said what type a signal is: as a counter, it counts as far as that does."""
        if signal not in self.parts.signals or self.parts.is_counted_by(signal, type_):
            return []
        why = f"the device holds a {type_} there, and a counter is a number; name another signal under `parts`"
        return [self._fault(signal, CounterFault(None, None, why), at)]

    @property
    def blind_since(self) -> int | None:
        """Since when a counter can't be read, NEVER where one never was; None while all can."""
        found: int | None = None
        for counter in self._deciding:
            since = counter.blind_since
            if since is not None and (found is None or since < found):
                found = since
        return found

    def lost(self, since: int) -> None:
        """Nobody looked at any counter after `since`."""
        self._cycles.lost()
        self._pace.forget()
        for counter in self.parts.counters.values():
            counter.lost(since)

    def read(
        self, changed: Collection[str], values: Mapping[str, Value], at: int, since: Since
    ) -> tuple[list[Made], list[Event]]:
        """What the readings prove, not yet added up, and the faults that they show."""
        parts = self.parts
        made: list[Made] = []
        events: list[Event] = []
        for signal in sorted(parts.signals.keys() & changed):
            value, before = values[signal], since(signal)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                parts.counters[signal].lost(at if before is None else before)
                continue
            was_doubtful = parts.counters[signal].waits
            all_found = parts.read(signal, int(value), at, before)
            if signal == parts.paced:
                self._cycles.counted(all_found, at, before, was_doubtful)
            for found in all_found:
                if isinstance(found, CounterFault):
                    events.append(self._fault(signal, found, at))
                else:
                    made.append(Made(signal, parts.signals[signal], found))
        if (timed := self._cycles.signal) is not None and timed in changed:
            self._cycles.said(values[timed], at, since(timed))
        return made, events

    def add(self, made: Iterable[Made], at: int) -> list[Event]:
        """Parts for their minute, those of an outage for a window that holds all of it."""
        outages: dict[int, Window] = {}
        events = self._turn(at)
        for one in made:
            signal, counted = one.signal, one.counted
            if counted.outage_from is not None or counted.low != counted.high:
                self._pace.forget()
            elif one.role in self.parts.of_total:
                self._pace.counted(counted.parts, at)
            if counted.outage_from is None:
                self.parts.count(signal, counted, *self._teller.time.minute(at))
            else:
                window = outages.setdefault(counted.outage_from, Window(counted.outage_from))
                self.parts.put(window, signal, counted)
        return events + [self._production(window, at, recovered=True) for window in outages.values() if window]

    def time_cycles(self, at: int, executes_since: int | None, task: Task) -> list[Event]:
        """What was read has been decided about: cycles that lie wholly within execute, and what they were of."""
        if (measured := self._cycles.measured(executes_since, task)) is None:
            return []
        at = self.counts_at(at)
        events = self._turn(at)
        self.parts.in_minute(*self._teller.time.minute(at)).cycles.add(measured, task.ideal_ms)
        return events

    def counts_at(self, at: int) -> int:
        """When parts that were made at `at` count: what comes after its minute was told is of the next one."""
        return max(at, self.parts.closed_at)

    def _turn(self, at: int) -> list[Event]:
        """What is of the next minute shows that the one that runs is whole."""
        return self.close_minute(at) if self.parts.minute is not None and at >= self.parts.minute_ends else []

    def close_minute(self, at: int) -> list[Event]:
        """The minute that runs ends here, or where it has ended."""
        at = at if self.parts.minute is None else min(at, self.parts.minute_ends)
        window = self.parts.close_minute(at)
        if window is None:
            return []
        event = self._production(window, at)
        self._last_minute = (at, event.data["total"])
        return [event]

    def rates(self, since: int, category: str, now: int) -> tuple[float | None, float | None]:
        """Parts a minute, for people: in the last minute with production, and now; None where that is not known.

        The machine does `since` then what its time is accounted to.
        """
        minute, is_known = self._last_minute, self.blind_since is None and category != UNKNOWN
        return (
            None if minute is None or now - minute[0] > 2 * MINUTE_MS else minute[1],
            self._pace.per_minute(since, now, runs=category == "production") if is_known else None,
        )

    def _production(self, window: Window, ended: int, *, recovered: bool = False) -> Event:
        parts, time = self.parts, self._teller.time
        figures = parts.published(window)
        data = {
            "began": time.text(window.began),
            "ended": time.text(ended),
            **figures,
            "recovered": (figures["total"] or 0) if recovered else 0,
            **parts.bounds(window, figures),
            "scrap_texts": {code: text for code, text in self._texts.items() if code in figures["scrap_by_reason"]},
            "counter": parts.readings(),
            "cycle": window.cycles.figures() if window.cycles.n else None,
        }
        return self._teller.event("machine.production", self._machine, ended, data, window.began)

    def _fault(self, signal: str, fault: CounterFault, at: int) -> Event:
        data = {"signal": signal, "before": fault.before, "after": fault.after, "why": fault.why, "counted": 0}
        return self._teller.event("counter.fault", signal, at, data)

    def checkpoint(self) -> dict[str, Any]:
        """Plain values from which `restore` goes on."""
        minute = None if self._last_minute is None else list(self._last_minute)
        return {
            **self.parts.checkpoint(),
            "cycles": self._cycles.checkpoint(),
            "last_minute": minute,
            "late_ms": self.late_ms,
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.parts.restore(saved)
        self._cycles.restore(saved.get("cycles", [None, False]))
        self.late_ms = saved["late_ms"]
        if (minute := saved.get("last_minute")) is not None:
            self._last_minute = (minute[0], minute[1])


def is_certain(blind: int | None, made: Iterable[Made], events: Iterable[Event]) -> bool:
    """Whether a reading after a time without any, since `blind`, leaves no doubt about what was made meanwhile."""
    has_fault = any(event.type == "counter.fault" for event in events)
    return blind != NEVER and not has_fault and all(one.counted.low == one.counted.high for one in made)
