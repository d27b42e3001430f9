"""One machine's parts: readings of its counters into minutes of production, and what a state interval made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.config.model import CounterConfig, MachineConfig, PartsConfig
from gateway.kpi.counter import Counted, Counter, CounterFault
from protocols.types import MODULUS, WireType

DEFAULT_RATE_FACTOR = 3
"""`max_rate` where none is given: this many times the ideal rate."""

WIDEST = 2**64
"""Modulus of a counter until its device has said what it is."""

ROLES = ("total", "good", "scrap")


@dataclass(slots=True)
class Tally:
    """Parts by the counters that a machine has; a role without a counter stays 0."""

    total: int = 0
    good: int = 0
    scrap: int = 0

    def add(self, role: str, parts: int) -> None:
        """Count parts that the role's counter brought."""
        setattr(self, role, getattr(self, role) + parts)

    def minus(self, other: Tally) -> Tally:
        """What remains without another tally."""
        return Tally(self.total - other.total, self.good - other.good, self.scrap - other.scrap)

    def __bool__(self) -> bool:
        return bool(self.total or self.good or self.scrap)


@dataclass(slots=True)
class Window:
    """Parts of one span of time; `began` is engine time."""

    began: int
    tally: Tally = field(default_factory=Tally)
    spread: Tally = field(default_factory=Tally)
    """How many more than counted each counter may have seen, where its number is ambiguous."""

    def add(self, role: str, counted: Counted) -> None:
        """Count parts that the role's counter brought."""
        self.tally.add(role, counted.parts)
        self.spread.add(role, counted.high - counted.low)


