"""What will be asked of each PLC, what that costs on the wire, and whether a line can bear it.

All figures follow from the configuration alone; nothing is asked of any device.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from ext.table import SignalTable
from gateway.config.crosscheck_parts import unseen
from gateway.config.model import Config, MachineConfig
from gateway.work.ideals import Ideals
from protocols.device import DeviceSettings
from protocols.modbus.config import ModbusDevice, ModbusRtuDevice, SerialConfig
from protocols.modbus.plan import plan_requests
from protocols.modbus.request import Request
from protocols.settings import duration_text

_READ_PDU = 5
"""Function code, address and count (Application Protocol V1.1b3, 6.1 to 6.4); a reply has function and byte count."""
_MBAP = 7
_RTU = 3
"""Unit and checksum around an RTU frame's PDU (Modbus over serial line V1.02, 2.3)."""
_FASTEST_IN_CHARACTERS = 19_200
_SILENCE_MS = 1.75
"""Silence between frames: 3.5 characters, above 19200 baud 1.75 ms (Modbus over serial line V1.02, 2.5.1.1)."""


@dataclass(frozen=True, slots=True)
class RequestPlan:
    """One request of a scan."""

    table: str
    first: int
    last: int
    """Addresses on the wire, both inclusive."""
    count: int
    """Registers, or bits of a bit table."""
    needless: int
    """Those among them that no signal needs."""
    signals: list[str]
    bytes: int
    """Of the request and its reply, with their framing."""


@dataclass(frozen=True, slots=True)
class ScanPlan:
    """A device's signals that are read together."""

    interval_ms: int
    signals: int
    registers: int
    bits: int
    bytes: int
    pause_ms: int
    line_ms: float | None
    """On a serial line: characters, silences and pauses, without the device's own time; None elsewhere."""
    requests: list[RequestPlan]
    asks: str = ""
    """What is asked where only the device can say how many requests that takes; empty for Modbus."""

    @property
    def busy_ms(self) -> float:
        """How long a scan takes at the least."""
        return self.pause_ms if self.line_ms is None else self.line_ms


@dataclass(frozen=True, slots=True)
class DevicePlan:
    """One device, and all that is asked of it."""

    name: str
    protocol: str
    endpoint: str
    unit_id: int | None
    in_flight: int
    scans: list[ScanPlan]


@dataclass(frozen=True, slots=True)
class EndpointPlan:
    """One connection with all devices behind it."""

    endpoint: str
    protocol: str
    devices: list[str]
    scans_per_s: float
    requests_per_s: float | None
    bytes_per_s: float | None
    """None where only the device can say."""
    signals_per_s: float
    duty: float
    """Share of the time in which the line is busy at the least, in percent; elsewhere that of the pauses alone."""
    budget_ms: float | None
    """How long each request may take, one at a time, where that depends on the device; None on a serial line."""


@dataclass(frozen=True, slots=True)
class LinePlan:
    """The whole line; a warning cannot work, a note may be meant."""

    devices: list[DevicePlan]
    endpoints: list[EndpointPlan]
    warnings: list[str]
    notes: list[str]

    def plain(self) -> dict[str, Any]:
        """Plain values, for `--json`."""
        return asdict(self)


def plan_line(config: Config) -> LinePlan:
    """The plan of a whole configuration."""
    devices = [_device(name, device) for name, device in config.devices.items()]
    by_endpoint: dict[str, list[DevicePlan]] = {}
    for device in devices:
        by_endpoint.setdefault(device.endpoint, []).append(device)
    endpoints = [_endpoint(several) for several in by_endpoint.values()]
    warnings = [_overload(endpoint) for endpoint in endpoints if endpoint.duty > 100]
    warnings += [slow for name, device in config.devices.items() for slow in _too_slow(name, device)]
    notes = [note for name, machine in config.machines.items() for note in _unseen(name, machine, config)]
    return LinePlan(devices, endpoints, warnings, notes)


def _device(name: str, device: DeviceSettings) -> DevicePlan:
    return _modbus(name, device) if isinstance(device, ModbusDevice) else _typed(name, device)


def _typed(name: str, device: DeviceSettings) -> DevicePlan:
    """A device that knows its own types: only it can say how many requests they take."""
    scans = [
        ScanPlan(interval, len(numbers), 0, 0, 0, 0, None, [], device.asks(interval, len(numbers)))
        for interval, numbers in device.scan_classes
    ]
    return DevicePlan(name, str(device.transport["protocol"]), device.endpoint, None, 1, scans)


def _modbus(name: str, device: ModbusDevice) -> DevicePlan:
    requests = plan_requests(device, SignalTable(device.signals))
    scans = [
        _scan(device, interval, len(numbers), [request for request in requests if request.scan == scan])
        for scan, (interval, numbers) in enumerate(device.scan_classes)
    ]
    protocol = str(device.transport["protocol"])
    return DevicePlan(name, protocol, device.endpoint, device.unit_id, device.in_flight, scans)


