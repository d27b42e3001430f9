"""What must be known of a signal before it is ever read: its type in rules, its range as a counter, its texts."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.config.model import Config
from gateway.states.expression import ExprType
from protocols.modbus.config import ModbusDevice, ModbusSignal
from protocols.model import Value

_RANGES = {
    "int16": 2**16,
    "uint16": 2**16,
    "int32": 2**32,
    "uint32": 2**32,
    "int64": 2**64,
    "uint64": 2**64,
    "float32": 2**24,
    "float64": 2**53,
    "bcd16": 10**4,
    "bcd32": 10**8,
}
"""Modulus of a counter by its type; floats count exactly up to the integers that they can hold."""


def expression_types(config: Config) -> dict[str, ExprType | None]:
    """Type of every `device.signal` in the rules' language."""
    return {
        f"{name}.{signal}": _expression_type(settings)
        for name, device in config.devices.items()
        for signal, settings in device.signals.items()
    }


def moduli(config: Config) -> dict[str, int]:
    """Modulus of every numeric `device.signal`, were it a counter."""
    return {
        f"{name}.{signal}": _RANGES[settings.type] if settings.bits is None else (settings.highest or 0) + 1
        for name, device in config.devices.items()
        if isinstance(device, ModbusDevice)
        for signal, settings in device.signals.items()
        if settings.type in _RANGES
    }


def text_of(value: Value, texts: Mapping[int | str, str]) -> str | None:
    """The text of a signal's number; None for one that has none, and of what is no whole number."""
    if value is None or isinstance(value, str) or (isinstance(value, float) and not value.is_integer()):
        return None
    return texts.get(int(value))


def _expression_type(signal: ModbusSignal) -> ExprType:
    if signal.type in (None, "bool"):
        return "bool"
    if signal.type == "string":
        return "text"
    scaled = (signal.scale, signal.offset) != (1.0, 0.0)
    return "float" if scaled or signal.type in ("float32", "float64") else "int"