class Parts:
    """The counters of one machine. `third` figures follow from any two; good is never negative."""

    def __init__(self, machine: MachineConfig, config: PartsConfig, moduli: dict[str, int]) -> None:
        """`moduli`: of each counter's signal; one that only the device knows follows by `is_counted_by`."""
        self.signals: dict[str, str] = {}
        """Role of each counter by its signal."""
        self.counters: dict[str, Counter] = {}
        self._open: set[str] = set()
        """Roles whose counter's type only the device knows."""
        for role in ROLES:
            counter: CounterConfig | None = getattr(config, role)
            if counter is None:
                continue
            modulus = counter.rollover + 1 if counter.rollover is not None else moduli.get(counter.signal)
            if modulus is None:
                self._open.add(role)
            self.signals[counter.signal] = role
            self.counters[role] = Counter(modulus or WIDEST, None, counter.correction)
        self._max_rates = {role: 1 / one.max_rate for role, one in config.counters.items() if one.max_rate is not None}
        self.minute: Window | None = None
        self.minute_ends = 0
        self._closed_at = 0
        self.day = Tally()
        self.day_name = ""
        self._carry: dict[str, int] = {}

    def pace(self, ideal_ms: float | None, fastest_ms: float | None) -> None:
        """What is made now has this ideal cycle time; while nobody looked it may have been what is made fastest."""
        for role, counter in self.counters.items():
            given = self._max_rates.get(role)
            counter.pace(given or _rate(ideal_ms), given or _rate(fastest_ms))

    def is_counted_by(self, signal: str, type_: WireType) -> bool:
        """Take the type that a device gives a counter; False where it is no number.

        A counter that counts differently from now on begins anew; one whose modulus is given keeps it.
        """
        role, modulus = self.signals[signal], MODULUS.get(type_)
        if modulus is not None and role in self._open:
            self.counters[role].counts_to(modulus)
        return modulus is not None

    def read(self, signal: str, value: int, at: int, since: int | None) -> list[Counted | CounterFault]:
        """A good reading of a counter's signal; `since` is when it was sampled before."""
        return self.counters[self.signals[signal]].read(value, at, since)

    def is_known(self, values: Mapping[str, Any]) -> bool:
        """Whether the counters that show parts can be read."""
        return all(values.get(signal) is not None for signal, role in self.signals.items() if role != "scrap")

    @property
    def in_outage(self) -> bool:
        """Whether a counter may yet show parts that were made while nobody looked."""
        return any(counter.in_outage for counter in self.counters.values())

    def count(self, role: str, counted: Counted, began: int, ends: int) -> None:
        """Put parts into the minute that runs from `began` to `ends`, and into the day."""
        if self.minute is None:
            self.minute, self.minute_ends = Window(max(began, self._closed_at)), ends
        self.minute.add(role, counted)
        self.day.add(role, counted.parts)

    def bounds(self, window: Window, figures: dict[str, int | None]) -> dict[str, dict[str, int] | None]:
        """`ambiguous` and `ambiguous_scrap`: what total and scrap lie between, null where they are certain."""
        spread = window.spread
        of_total = spread.total if "total" in self.counters else spread.good + spread.scrap
        of_scrap = spread.scrap if "scrap" in self.counters else spread.total + spread.good
        return {
            "ambiguous": _bounds(figures["total"], of_total),
            "ambiguous_scrap": _bounds(figures["scrap"], of_scrap),
        }

    def begin_day(self, name: str) -> None:
        """A production day begins: what belongs to one starts at 0."""
        if name != self.day_name:
            self.day_name, self.day = name, Tally()
            for counter in self.counters.values():
                counter.day_parts = 0

    def figures(self, tally: Tally) -> dict[str, int | None]:
        """total, good and scrap of a tally; scrap is null where no counter says anything about it."""
        has = self.counters.keys()
        total, good, scrap = tally.total, tally.good, tally.scrap
        if "total" not in has:
            total = good + scrap
        if "good" not in has:
            good = total - scrap
        if "scrap" not in has:
            scrap = total - good
        one_counter = len(has) == 1
        return {"total": max(0, total), "good": max(0, good), "scrap": None if one_counter else max(0, scrap)}

    def published(self, tally: Tally) -> dict[str, int | None]:
        """Like `figures`; what would be negative is carried over to the next window, so that sums stay right."""
        carried = Tally(**{role: getattr(tally, role) + self._carry.get(role, 0) for role in ROLES})
        has = self.counters.keys()
        if "good" not in has and "scrap" in has and carried.scrap > carried.total:
            held = carried.scrap - max(0, carried.total)  # scrap seen before its parts passed the total's place
            carried.scrap -= held
            self._carry = {"scrap": held}
        elif "scrap" not in has and "good" in has and carried.good > carried.total and "total" in has:
            held = carried.good - max(0, carried.total)
            carried.good -= held
            self._carry = {"good": held}
        else:
            self._carry = {}
        for role in ROLES:
            if (value := getattr(carried, role)) < 0:
                self._carry[role] = self._carry.get(role, 0) + value
                setattr(carried, role, 0)
        return self.figures(carried)

    def close_minute(self, at: int) -> Window | None:
        """The minute's window if anything was counted in it; the next one begins at `at` or later."""
        window, self.minute = self.minute, None
        if window is not None:
            self._closed_at = at
        return window if window is not None and (window.tally or window.spread) else None

    def readings(self) -> dict[str, int | None]:
        """The counters' last accepted values by signal."""
        return {signal: self.counters[role].base for signal, role in self.signals.items()}

    def checkpoint(self) -> dict[str, Any]:
        """Plain values from which `restore` goes on."""
        window = self.minute
        return {
            "counters": {signal: self.counters[role].checkpoint() for signal, role in self.signals.items()},
            "minute": None if window is None else [window.began, _triple(window.tally), _triple(window.spread)],
            "minute_ends": self.minute_ends,
            "closed_at": self._closed_at,
            "day": _triple(self.day),
            "day_name": self.day_name,
            "carry": self._carry,
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from a checkpoint; another signal, or one that counts differently now, begins anew."""
        for signal, counter in saved["counters"].items():
            role = self.signals.get(signal, "")
            mine = self.counters.get(role)
            if mine is not None and role in self._open:
                mine.counts_to(counter["highest"] + 1)
            if mine is not None and mine.modulus == counter["highest"] + 1:
                mine.restore(counter)
        if saved["minute"] is not None:
            began, tally, spread = saved["minute"]
            self.minute = Window(began, Tally(*tally), Tally(*spread))
        self.minute_ends, self._closed_at = saved["minute_ends"], saved["closed_at"]
        self.day, self.day_name = Tally(*saved["day"]), saved["day_name"]
        self._carry = dict(saved["carry"])


def _bounds(counted: int | None, spread: int) -> dict[str, int] | None:
    return None if counted is None or not spread else {"low": counted, "high": counted + spread}


def _triple(tally: Tally) -> list[int]:
    return [tally.total, tally.good, tally.scrap]


def _rate(ideal_ms: float | None) -> float | None:
    """Most parts a millisecond that a counter can count, as far as its machine's ideal says it."""
    return None if ideal_ms is None else DEFAULT_RATE_FACTOR / ideal_ms
