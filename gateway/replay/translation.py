"""Signals are matched by name: a recording's numbers and scans become a configuration's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gateway.config.model import Config
from gateway.inputs import DeviceState, Input, Tick
from gateway.recording.header import RecordedDevice, devices_of
from protocols.model import Batch, Change, Quality
from protocols.settings import ReadOnlyDict


def read_as_recorded(config: Config, devices: Sequence[RecordedDevice]) -> Config:
    """The configuration with the recording's scan intervals: what was read, and when, is the recording's."""
    intervals = {
        (device.name, device.signals[number]): interval
        for device in devices
        for interval, numbers in device.scans
        for number in numbers
    }
    return with_intervals(config, intervals)


def with_intervals(config: Config, intervals: Mapping[tuple[str, str], int]) -> Config:
    """The configuration with other scan intervals in milliseconds, by device and signal; its digest stays."""
    read = {}
    for name, device in config.devices.items():
        signals = {
            key: signal.model_copy(update={"scan_interval": intervals.get((name, key), signal.scan_interval)})
            for key, signal in device.signal_settings.items()
        }
        read[name] = device.model_copy(update={"signals": ReadOnlyDict(signals)})
    _ = config.digest  # kept with the copy: events name the configuration as it was written
    return config.model_copy(update={"devices": ReadOnlyDict(read)})


class Translation:
    """From one recording's numbers to those of a configuration that reads as it does."""

    def __init__(self, recorded: Sequence[RecordedDevice], config: Config) -> None:
        mine = {device.name: device for device in devices_of(config)}
        self.is_needed = tuple(recorded) != tuple(mine.values())
        self._numbers: dict[str, dict[int, int]] = {}
        self._scans: dict[str, dict[int, int]] = {}
        for device in recorded:
            if (own := mine.get(device.name)) is None:
                continue
            position = {name: number for number, name in enumerate(own.signals)}
            names = enumerate(device.signals)
            self._numbers[device.name] = {number: position[name] for number, name in names if name in position}
            intervals = {interval: scan for scan, (interval, _) in enumerate(own.scans)}
            scans = enumerate(device.scans)
            self._scans[device.name] = {
                scan: intervals[interval] for scan, (interval, _) in scans if interval in intervals
            }
        names_of = {device.name: frozenset(device.signals) for device in recorded}
        self.missing = sorted(
            f"{device.name}.{signal}"
            for device in mine.values()
            for signal in device.signals
            if signal not in names_of.get(device.name, ())
        )
        """Signals of the configuration that the recording does not have."""

    def changes(self, device: str, changes: Sequence[Change]) -> list[Change]:
        """Those of signals that the configuration has."""
        numbers = self._numbers.get(device, {})
        return [(numbers[change[0]], *change[1:]) for change in changes if change[0] in numbers]

    def __call__(self, given: Input) -> Input:
        """An input as the configuration would have it; of what it does not have, only the time remains."""
        if isinstance(given, DeviceState):
            return given if given.device in self._numbers else Tick(given.at)
        if not isinstance(given, Batch):
            return given
        scan = self._scans.get(given.device, {}).get(given.scan)
        if scan is None:
            return Tick(given.at)
        numbers = self._numbers[given.device]
        notices = [
            replace(notice, signal=numbers[notice.signal]) for notice in given.notices if notice.signal in numbers
        ]
        learned = given.learned
        if learned is not None:
            learned = {numbers[number]: one for number, one in learned.items() if number in numbers}
        return Batch(given.device, scan, self.changes(given.device, given.changes), given.at, notices, learned)

    def snapshot(self, recorded: Sequence[RecordedDevice], values: Sequence[Sequence[Change]], at: int) -> list[Input]:
        """Every signal as it was read last, as scans of all classes at one instant; a device with any good is there."""
        given: list[Input] = []
        for device, read in zip(recorded, values, strict=True):
            scans = self._scans.get(device.name, {})
            if scans and any(quality == Quality.GOOD for _, _, quality, *_ in read):
                given.append(DeviceState(device.name, True, at))
            for scan, (_, numbers) in enumerate(device.scans):
                if scan in scans:
                    changes = self.changes(device.name, [read[number] for number in numbers])
                    given.append(Batch(device.name, scans[scan], changes, at))
        return given
