"""The pieces of a file that can be read on their own, for checks that need several sections."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from gateway.config.calendar import ExceptionConfig, MaintenanceConfig, ShiftConfig
from gateway.config.compose import Path
from gateway.config.flow import LinkConfig
from gateway.config.model import (
    BufferConfig,
    CounterConfig,
    DeviceEntry,
    IdealSignal,
    JobsConfig,
    ModeConfig,
    PackmlStateConfig,
    ProductConfig,
    StateRule,
    TrendConfig,
    UplinkConfig,
)
from gateway.config.uplinks import UplinkSettings
from protocols.device import DeviceSettings, SignalSettings
from protocols.settings import Cycle, Name, ValueType

T = TypeVar("T")

_DEVICE: TypeAdapter[DeviceSettings] = TypeAdapter(DeviceEntry)
_UPLINK: TypeAdapter[UplinkSettings] = TypeAdapter(UplinkConfig)
_RULE = TypeAdapter(StateRule)
_COUNTER = TypeAdapter(CounterConfig)
_CYCLE: TypeAdapter[float] = TypeAdapter(Cycle)
_PACKML = TypeAdapter(PackmlStateConfig)
_MODE = TypeAdapter(ModeConfig)
_TREND = TypeAdapter(TrendConfig)
_BUFFER = TypeAdapter(BufferConfig)
_SHIFT = TypeAdapter(ShiftConfig)
_EXCEPTION = TypeAdapter(ExceptionConfig)
_MAINTENANCE = TypeAdapter(MaintenanceConfig)
_LINK = TypeAdapter(LinkConfig)
_IDEAL = TypeAdapter(IdealSignal)
_PRODUCT = TypeAdapter(ProductConfig)
_JOBS = TypeAdapter(JobsConfig)
_NAME: TypeAdapter[str] = TypeAdapter(Name)


class SignalTypes(dict[str, "ValueType | None"]):
    """The type of each `device.signal`; a device whose signals cannot even be listed has every signal."""

    def __init__(self, known: dict[str, ValueType | None], opaque: set[str]) -> None:
        super().__init__(known)
        self._opaque = opaque

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or (isinstance(name, str) and name.partition(".")[0] in self._opaque)


@dataclass(slots=True)
class ParsedMachine:
    """What could be read of one machine."""

    rules: dict[int, StateRule] = field(default_factory=dict)
    """By position; one that could not be read is left out."""
    rule_count: int = 0
    packml: tuple[PackmlStateConfig, bool] | None = None
    """Its PackML state, and whether the file gives the signal's name alone."""
    mode: tuple[ModeConfig, bool] | None = None
    """Likewise its mode."""
    counters: dict[tuple[str | int, ...], tuple[CounterConfig, bool]] = field(default_factory=dict)
    """By role (and position, in a list), and whether the file gives the signal's name alone."""
    cycle: str | None = None
    """The signal that times its cycles."""
    pace: float | None = None
    """Its own ideal cycle time, where the file gives it as such."""
    reasons: list[str | int] = field(default_factory=list)
    ideal: str | None = None
    """The signal that gives its ideal."""


@dataclass(slots=True)
class ParsedCalendar:
    """What could be read of the calendar; entries of lists by position."""

    shifts: dict[str, ShiftConfig | None]
    """By name; None for one that could not be read."""
    exceptions: dict[int, ExceptionConfig]
    maintenance: dict[int, MaintenanceConfig]


@dataclass(slots=True)
class Parsed:
    """What could be read of a file."""

    types: SignalTypes
    device_names: list[str]
    machine_names: list[str]
    devices: dict[str, DeviceSettings]
    signals: dict[str, SignalSettings]
    machines: dict[str, ParsedMachine]
    reasons: list[str | int]
    trends: dict[str, TrendConfig | None]
    """By signal; None for one that could not be read."""
    uplinks: dict[str, UplinkSettings]
    buffer: BufferConfig | None
    calendar: ParsedCalendar
    flow: dict[int, LinkConfig]
    """By position."""
    constraint: str | None
    out: dict[int, str]
    """By position."""
    work: dict[Path, str]
    """The signals of products and jobs, by the place that names each."""
    products: dict[str | int, list[str]]
    """The machines that each product's ideal names, by the key that the file has."""
    listed: list[ProductConfig]
    """Those that could be read."""


def salvage(data: dict[Any, Any]) -> Parsed:
    """Read every piece for itself; what cannot be read is left out, never complained about."""
    raw_devices = _entries(data.get("devices"))
    devices = {name: device for name, raw in raw_devices.items() if (device := _read(_DEVICE, raw)) is not None}
    signals: dict[str, SignalSettings] = {}
    types: dict[str, ValueType | None] = {}
    opaque = set()
    for name, raw in raw_devices.items():
        if name in devices:
            for signal, settings in devices[name].signal_settings.items():
                signals[f"{name}.{signal}"] = settings
                types[f"{name}.{signal}"] = settings.value_type
        elif written := _entries(raw.get("signals") if isinstance(raw, dict) else None):
            types.update(dict.fromkeys(f"{name}.{signal}" for signal in written))
        else:
            opaque.add(name)
    raw_machines = _entries(data.get("machines"))
    line = _entries(data.get("line"))
    uplinks = {name: _read(_UPLINK, raw) for name, raw in _entries(data.get("uplinks")).items()}
    return Parsed(
        types=SignalTypes(types, opaque),
        device_names=list(raw_devices),
        machine_names=list(raw_machines),
        devices=devices,
        signals=signals,
        machines={name: _machine(raw) for name, raw in raw_machines.items() if isinstance(raw, dict)},
        reasons=_keys(data.get("reasons")),
        trends={name: _read(_TREND, raw) for name, raw in _entries(data.get("trends")).items()},
        uplinks={name: uplink for name, uplink in uplinks.items() if uplink is not None},
        buffer=_read(_BUFFER, data.get("buffer")),
        calendar=_calendar(_entries(data.get("calendar"))),
        flow=_listed(_LINK, data.get("flow")),
        constraint=_read(_NAME, line.get("constraint")),
        out=_listed(_NAME, line.get("out")),
        work=dict(_work_signals(data)),
        products=_products(products := _entries(data.get("products")).get("list")),
        listed=[one for raw in _values(products) if (one := _read(_PRODUCT, raw)) is not None],
    )


