"""What the engine keeps of one device: the signals that something decides from, its losses, its heartbeat."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, TypeAlias

from gateway.events import Event
from gateway.inputs import DeviceState
from gateway.linetime import LineTime
from gateway.sourceclock import SourceClock
from protocols.device import DeviceSettings
from protocols.model import Notice, Value
from protocols.settings import duration_text

Proof: TypeAlias = tuple[int, str | None, int | None, int | None]
"""Quality, why, engine time of the last change, source time of one signal."""

Changes: TypeAlias = list[tuple[str, Value, Proof]]
"""`device.signal`, value, proof."""
TOGETHER_MS = 50
"""What is dated no further apart happened at once: a program's cycle writes its values one after the other."""
HELD_UP_MS = 100
"""Batches that come closer were held up together: that the first has come says nothing of when the next was."""


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
        self.seen: dict[int, tuple[int, int]] = {}
        """Of a sample with source times, likewise: when the last of it was, and since when it can have been."""
        self._connected_at = 0
        self._clock = SourceClock()
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

    def dated(self, changes: Changes, interval: int, at: int) -> list[tuple[int, Changes]]:
        """What a batch brought at `at`, in order of when it happened.

        That is its source time on our clock, not before what the batch before it brought and not after `at`; `at`
        where it has none, and for what was so already when the device was connected.
        """
        last = self.seen.pop(interval, None) if self.seen else None
        sources = [one[2][3] for one in changes if one[2][3] is not None]
        if not sources:
            return [(at, changes)]
        sampled = self.sampled.get(interval, -1)
        moment, since = (sampled, sampled) if last is None else last
        was_held_up = at - sampled < min(HELD_UP_MS, interval // 2)
        distance = self._clock.distance(sources, interval, at)
        floor = moment if sampled >= self._connected_at else at
        moments = [at if one[2][3] is None else min(at, max(floor, one[2][3] + distance)) for one in changes]
        groups: list[tuple[int, Changes]] = []
        first = at
        for one, change in sorted(zip(moments, changes, strict=True), key=lambda pair: pair[0]):
            if groups and one - first <= TOGETHER_MS:
                groups[-1] = (one, [*groups[-1][1], change])
            else:
                first = one
                groups.append((one, [change]))
        self.seen[interval] = (groups[-1][0], since if was_held_up else moment)
        return groups

    def beaten(self, at: int) -> None:
        """Its heartbeat changed."""
        self.freezes_at = at + self._within

    def unwatch(self, at: int) -> None:
        """It is not read: nothing can be said of its heartbeat, nor of what was before it is read again."""
        self.freezes_at = self.frozen = None
        self._connected_at = at

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
        self._connected_at, self.dirty = at, True
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
            "connected_at": self._connected_at,
            "clock": self._clock.checkpoint(),
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.lost_since, self.lost_why = saved["lost_since"], saved["lost_why"]
        self._connected_at = saved["connected_at"]
        self._clock.restore(saved["clock"])
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
