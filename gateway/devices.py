"""What the engine keeps of one device: the signals that something decides from, its losses, its heartbeat."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, TypeAlias

from gateway.events import Event
from gateway.inputs import DeviceState
from gateway.linetime import LineTime
from protocols.model import Notice, Value
from protocols.settings import DeviceSettings, duration_text

Proof: TypeAlias = tuple[int, str | None, int | None, int | None]
"""Quality, why, engine time of the last change, source time of one signal."""


class Device:
    """Times are engine milliseconds."""

    def __init__(self, name: str, config: DeviceSettings, used: Collection[str]) -> None:
        self.name = name
        self.signals = tuple(config.signal_settings)
        subjects = ((number, self.subject(number)) for number in range(len(self.signals)))
        self.route = {number: subject for number, subject in subjects if subject in used}
        self.names = list(self.route.values())
        self.intervals = [interval for interval, _ in config.scan_classes]
        self.interval = {
            self.route[number]: interval
            for interval, numbers in config.scan_classes
            for number in numbers
            if number in self.route
        }
        self.sampled: dict[int, int] = {}
        """Engine time of the last sample by scan interval: what is scanned together has the same."""
        self.scans: dict[int, int] = {}
        """How many samples there were, likewise."""
        self.lost_since: int | None = None
        self.lost_why: dict[str, str] = {}
        self._endpoint = config.endpoint
        beat = config.heartbeat
        self.beat = None if beat is None else f"{name}.{beat.signal}"
        """The signal that a living PLC changes."""
        self._within = 0 if beat is None else beat.within
        self.freezes_at: int | None = None
        """When it is frozen, unless its heartbeat changes before; None while nothing is known of that."""
        self.frozen: dict[str, tuple[Value, Proof]] | None = None
        """While it is frozen, what it last said of each signal: all of it counts again once it moves."""
        self.dirty = True

    def subject(self, number: int) -> str:
        """`device.signal` of a signal."""
        return f"{self.name}.{self.signals[number]}"

    def beaten(self, at: int) -> None:
        """Its heartbeat changed."""
        self.freezes_at = at + self._within

    def unwatch(self) -> None:
        """It is not read: nothing can be said of its heartbeat."""
        self.freezes_at = self.frozen = None

    def freeze(self, known: Iterable[tuple[str, Value, Proof]], at: int) -> DeviceState:
        """Its heartbeat has not changed in time; `known` is what it says of its signals."""
        self.freezes_at = None
        self.frozen = {name: (value, proof) for name, value, proof in known}
        self.dirty = True
        why = f"frozen: {self.beat} has not changed for {duration_text(self._within)}"
        remedy = "the PLC answers, but its program does not run: see whether it is in stop"
        return DeviceState(self.name, False, at, self._endpoint, why, remedy)

    def keep(self, changes: Iterable[tuple[str, Value, Proof]]) -> list[tuple[str, Value, Proof]]:
        """What a frozen device says is kept and is not believed: no change that counts."""
        assert self.frozen is not None
        self.frozen.update({name: (value, proof) for name, value, proof in changes})
        self.dirty = True
        return []

    def thaw(self, changes: Iterable[tuple[str, Value, Proof]]) -> list[tuple[str, Value, Proof]]:
        """It moves again: everything that it says now; nothing where it was not frozen."""
        if self.frozen is None:
            return []
        self.keep(changes)
        known, self.frozen = self.frozen, None
        return [(name, value, proof) for name, (value, proof) in known.items()]

    def lost(self, state: DeviceState, time: LineTime) -> list[Event]:
        """It is gone from now on."""
        self.lost_since = state.at
        self.lost_why = {"endpoint": state.endpoint, "why": state.why, "remedy": state.remedy}
        self.dirty = True
        return [self._event("device.lost", None, time, state.at)]

    def restored(self, time: LineTime, at: int) -> list[Event]:
        """It is there again, if it was gone."""
        if self.lost_since is None:
            return []
        event = self._event("device.restored", (at - self.lost_since) / 1000, time, at)
        self.lost_since = None
        self.dirty = True
        return [event]

    def _event(self, kind: str, duration_s: float | None, time: LineTime, at: int) -> Event:
        data = {
            "device": self.name,
            **self.lost_why,
            "since": time.text(at if self.lost_since is None else self.lost_since),
            "signals": len(self.signals),
            "duration_s": duration_s,
        }
        return Event(kind, self.name, time.utc(at), data)

    def checkpoint(self) -> dict[str, Any]:
        """Plain values from which `restore` goes on."""
        return {
            "lost_since": self.lost_since,
            "lost_why": self.lost_why,
            "freezes_at": self.freezes_at,
            "frozen": None if self.frozen is None else {n: [v, *proof] for n, (v, proof) in self.frozen.items()},
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.lost_since, self.lost_why = saved["lost_since"], saved["lost_why"]
        if self.beat is None:
            return
        self.freezes_at = saved["freezes_at"]
        if saved["frozen"] is not None:
            kept = {name: (value, tuple(proof)) for name, (value, *proof) in saved["frozen"].items()}
            self.frozen = {name: kept[name] for name in self.names if name in kept}


def notice_event(device: Device, notice: Notice, time: LineTime, at: int) -> Event:
    """A signal's address is refused for good, or can be read again."""
    signal = device.subject(notice.signal)
    data = {
        "signal": signal,
        "address": notice.address,
        "why": notice.why,
        "retry_s": notice.retry_s if notice.quarantined else None,
    }
    kind = "signal.quarantined" if notice.quarantined else "signal.restored"
    return Event(kind, signal, time.utc(at), data)