def _scan(device: ModbusDevice, interval: int, signals: int, requests: list[Request]) -> ScanPlan:
    planned = [_request(device, request) for request in requests]
    pause = device.pause * len(planned)
    size = sum(one.bytes for one in planned)
    serial = device.serial if isinstance(device, ModbusRtuDevice) else None
    return ScanPlan(
        interval_ms=interval,
        signals=signals,
        registers=sum(one.count for one, request in zip(planned, requests, strict=True) if not request.table.is_bits),
        bits=sum(one.count for one, request in zip(planned, requests, strict=True) if request.table.is_bits),
        bytes=size,
        pause_ms=pause,
        line_ms=None if serial is None else round(_line_ms(serial, size, len(planned)) + pause, 3),
        requests=planned,
    )


def _request(device: ModbusDevice, request: Request) -> RequestPlan:
    signals = list(device.signals.items())
    covered: set[int] = set()
    for number in request.signals:
        first = device.locate(signals[number][1]).number
        covered.update(range(first, first + signals[number][1].registers))
    data = (request.count + 7) // 8 if request.table.is_bits else 2 * request.count
    framing = _RTU if device.SERIAL else _MBAP
    return RequestPlan(
        table=request.table.name.lower(),
        first=request.address,
        last=request.address + request.count - 1,
        count=request.count,
        needless=request.count - len(covered),
        signals=[signals[number][0] for number in request.signals],
        bytes=framing + _READ_PDU + framing + 2 + data,
    )


def _line_ms(serial: SerialConfig, size: int, requests: int) -> float:
    """Milliseconds of some requests and replies on a serial line, each of both with the silence after it."""
    character_ms = serial.character_bits / serial.baud * 1000
    silence_ms = _SILENCE_MS if serial.baud > _FASTEST_IN_CHARACTERS else 3.5 * character_ms
    return size * character_ms + 2 * requests * silence_ms


def _endpoint(devices: list[DevicePlan]) -> EndpointPlan:
    scans = [scan for device in devices for scan in device.scans]
    known = not any(scan.asks for scan in scans)
    requests_per_s = _per_second((len(scan.requests), scan) for scan in scans)
    duty = sum(scan.busy_ms / scan.interval_ms for scan in scans) * 100
    on_a_line = scans[0].line_ms is not None
    return EndpointPlan(
        endpoint=devices[0].endpoint,
        protocol=devices[0].protocol,
        devices=[device.name for device in devices],
        scans_per_s=_per_second((1, scan) for scan in scans),
        requests_per_s=requests_per_s if known else None,
        bytes_per_s=_per_second((scan.bytes, scan) for scan in scans) if known else None,
        signals_per_s=_per_second((scan.signals, scan) for scan in scans),
        duty=round(duty, 2),
        budget_ms=None if on_a_line or not known else round(max(0.0, 1000 - 10 * duty) / requests_per_s, 3),
    )


def _per_second(amounts: Iterator[tuple[int, ScanPlan]]) -> float:
    return round(sum(amount * 1000 / scan.interval_ms for amount, scan in amounts), 3)


def _overload(endpoint: EndpointPlan) -> str:
    of = "its frames and pauses" if endpoint.budget_ms is None else "the pauses between its requests"
    remedy = "scan less often, raise max_gap"
    remedy += ", raise the baud rate or split the line" if endpoint.budget_ms is None else " or shorten the pause"
    return f"{endpoint.endpoint}: {of} take {endpoint.duty:.0f} % of the time, so scans are skipped; {remedy}"


def _too_slow(name: str, device: DeviceSettings) -> Iterator[str]:
    """Requests that a serial line cannot carry within their timeout."""
    if not isinstance(device, ModbusRtuDevice):
        return
    baud = device.serial.baud
    for request in plan_requests(device, SignalTable(device.signals)):
        needs = _line_ms(device.serial, _request(device, request).bytes, 1)
        if needs > device.timeout:
            words = f"takes {needs:,.0f} ms at {baud} baud and its timeout is {duration_text(device.timeout)}"
            yield f"{name}: {request} {words}, so it is never answered; raise the timeout or lower max_registers"


def _unseen(name: str, machine: MachineConfig, config: Config) -> Iterator[str]:
    """A counter or cycle signal that changes more often than it is read."""
    if machine.parts is None:
        return
    source = machine.parts.paced.signal if machine.cycle is None else machine.cycle.signal
    device, _, signal = source.partition(".")
    settings = config.devices[device]
    interval = settings.signal_settings[signal].scan_interval or settings.scan_interval
    words = unseen(source, interval, Ideals(name, machine, config.products).fastest, machine.cycle is not None)
    if words is not None:
        yield f"{name}: {words}"
