"""What signals must hold after an OPC UA value, worked out from what asyncua's own decoder makes of it."""

from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from asyncua import ua
from asyncua.ua.status_codes import get_name_and_doc

from ext.table import Kind
from protocols.model import Quality

State = tuple[bool | int | float | str | None, int, str | None]
"""Value, quality and why."""

KINDS = {
    Kind.BOOL: "a bool",
    Kind.INT: "a signed integer",
    Kind.UINT: "an unsigned integer",
    Kind.FLOAT: "a float",
    Kind.TEXT: "a text",
}
SIGNED = {"SByte": 8, "Int16": 16, "Int32": 32, "Int64": 64}
UNSIGNED = {"Byte": 8, "UInt16": 16, "UInt32": 32, "UInt64": 64, "StatusCode": 32}
TEXTS = ("String", "XmlElement", "LocalizedText", "DateTime", "Guid")
NATIVE = {*SIGNED, *UNSIGNED, *TEXTS, "Boolean", "Float", "Double"}


@dataclass(frozen=True)
class Signal:
    """A signal and how it is bound, with the words of ValuePlan.bind."""

    kind: Kind
    scale: float = 1.0
    offset: float = 0.0
    element: int | None = None
    bits: tuple[int, int] | None = None
    invalid: tuple[int | float, ...] = ()
    by_caller: bool = False
    length: int = 8

    def options(self) -> dict[str, Any]:
        """The keywords of ValuePlan.bind."""
        return {key: value for key, value in vars(self).items() if key not in ("kind", "length")}


def name_of(status: int) -> str:
    """The symbolic name of a StatusCode."""
    return str(get_name_and_doc(status)[0])


def words(status: int) -> str:
    """A StatusCode as signals have it."""
    return f"{name_of(status & 0xFFFF0000)} (0x{status:08X})"


def expected(signal: Signal, found: ua.DataValue) -> State | None:
    """What the signal holds after the value; None where that is left over."""
    status = 0 if found.StatusCode is None else found.StatusCode.value
    why, quality = (None, Quality.GOOD) if status < 1 << 30 else (words(status), Quality.UNCERTAIN)
    if status >= 1 << 31:
        return None, Quality.BAD, why
    variant = found.Value
    if variant is None or variant.VariantType == ua.VariantType.Null:
        return None, Quality.BAD, why or "no value"
    name = variant.VariantType.name
    if signal.by_caller or name not in NATIVE or (variant.Dimensions is not None and len(variant.Dimensions) != 1):
        return None
    raw = variant.Value
    if variant.is_array:
        raw = [] if raw is None else raw
        if signal.element is None:
            return None, Quality.BAD, f"an array of {name} where one value is expected"
        if signal.element >= len(raw):
            return None, Quality.BAD, f"no element {signal.element}: the array has {len(raw)} elements"
        raw = raw[signal.element]
    elif signal.element is not None:
        return None, Quality.BAD, f"no element {signal.element}: one {name}, and no array"
    value = _fitting(signal, name, raw)
    return value if isinstance(value, tuple) else (value, quality, why)


def _fitting(signal: Signal, name: str, raw: Any) -> bool | int | float | str | State:
    """The value of the kind; a state where it is none, or means bad."""
    unfit = None, Quality.BAD, f"{name} does not fit {KINDS[signal.kind]}"
    if name == "Boolean" and signal.kind == Kind.BOOL and signal.bits is None:
        return bool(raw)
    if name in TEXTS and signal.bits is None:
        return _text(signal, raw) if signal.kind == Kind.TEXT else unfit
    if name in SIGNED or name in UNSIGNED:
        return _integer(signal, name, raw.value if name == "StatusCode" else raw, unfit)
    if signal.bits is not None:
        return None, Quality.BAD, f"{name} has no {_which(signal.bits)}"
    if name not in ("Float", "Double") or signal.kind != Kind.FLOAT:
        return unfit
    for one in signal.invalid:
        if raw == (struct.unpack("<f", struct.pack("<f", one))[0] if name == "Float" else float(one)):
            return None, Quality.BAD, f"invalid value {one}"
    return _float(signal, raw)


def _which(bits: tuple[int, int]) -> str:
    return f"bit {bits[0]}" if bits[0] == bits[1] else f"bits {bits[0]} to {bits[1]}"


def _integer(signal: Signal, name: str, raw: int, unfit: State) -> int | float | bool | State:
    width = SIGNED.get(name) or UNSIGNED[name]
    if signal.bits is not None:
        first, last = signal.bits
        if last >= width:
            return None, Quality.BAD, f"{name} has no {_which(signal.bits)}"
        raw, width = (raw % (1 << width) >> first) % (1 << last - first + 1), last - first + 1
    for one in signal.invalid:
        in_range = int(one) == one and -(1 << width - 1) <= one < 1 << width
        if in_range and int(one) % (1 << width) == raw % (1 << width):
            return None, Quality.BAD, f"invalid value {one}"
    if signal.kind == Kind.BOOL and signal.bits is not None:
        return raw != 0
    if signal.kind == Kind.UINT and (signal.bits is not None or name in UNSIGNED):
        return raw
    if signal.kind == Kind.INT and name != "UInt64":
        return raw
    if signal.kind == Kind.FLOAT and (width < 64 or signal.scale != 1.0 or signal.offset != 0.0):
        return _float(signal, float(raw))
    return unfit


def _float(signal: Signal, raw: float) -> float | State:
    if signal.scale != 1.0 or signal.offset != 0.0:
        raw = raw * signal.scale + signal.offset
    if raw != raw:
        return None, Quality.BAD, "not a number (NaN)"
    return (None, Quality.BAD, "infinite") if raw in (float("inf"), float("-inf")) else raw


def _text(signal: Signal, raw: Any) -> str | State:
    if isinstance(raw, ua.LocalizedText):
        raw = raw.Text
    if isinstance(raw, datetime):
        raw = raw.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
    text = str(raw) if isinstance(raw, uuid.UUID) else raw or ""
    data = text.encode(errors="surrogateescape")
    if len(data) > signal.length:
        return None, Quality.BAD, f"a text of {len(data)} bytes where length allows {signal.length}"
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None, Quality.BAD, "not UTF-8 text"
