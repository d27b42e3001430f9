"""An absolute PLC counter: how many parts lie between two readings, and when that cannot be known.

Two readings a and b of a counter with modulus m differ by f = (b - a) mod m. With L, the most that
can have been made meanwhile, a step is, in this order: f parts; perhaps a reset to 0; perhaps a
correction by hand; perhaps a jump. The last three wait for the next reading, since a 32-bit value
that is read while it is written can show any mixture of its halves. After an outage every number
that fits is a candidate: the smallest counts, and the others are its bounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from gateway.checkpoint import plain

UNCHANGED_CAP_MS = 60_000
"""Longest time since the last change that is allowed for when judging a step without an outage."""
MOST_DOUBTS = 3
"""Readings in a row that fit neither the last certain one nor each other, before that is said."""
MOST_PARTS = 2**31
"""No step is as large as this, whatever the counter's range and rate allow."""
FURTHER = "the counter jumped further than the machine can have made; if it did make that, raise `max_rate`"
SIGNED = (2**8, 2**16, 2**32, 2**64)
"""Moduli of integers that a PLC may also show as signed."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Parts that one reading brought; `low` and `high` differ where the number is ambiguous."""

    parts: int
    low: int
    high: int
    outage_from: int | None = None
    """Engine time of the last good reading before an outage over which the parts were counted."""


@dataclass(frozen=True, slots=True)
class CounterFault:
    """A step that no production explains: nothing was counted."""

    before: int | None
    after: int | None
    why: str


@dataclass(slots=True)
class _Pending:
    kind: Literal["reset", "correction", "jump"]
    value: int
    at: int
    high: int
    outage_from: int | None


