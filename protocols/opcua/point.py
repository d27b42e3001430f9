"""How one signal's value is taken out of what a node holds: element, member, type, scale; exactly, or not at all."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from asyncua import ua

from ext.table import Kind, SignalTable
from ext.unfit import beyond, is_array, is_no_array, mismatch, no_bits
from protocols.model import Learned
from protocols.numeric import raw_float, raw_whole
from protocols.opcua.address import is_element, ranges
from protocols.opcua.config import OpcuaSignal
from protocols.opcua.facts import printable
from protocols.types import EXACT_TO, HIGHEST, LOWEST, WIDTH, WireType

WIRE: dict[int, WireType] = {
    1: "bool", 2: "int8", 3: "uint8", 4: "int16", 5: "uint16", 6: "int32", 7: "uint32", 8: "int64", 9: "uint64",
    10: "float32", 11: "float64", 19: "uint32",
}  # fmt: skip
"""Built-in types (OPC 10000-6, 5.1.2) by the names that a configuration uses; all others are texts."""
NATIVE_TEXTS = {12, 13, 14, 16, 21}
"""String, DateTime, Guid, XmlElement, LocalizedText: texts that need no object on the way."""
_NUMBERS = (bool, int, float)


class Unfit(Exception):
    """A signal cannot be had from its node; the text says why."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a node, or a member of it, holds."""

    built_in: int
    is_array: bool
    texts: Mapping[int, str] = field(default_factory=dict)
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """One signal's way from a node's value into the table."""

    signal: int
    settings: OpcuaSignal
    learned: Learned
    kind: Kind
    invalid: tuple[int | float, ...]
    built_in: int
    """Of the element or member that is taken."""
    by_caller: bool
    """Whether the value has to be a Python object on its way."""

    @property
    def element(self) -> int | None:
        """The one element of a one-dimensional array that is taken without looking at the others."""
        index = self.settings.index
        return None if index is None or self.by_caller else ranges(index)[0][0]

    def define(self, table: SignalTable) -> None:
        """Give the signal its kind."""
        length = self.settings.length if self.kind == Kind.TEXT else 0
        table.define(self.signal, self.kind, length=length, encoding="utf-8")

    def put(self, table: SignalTable, held: Any, built_in: int, time_ms: int | None, uncertain: str | None) -> None:
        """Set the signal from what a node holds, with structures as dicts; bad where it does not fit."""
        try:
            value = self._taken(held, built_in)
        except Unfit as why:
            table.fail(self.signal, printable(str(why)))
            return
        table.put(self.signal, value, time_ms, uncertain=uncertain, whole=True)

    def _taken(self, value: Any, built_in: int) -> bool | int | float | str:
        if self.settings.index is not None:
            value = _part(value, self.settings.index, built_in)
        for step in self.settings.steps:
            value = _step(value, step)
        if isinstance(value, list):
            if self.learned.type != "string" or not self.by_caller:
                raise Unfit(is_array(built_in))
            return text_of(value)
        return self._fitted(value, self.built_in if self.settings.steps else built_in)

    def _fitted(self, value: Any, built_in: int) -> bool | int | float | str:
        """A value as the signal's kind holds it, by the same rules as `ext.opcua`."""
        if self.kind == Kind.TEXT:
            if built_in in WIRE:
                raise Unfit(mismatch(built_in, self.kind))
            return text_of(value)
        value = getattr(value, "value", value) if built_in == 19 or not isinstance(value, _NUMBERS) else value
        wire = WIRE.get(built_in)
        if wire is None or not isinstance(value, _NUMBERS):
            raise Unfit(mismatch(min(built_in, 21), self.kind))
        if wire == "bool" or self.kind == Kind.BOOL:
            if wire != "bool" or self.kind != Kind.BOOL:
                raise Unfit(mismatch(built_in, self.kind))
            return bool(value)
        if self.settings.bits is not None:
            first, last = self.settings.bits
            if wire not in WIDTH or last >= WIDTH[wire]:
                raise Unfit(no_bits(built_in, first, last))
            value = int(value) >> first & ((1 << last - first + 1) - 1)
        if value in self.invalid:
            raise Unfit(f"invalid value {value}")
        if self.kind == Kind.FLOAT:
            if wire in ("int64", "uint64") and not self.settings.is_scaled:
                raise Unfit(mismatch(built_in, self.kind))
            return value * self.settings.scale + self.settings.offset if self.settings.is_scaled else float(value)
        fits = wire in WIDTH and (self.settings.bits is not None or self._is_within(wire))
        if not fits:
            raise Unfit(mismatch(built_in, self.kind))
        return int(value)

    def _is_within(self, wire: str) -> bool:
        if self.kind == Kind.UINT:
            return wire[0] == "u"
        return wire[0] != "u" or WIDTH[wire] < 64