def _work_signals(data: dict[Any, Any]) -> Iterator[tuple[Path, str]]:
    for section, keys in (("products", ("signal",)), ("jobs", ("signal", "target", "due"))):
        raw = _entries(data.get(section))
        for key in keys:
            if (read := _read(_JOBS, {"signal": raw.get(key)})) is not None:
                yield (section, key), read.signal


def _products(raw: object) -> dict[str | int, list[str]]:
    listed = raw if isinstance(raw, dict) else {}
    return {key: list(_entries(_entries(one).get("ideal"))) for key, one in listed.items()}


def _calendar(raw: dict[str, Any]) -> ParsedCalendar:
    return ParsedCalendar(
        {name: _read(_SHIFT, shift) for name, shift in _entries(raw.get("shifts")).items()},
        _listed(_EXCEPTION, raw.get("exceptions")),
        _listed(_MAINTENANCE, raw.get("maintenance")),
    )


def _listed(kind: TypeAdapter[T], raw: object) -> dict[int, T]:
    """A list's entries by position, as far as they can be read."""
    read = enumerate(_read(kind, one) for one in raw) if isinstance(raw, list) else ()
    return {index: one for index, one in read if one is not None}


def _machine(raw: dict[Any, Any]) -> ParsedMachine:
    machine = ParsedMachine(reasons=_keys(raw.get("reasons")))
    states, parts = raw.get("states"), raw.get("parts")
    if isinstance(states, list):
        machine.rule_count = len(states)
        read = enumerate(_rule(rule) for rule in states)
        machine.rules = {index: rule for index, rule in read if rule is not None}
    if (written := raw.get("packml_state")) is not None and (packml := _packml(written)) is not None:
        machine.packml = (packml, isinstance(written, str))
    if (written := raw.get("mode")) is not None and (mode := _mode(written)) is not None:
        machine.mode = (mode, isinstance(written, str))
    if (ideal := _read(_IDEAL, raw.get("ideal"))) is not None:
        machine.ideal = ideal.signal
    for path, written in _written_counters(parts if isinstance(parts, dict) else {}):
        if (counter := _counter(written)) is not None:
            machine.counters[path] = (counter, isinstance(written, str))
    if isinstance(cycle := raw.get("cycle"), dict) and isinstance(cycle.get("signal"), str):
        machine.cycle = cycle["signal"]
    machine.pace = _read(_CYCLE, raw.get("ideal"))
    return machine


def _written_counters(parts: dict[Any, Any]) -> Iterator[tuple[tuple[str | int, ...], object]]:
    """Where each counter is written below `parts`, and what is written there."""
    for role in ("total", "good", "scrap", "rework"):
        written = parts.get(role)
        if isinstance(written, list) and role == "scrap":
            yield from (((role, index), one) for index, one in enumerate(written))
        elif written is not None:
            yield (role,), written


def _rule(raw: object) -> StateRule | None:
    """A rule; where its state or cause is wrong, what it says of signals."""
    if (rule := _read(_RULE, raw)) is not None or not isinstance(raw, dict):
        return rule
    pieces = [{key: raw[key]} for key in ("when", "reason") if key in raw]
    both = {key: value for piece in pieces for key, value in piece.items()}
    condition = {"when": "true"} if "when" in raw else {}  # one that cannot be read is not one that always holds
    for some in (both, *pieces):
        if (rule := _read(_RULE, {"state": "undefined", **condition, **some})) is not None:
            return rule
    return None


def _counter(raw: object) -> CounterConfig | None:
    """A counter; where its other keys are wrong, its signal and where it rolls over."""
    if (counter := _read(_COUNTER, raw)) is not None or not isinstance(raw, dict):
        return counter
    for keys in (("signal", "rollover"), ("signal",)):
        if (counter := _read(_COUNTER, {key: raw[key] for key in keys if key in raw})) is not None:
            return counter
    return None


def _mode(raw: object) -> ModeConfig | None:
    """A mode; where its texts are wrong, its signal."""
    if (mode := _read(_MODE, raw)) is not None or not isinstance(raw, dict):
        return mode
    return _read(_MODE, {"signal": raw.get("signal")})


def _packml(raw: object) -> PackmlStateConfig | None:
    """A PackML state; where its numbering is wrong, its signal."""
    if (packml := _read(_PACKML, raw)) is not None or not isinstance(raw, dict):
        return packml
    return _read(_PACKML, {"signal": raw.get("signal")})


def _read(kind: TypeAdapter[T], raw: object) -> T | None:
    try:
        return kind.validate_python(raw)
    except ValidationError:
        return None


def _values(raw: object) -> list[Any]:
    return list(raw.values()) if isinstance(raw, dict) else []


def _entries(raw: object) -> dict[str, Any]:
    named = raw.items() if isinstance(raw, dict) else ()
    return {key: value for key, value in named if isinstance(key, str)}


def _keys(raw: object) -> list[str | int]:
    return cast("list[str | int]", list(raw)) if isinstance(raw, dict) else []
