"""One machine's parts: readings of its counters into minutes of production, and what a state interval made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.checkpoint import plain_list
from gateway.config.parts import PartsConfig
from gateway.kpi.counter import Counted, Counter, CounterFault
from gateway.kpi.shares import shares
from gateway.kpi.tally import ROLES, Tally, Window
from protocols.types import MODULUS, WireType

DEFAULT_RATE_FACTOR = 3
"""`max_rate` where none is given: this many times the ideal rate."""

UNBOUNDED = 2**40
"""Parts that were made and not counted, where nothing says how many."""
WIDEST = 2**64
"""Modulus of a counter until its device has said what it is."""


class Parts:
    """The counters of one machine, in its own unit. Any two of total, good and scrap give the third."""

    def __init__(self, config: PartsConfig, moduli: Mapping[str, int]) -> None:
        """`moduli`: of each counter's signal; one that only the device knows follows by `is_counted_by`."""
        self.signals: dict[str, str] = {}
        """Role of each counter by its signal."""
        self.counters: dict[str, Counter] = {}
        """By signal."""
        self.reasons: dict[str, str] = {}
        """Why its parts are rejected, by a scrap counter's signal."""
        self.each = config.each
        self.paced = config.paced.signal
        """The counter whose steps are the machine's cycles."""
        self._max_rates: dict[str, float] = {}
        """Parts a millisecond, of counters that say so themselves."""
        self._open: set[str] = set()
        """Signals of counters whose type only the device knows."""
        for (role, *_), counter in config.counters:
            signal = counter.signal
            modulus = counter.rollover + 1 if counter.rollover is not None else moduli.get(signal)
            if modulus is None:
                self._open.add(signal)
            self.signals[signal] = str(role)
            self.counters[signal] = Counter(modulus or WIDEST, None, counter.correction)
            if counter.max_rate is not None:
                self._max_rates[signal] = 1 / counter.max_rate
            if counter.reason is not None:
                self.reasons[signal] = str(counter.reason)
        self._has = frozenset(self.signals.values())
        self.of_total = frozenset({"total"}) if "total" in self._has else frozenset({"good", "scrap"})
        """Roles of the counters that add up to all that is made."""
        self._shares = shares(self._has)
        self._is_one = len(self._has - {"rework"}) == 1
        self.minute: Window | None = None
        self.minute_ends = 0
        self.closed_at = 0
        """When the last minute ended."""
        self.day = Tally()
        self.day_name = ""
        self.shift_name = ""
        self._begun: tuple[str, str | None] | None = None
        """The day and the shift that it is in, as they were last said."""
        self.ever = Tally()
        """All parts since the machine was first seen, over restarts too."""
        self.doubts = 0
        """How often what was counted into that is not certain."""
        self.missing = [0, 0, 0]
        """By how many parts total, and good, may be more than that, and by how many good may be less."""
        self.largest_step = 0
        """Most parts that one reading has shown."""
        self._carry: dict[str, int] = {}
        self._carried_reasons: dict[str, int] = {}

    def pace(self, ideal_ms: float | None, fastest_ms: float | None) -> None:
        """What is made now has this ideal cycle time; while nobody looked it may have been what is made fastest."""
        for signal, counter in self.counters.items():
            given = self._max_rates.get(signal)
            counter.pace(given or _rate(ideal_ms), given or _rate(fastest_ms))

    def is_counted_by(self, signal: str, type_: WireType) -> bool:
        """Take the type that a device gives a counter; False where it is no number.

        A counter that counts differently from now on begins anew; one whose modulus is given keeps it.
        """
        modulus = MODULUS.get(type_)
        if modulus is not None and signal in self._open:
            if modulus != self.counters[signal].modulus:
                self._doubt(signal, UNBOUNDED)
            self.counters[signal].counts_to(modulus)
        return modulus is not None

    def read(self, signal: str, value: int, at: int, since: int | None) -> list[Counted | CounterFault]:
        """A good reading of a counter's signal; `since` is when it was sampled before."""
        counter = self.counters[signal]
        begins_anew = counter.base is None and bool(self.ever)
        found = counter.read(value, at, since)
        steps = (one.parts for one in found if isinstance(one, Counted) and one.outage_from is None)
        self.largest_step = max(self.largest_step, *steps, 0)
        spread = sum(UNBOUNDED if isinstance(one, CounterFault) else one.high - one.low for one in found)
        if begins_anew or spread:
            self._doubt(signal, UNBOUNDED if begins_anew else spread)
        return found

    def _doubt(self, signal: str, spread: int) -> None:
        """Up to so many parts more were made than are counted."""
        self.doubts += 1
        share = self._shares[self.signals[signal]]
        for index, each in enumerate((share.pq, share.gq, -share.gq)):
            self.missing[index] += max(0, each) * spread

    def is_known(self, values: Mapping[str, Any]) -> bool:
        """Whether the counters that show parts can be read."""
        return all(values.get(signal) is not None for signal, role in self.signals.items() if role in ("total", "good"))

    @property
    def in_outage(self) -> bool:
        """Whether a counter may yet show parts that were made while nobody looked."""
        return any(counter.in_outage for counter in self.counters.values())

    @property
    def is_certain(self) -> bool:
        """Whether total and good are known to be all that was made since its counters were first read."""
        counted = (self.counters[signal] for signal, role in self.signals.items() if role != "rework")
        return all(counter.base is not None and not counter.in_outage for counter in counted)

    def count(self, signal: str, counted: Counted, began: int, ends: int) -> None:
        """Put parts into the minute that runs from `began` to `ends`, and into the day."""
        self.put(self.in_minute(began, ends), signal, counted)

    def in_minute(self, began: int, ends: int) -> Window:
        """The window of the minute that runs from `began` to `ends`."""
        if self.minute is None:
            self.minute, self.minute_ends = Window(max(began, self.closed_at)), ends
        return self.minute

    def put(self, window: Window, signal: str, counted: Counted) -> None:
        """Put parts into a window, and into the day."""
        role = self.signals[signal]
        window.add(role, counted, self.reasons.get(signal))
        self.day.add(role, counted.parts)
        self.ever.add(role, counted.parts)

    def bounds(self, window: Window, figures: dict[str, int | None]) -> dict[str, dict[str, int] | None]:
        """`ambiguous` and `ambiguous_scrap`: what total and scrap lie between, null where they are certain."""
        spread = window.spread
        of_total = spread.total if "total" in self._has else spread.good + spread.scrap
        of_scrap = spread.scrap if "scrap" in self._has else spread.total + spread.good
        return {
            "ambiguous": _bounds(figures["total"], of_total),
            "ambiguous_scrap": _bounds(figures["scrap"], of_scrap),
        }

    def begin(self, day: str, shift: str | None) -> None:
        """What a production day or a shift begins with is 0."""
        if (day, shift) == self._begun:
            return
        self._begun = (day, shift)
        if day != self.day_name:
            self.day_name, self.day = day, Tally()
        if (name := f"{day} {shift or ''}") != self.shift_name:
            self.shift_name = name
            for counter in self.counters.values():
                counter.shift_parts = 0

    def net(self, tally: Tally) -> tuple[int, int]:
        """Total and good of a tally as they add up over windows: below 0 where scrap came before its parts."""
        total, good, scrap = tally.total, tally.good, tally.scrap
        if "total" not in self._has:
            total = good + scrap
        if "good" not in self._has:
            good = total - scrap
        return total, good

    def figures(self, tally: Tally) -> dict[str, int | None]:
        """total, good and scrap of a tally, none of them negative; scrap is null where no counter says anything."""
        total, good = self.net(tally)
        scrap = tally.scrap if "scrap" in self._has else total - good
        return {"total": max(0, total), "good": max(0, good), "scrap": None if self._is_one else max(0, scrap)}

    def published(self, window: Window) -> dict[str, Any]:
        """A window's figures with rework and scrap by reason.

        What would be negative is carried over to the next window, so that sums stay right.
        """
        carried = Tally(*(getattr(window.tally, role) + self._carry.get(role, 0) for role in ROLES))
        has = self._has
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
        reasons = {code: window.reasons.get(code, 0) + parts for code, parts in self._carried_reasons.items()}
        reasons = {**window.reasons, **reasons}
        self._carried_reasons = {code: parts for code, parts in reasons.items() if parts < 0}
        return {
            **self.figures(carried),
            "rework": carried.rework if "rework" in has else None,
            "scrap_by_reason": {code: parts for code, parts in reasons.items() if parts > 0},
        }

    def close_minute(self, at: int) -> Window | None:
        """The minute's window if anything was counted in it; the next one begins at `at` or later."""
        window, self.minute = self.minute, None
        if window is not None:
            self.closed_at = at
        return window or None

    def readings(self) -> dict[str, int | None]:
        """The counters' last accepted values by signal."""
        return {signal: counter.base for signal, counter in self.counters.items()}

    def checkpoint(self) -> dict[str, Any]:
        """Plain values from which `restore` goes on."""
        return {
            "counters": {signal: counter.checkpoint() for signal, counter in self.counters.items()},
            "minute": None if self.minute is None else self.minute.checkpoint(),
            "minute_ends": self.minute_ends,
            "closed_at": self.closed_at,
            "day": plain_list(self.day),
            "day_name": self.day_name,
            "shift_name": self.shift_name,
            "ever": plain_list(self.ever),
            "doubts": self.doubts,
            "missing": self.missing,
            "largest_step": self.largest_step,
            "carry": self._carry,
            "carried_reasons": self._carried_reasons,
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from a checkpoint; another signal, or one that counts differently now, begins anew."""
        for signal, counter in saved["counters"].items():
            mine = self.counters.get(signal)
            if mine is not None and signal in self._open:
                mine.counts_to(counter["highest"] + 1)
            if mine is not None and mine.modulus == counter["highest"] + 1:
                mine.restore(counter)
        self.minute = None if saved["minute"] is None else Window.restored(saved["minute"])
        self.minute_ends, self.closed_at = saved["minute_ends"], saved["closed_at"]
        self.day, self.day_name, self._begun = Tally(*saved["day"]), saved["day_name"], None
        self.shift_name, self.ever = saved.get("shift_name", ""), Tally(*saved.get("ever", saved["day"]))
        self.doubts, self.largest_step = saved.get("doubts", 0), saved.get("largest_step", 0)
        self.missing = [*saved["missing"]]
        self._carry = dict(saved["carry"])
        self._carried_reasons = dict(saved.get("carried_reasons", {}))


def _bounds(counted: int | None, spread: int) -> dict[str, int] | None:
    return None if counted is None or not spread else {"low": counted, "high": counted + spread}


def _rate(ideal_ms: float | None) -> float | None:
    """Most parts a millisecond that a counter can count, as far as its machine's ideal says it."""
    return None if ideal_ms is None else DEFAULT_RATE_FACTOR / ideal_ms
