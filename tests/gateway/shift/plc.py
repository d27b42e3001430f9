"""What a PLC shows of a machine, scan by scan: its signals as steps in time, and what goes wrong on the way.

Scans are 250 ms apart with some jitter. Only scans that show a change, and their neighbours, become batches, unless all
are asked for: a scan without a change says nothing but that somebody looked, which the neighbours say too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from gateway.inputs import DeviceState, Input
from protocols.model import Batch, Change, Quality, Value

SCAN, JITTER = 250, 20
NO_ANSWER = 1000
"""From the last answer until a PLC is given up for lost."""

Span = tuple[int, int]


@dataclass(slots=True)
class Plc:
    """One device; times are milliseconds, like those of the physical log."""

    name: str
    signals: dict[str, list[tuple[int, Value]]]
    """Steps of each signal; the first is its value from the beginning."""
    phase: int = 0
    lost: list[Span] = field(default_factory=list)
    """It does not answer."""
    bad: dict[str, Span] = field(default_factory=dict)
    """A signal that cannot be read for a while."""
    torn: frozenset[str] = frozenset()
    """32-bit counters whose halves are of two values in a scan that meets a carry."""

    def scan_at(self, number: int) -> int:
        """When a scan takes place."""
        return self.phase + number * SCAN + number * 7919 % (2 * JITTER + 1) - JITTER

    def first_scan(self, moment: int) -> int:
        """The first scan at a moment or later."""
        number = (moment - self.phase - JITTER) // SCAN
        while self.scan_at(number) < moment:
            number += 1
        return number

    def seen(self, moment: int) -> int:
        """When a change is seen first, if nothing goes wrong."""
        return self.scan_at(self.first_scan(moment))

    def _shown(self, since: int) -> dict[int, dict[str, Value]]:
        """What each scan from `since` on shows that the scan before it did not."""
        shown: dict[int, dict[str, Value]] = {}
        for name, steps in self.signals.items():
            last: Value = None
            for moment, value in steps:
                number = max(self.first_scan(moment), self.first_scan(since))
                if name in self.torn and isinstance(value, int) and isinstance(last, int) and last >> 16 < value >> 16:
                    shown.setdefault(number, {})[name] = value & 0xFFFF | last & 0xFFFF0000
                    number += 1
                shown.setdefault(number, {})[name] = value
                last = value
        for name, (began, ended) in self.bad.items():
            first, after = self.first_scan(began), self.first_scan(ended)
            for number in range(first, after):
                shown.get(number, {}).pop(name, None)
            shown.setdefault(first, {})[name] = None
            shown.setdefault(after, {})[name] = self.value(name, self.scan_at(after))
        return shown

    def value(self, name: str, moment: int) -> Value:
        """What a signal is at a moment."""
        return [value for began, value in self.signals[name] if began <= moment or began == self.signals[name][0][0]][
            -1
        ]

    def inputs(self, since: int, until: int, *, every_scan: bool = False) -> Iterator[Input]:
        """All that its runner tells between two moments, in order of time."""
        shown = self._shown(since)
        first, last = self.first_scan(since), self.first_scan(until) - 1
        numbers = range(first, last + 1) if every_scan else self._telling(shown, first, last)
        away = [(self.first_scan(began), self.first_scan(ended)) for began, ended in self.lost]
        yield DeviceState(self.name, True, self.scan_at(first))
        for number in numbers:
            if any(began <= number < ended for began, ended in away):
                if (began := next((one for one, _ in away if one == number), None)) is not None:
                    at = self.scan_at(began - 1) + NO_ANSWER
                    yield DeviceState(self.name, False, at, "127.0.0.1:502", "no answer", "check the cable")
                continue
            changes = shown.get(number, {})
            if any(ended == number for _, ended in away):
                yield DeviceState(self.name, True, self.scan_at(number))
                changes = {name: self.value(name, self.scan_at(number)) for name in self.signals}
            yield Batch(self.name, 0, [self._change(*one) for one in changes.items()], self.scan_at(number))

    def _telling(self, shown: dict[int, dict[str, Value]], first: int, last: int) -> list[int]:
        told = {number + offset for number in shown for offset in (-1, 0, 1)}
        edges = {self.first_scan(moment) + offset for span in self.lost for moment in span for offset in (-1, 0)}
        return sorted(number for number in told | edges | {first, last} if first <= number <= last)

    def _change(self, name: str, value: Value) -> Change:
        proof = (Quality.BAD, "exception 2") if value is None else (Quality.GOOD, None)
        return (list(self.signals).index(name), value, *proof, None)