class Counter:
    """Judges the readings of one counter. Times are engine milliseconds; a machine counts in its own unit."""

    def __init__(self, modulus: int, parts_per_ms: float | None, correction: int | None = None) -> None:
        """`parts_per_ms` is the fastest that it can count, None where nothing says so."""
        self.modulus = modulus
        self._rate = self._rate_unseen = parts_per_ms
        self._correction = correction
        self.base: int | None = None
        self._changed_at = 0
        self._outage_from: int | None = None
        self._pending: _Pending | None = None
        self._doubts = 0
        self.shift_parts = 0
        """Parts since the shift began; the owner sets it back."""

    def pace(self, parts_per_ms: float | None, unseen: float | None) -> None:
        """The fastest that it can count from now on, and `unseen`, the fastest that it can have while nobody looked."""
        self._rate, self._rate_unseen = parts_per_ms, unseen

    def counts_to(self, modulus: int) -> None:
        """Its type is known now; what it read as another type proves nothing any more."""
        if modulus != self.modulus:
            self.modulus, self.base, self._pending = modulus, None, None
            self._outage_from, self._doubts = None, 0

    @property
    def waits(self) -> bool:
        """Whether a doubtful reading waits for the next one, be it changed or not."""
        return self._pending is not None or 0 < self._doubts < MOST_DOUBTS

    @property
    def in_outage(self) -> bool:
        """Whether parts of an outage may yet be counted."""
        return self._outage_from is not None or self._pending is not None

    @property
    def blind_since(self) -> int | None:
        """When it was last read before it could not be; -1 where it never was, None while it can be."""
        if self.base is None:
            return -1
        waits = None if self._pending is None else self._pending.outage_from
        return waits if self._outage_from is None else self._outage_from

    def lost(self, last_good: int) -> None:
        """Its signal turned bad; `last_good` is when it was last read."""
        if self._outage_from is None and self.base is not None:
            self._outage_from = last_good

    def read(self, value: int, at: int, since: int | None = None) -> list[Counted | CounterFault]:
        """Judge a good reading; what it proves, in order.

        `since` is when it was sampled before: a change is somewhere between the two, and what follows it is
        allowed for from the earlier one, so that no stall between reading and stamping turns parts into a jump.
        """
        since = at if since is None else since
        if not self._in_range(value):
            self.lost(since)
            return self._doubt(value, f"a reading outside the counter's range of 0 to {self.modulus - 1}")
        value %= self.modulus  # a signed counter that has passed its middle is negative
        changed_at = since if self._outage_from is None else self._outage_from
        if self.base is None:  # a PLC that copies its counter may have done so last a while ago
            self.base, self._changed_at = value, at - UNCHANGED_CAP_MS
            return []
        found: list[Counted | CounterFault] = []
        pending, self._pending = self._pending, None
        if pending is not None:
            if (value - pending.value) % self.modulus <= self._limit(at, pending.at, since):
                found.append(self._confirm(pending))
            elif pending.outage_from is not None:
                self._outage_from = pending.outage_from  # it was torn: this reading is the first after the outage
        found += self._judge(value, at, changed_at, since)
        self._outage_from = None
        if self._pending is None:
            self._doubts = 0
        else:
            found += self._doubt(value, "readings that fit neither the last certain one nor each other")
        for counted in found:
            if isinstance(counted, Counted):
                self.shift_parts += counted.parts
        return found

    def _in_range(self, value: int) -> bool:
        return 0 <= value < self.modulus or (self.modulus in SIGNED and -self.modulus // 2 <= value < 0)

    def _doubt(self, value: int, why: str) -> list[Counted | CounterFault]:
        """One more reading that proves nothing; after some of them that is said, once."""
        self._doubts += 1
        if self._doubts != MOST_DOUBTS or self.base is None:
            return []
        shown = max(-(2**63), min(value, 2**63 - 1))
        return [CounterFault(self.base, shown, f"{MOST_DOUBTS} readings in a row: {why}")]

    def _limit(self, at: int, changed_at: int, since: int) -> float:
        """The most parts that can have been made by `at`; what was not watched counts as an outage does."""
        rate = self._rate if self._outage_from is None else self._rate_unseen
        if rate is None:
            return min(self.modulus / 2, MOST_PARTS)
        span = max(min(at - changed_at, UNCHANGED_CAP_MS), at - since)
        if self._outage_from is not None:
            span = max(span, at - self._outage_from)
        return min(rate * span + 1, MOST_PARTS)

    def _confirm(self, pending: _Pending) -> Counted | CounterFault:
        before, self.base, self._changed_at = self.base or 0, pending.value, pending.at
        if pending.kind == "reset":
            return Counted(pending.value, pending.value, pending.high, pending.outage_from)
        if pending.kind == "correction":
            step = pending.value - before
            return Counted(step, step, step, pending.outage_from)
        return CounterFault(before, pending.value, FURTHER)

    def _judge(self, value: int, at: int, changed_at: int, since: int) -> list[Counted | CounterFault]:
        before = self.base or 0
        outage = self._outage_from
        if value == before:  # a whole turn, or a reset and the very same parts again, is nothing to believe
            return [] if outage is None else [Counted(0, 0, 0, outage)]
        limit = self._limit(at, self._changed_at, since)
        forward = (value - before) % self.modulus
        if forward <= limit:
            self.base, self._changed_at = value, changed_at
            return [self._forward(forward, value, limit, outage)]
        most = self._most_correction()
        kind: Literal["reset", "correction", "jump"] = "jump"
        if value <= limit:
            kind = "reset"
        elif value < before and before - value <= most:
            kind = "correction"
        self._pending = _Pending(kind, value, changed_at, int(limit), outage)
        return []

    def _forward(self, forward: int, value: int, limit: float, outage: int | None) -> Counted:
        """A step that production explains; over an outage with every other number that fits."""
        if outage is None:
            return Counted(forward, forward, forward)
        turns = int((limit - forward) // self.modulus)
        low, high = forward, forward + turns * self.modulus
        if value <= limit:  # it may as well have been reset, after some parts that nobody saw
            low, high = min(low, value), max(high, int(limit))
        return Counted(low, low, high, outage)

    def _most_correction(self) -> float:
        return self.shift_parts / 100 if self._correction is None else self._correction

    def checkpoint(self) -> dict[str, Any]:
        """Plain values from which `restore` makes the counter what it is now."""
        return {
            "highest": self.modulus - 1,  # 2^64 itself is more than a row can hold
            "base": self.base,
            "changed_at": self._changed_at,
            "outage_from": self._outage_from,
            "pending": None if self._pending is None else plain(self._pending),
            "doubts": self._doubts,
            "shift_parts": self.shift_parts,
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from a checkpoint of a counter with the same modulus."""
        self.base = saved["base"]
        self._changed_at, self._outage_from = saved["changed_at"], saved["outage_from"]
        self._pending = None if saved["pending"] is None else _Pending(**saved["pending"])
        self._doubts = saved["doubts"]
        self.shift_parts = saved.get("shift_parts", 0)
