"""What every signal of a line says now, and the proof of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.devices import Proof
from gateway.events import rfc3339
from gateway.linetime import LineTime
from protocols.model import Quality, Value

NOT_READ = "not read yet"


class Readings:
    """By `device.signal`."""

    def __init__(self, names: Iterable[str], time: LineTime) -> None:
        self.values: dict[str, Value] = dict.fromkeys(names)
        """None for a signal that is bad."""
        self.proofs: dict[str, Proof] = dict.fromkeys(self.values, (Quality.BAD, NOT_READ, None, None))
        self._time = time

    def since(self, signal: str) -> int | None:
        """When a signal became what it is, UTC in milliseconds; None where that is not known."""
        at = self.proofs[signal][2] if signal in self.proofs else None
        return None if at is None else self._time.utc(at)

    def lose(self, names: Iterable[str], why: str, at: int) -> None:
        """Signals are bad from `at` on."""
        for name in names:
            self.values[name] = None
            self.proofs[name] = (Quality.BAD, why, at, None)

    def evidence(self, signal: str) -> dict[str, Any]:
        """What an event says of a signal that decided it."""
        quality, why, at, source_time = self.proofs[signal]
        time = source_time if source_time is not None else None if at is None else self._time.utc(at)
        proof: dict[str, Any] = {
            "value": self.values[signal],
            "quality": Quality(quality).label,
            "time": None if time is None else rfc3339(time),
        }
        if why is not None:
            proof["why"] = why
        return proof

    def checkpoint(self, names: Iterable[str]) -> dict[str, list[Any]]:
        """Plain values of some signals, from which `restore` goes on."""
        return {name: [self.values[name], *self.proofs[name]] for name in names}

    def restore(self, saved: Mapping[str, list[Any]]) -> None:
        """Go on from a checkpoint; signals that are gone are left out."""
        for name, (value, *proof) in saved.items():
            if name in self.values:
                self.values[name] = value
                self.proofs[name] = tuple(proof)