def make_point(number: int, settings: OpcuaSignal, shape: Shape) -> Point:
    """How a signal is taken from what its node holds. Raises Unfit where the configuration and the node disagree."""
    several = shape.is_array and (settings.index is None or bool(settings.steps) or not is_element(settings.index))
    if settings.index is not None and not settings.steps and not is_element(settings.index):
        several = True
    wire: WireType = "string" if several else WIRE.get(shape.built_in, "string")
    if settings.type is not None and settings.type != wire:
        what = "several values, as a text (string)" if several else f"{wire} ({ua.VariantType(shape.built_in).name})"
        raise Unfit(f"type: {settings.type} is configured, but the server has {what}; correct it or leave it out")
    if wire == "string" and settings.is_scaled:
        raise Unfit("a scale or an offset is configured, but the server has a text")
    if settings.bits is not None and wire not in WIDTH:
        raise Unfit(f"bits are configured, but the server has {wire}, which is no whole number")
    if settings.bits is not None and settings.bits[1] >= WIDTH[wire]:
        raise Unfit(f"bit {settings.bits[1]} is configured, but the server has {wire}")
    one_element = settings.index is None or (is_element(settings.index) and "," not in settings.index)
    native = shape.built_in in WIRE or shape.built_in in NATIVE_TEXTS
    by_caller = several or bool(settings.steps) or not one_element or not native
    learned = Learned(wire, dict(shape.texts.items()), settings.unit or shape.unit)
    return Point(number, settings, learned, _kind(wire, settings), _invalid(settings, wire), shape.built_in, by_caller)


def _kind(wire: WireType, settings: OpcuaSignal) -> Kind:
    if wire == "bool":
        return Kind.BOOL
    if wire == "string":
        return Kind.TEXT
    if settings.bits is not None:
        return Kind.UINT
    if settings.is_scaled or wire in EXACT_TO:
        return Kind.FLOAT
    return Kind.UINT if wire[0] == "u" else Kind.INT


def _invalid(settings: OpcuaSignal, wire: WireType) -> tuple[int | float, ...]:
    """The raw values that mean bad, as numbers of the type that the server has."""
    if not settings.invalid:
        return ()
    if wire in ("bool", "string"):
        raise Unfit(f"invalid values are configured, but the server has a {wire}")
    try:
        if settings.bits is not None:
            highest = 2 ** (settings.bits[1] - settings.bits[0] + 1) - 1
            return tuple(raw_whole(value, "these bits", 0, highest) for value in settings.invalid)
        if wire in EXACT_TO:
            return tuple(raw_float(value, wire) for value in settings.invalid)
        return tuple(raw_whole(value, wire, LOWEST[wire], HIGHEST[wire]) for value in settings.invalid)
    except ValueError as error:
        raise Unfit(f"invalid: {error}") from None


def _part(value: Any, index: str, built_in: int) -> Any:
    """Element or range of an array, dimension by dimension."""
    for depth, (first, last) in enumerate(ranges(index)):
        value = _slice(value, depth, first, last, built_in)
    return value


def _slice(value: Any, depth: int, first: int, last: int, built_in: int) -> Any:
    if not isinstance(value, list):
        raise Unfit(is_no_array(min(built_in, 21), first))
    if depth:
        return (
            [_slice(one, depth - 1, first, last, built_in) for one in value]
            if _is_nested(value)
            else (_slice(value, 0, first, last, built_in))
        )
    if last >= len(value):
        raise Unfit(beyond(last, len(value)))
    return value[first] if first == last else value[first : last + 1]


def _is_nested(value: list[Any]) -> bool:
    return bool(value) and isinstance(value[0], list) and isinstance(value[0], list)


def _step(value: Any, step: str | int) -> Any:
    """One step into a structure."""
    if isinstance(step, int):
        if not isinstance(value, list):
            raise Unfit(f"no element {step}: no array")
        if step >= len(value):
            raise Unfit(beyond(step, len(value)))
        return value[step]
    if value is None:
        raise Unfit("no value")
    if isinstance(value, dict):
        if step not in value:
            raise Unfit(f"no member {step} now; there are {', '.join(value) or 'none'}")
        found = value[step]
    elif is_dataclass(value) and step in {one.name for one in fields(value)}:
        found = getattr(value, step)
    else:
        raise Unfit(f"no member {step}")
    if found is None:
        raise Unfit(f"the optional member {step} is not set")
    return found


def text_of(value: Any) -> str:
    """A value as a text: times and identifiers as their standards write them, several values as JSON."""
    plain = _plain(value)
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False, separators=(",", ":"))


def _plain(value: Any) -> Any:
    """Plain values that JSON has."""
    if value is None:
        return ""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (bool, int, str)):
        return int(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(value, datetime):
        moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (UUID,)):
        return str(value)
    if isinstance(value, ua.LocalizedText):
        return value.Text or ""
    if isinstance(value, ua.QualifiedName):
        return f"{value.NamespaceIndex}:{value.Name}" if value.NamespaceIndex else f"{value.Name or ''}"
    if isinstance(value, (ua.NodeId, ua.ExpandedNodeId)):
        return value.to_string()
    if isinstance(value, ua.StatusCode):
        return value.value
    if isinstance(value, ua.Variant):
        return _plain(value.Value)
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items() if one is not None}
    if is_dataclass(value):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    return str(value)
