"""Devices with a heartbeat: what one says counts while it changes that, and all of it again once it does so again."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.deadlines import Deadlines
from gateway.devices import Changes, Device
from gateway.events import Event
from gateway.inputs import DeviceState
from gateway.linetime import LineTime
from gateway.readings import Readings


class Heartbeats:
    """Those of a line; times are engine milliseconds."""

    def __init__(
        self, devices: Iterable[Device], readings: Readings, deadlines: Deadlines, first: int, time: LineTime
    ) -> None:
        """`first`: their deadlines' owners are numbered from it on."""
        self._devices = [device for device in devices if device.beat is not None]
        self._readings, self._deadlines, self._first, self._time = readings, deadlines, first, time

    def of(self, owner: int) -> Device | None:
        """The device whose deadline this is."""
        return self._devices[owner - self._first] if owner >= self._first else None

    def follow(self, device: Device, changes: Changes, at: int, events: list[Event]) -> Changes:
        """What is known by a batch: nothing of a frozen device, and all of one that moves again."""
        alive = any(name == device.beat and value is not None for name, value, _ in changes)
        thawed = device.thaw(changes) if alive else []
        if thawed:
            events += device.restored(self._time, at)
        if alive:
            device.beaten(at)
            self._watch(device)
        return thawed or (device.keep(changes) if device.frozen is not None else changes)

    def freeze(self, device: Device, at: int, events: list[Event]) -> DeviceState:
        """It answers and does not change its heartbeat: what it says is of no time that is known."""
        values, proofs = self._readings.values, self._readings.proofs
        state = device.freeze([(name, values[name], proofs[name]) for name in device.names], at)
        if device.lost_since is None:
            events += device.lost(state, self._time)
        return state

    def unwatch(self, device: Device, at: int) -> None:
        """It is not read any more."""
        device.unwatch(at)
        self._watch(device)

    def restore(self) -> None:
        """Devices go on from a checkpoint."""
        for device in self._devices:
            self._watch(device)

    def _watch(self, device: Device) -> None:
        if device.beat is not None:
            self._deadlines.set(self._first + self._devices.index(device), device.freezes_at)
