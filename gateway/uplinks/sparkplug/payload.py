"""The one place that knows the payload's protobuf classes: metrics to bytes, and commands back.

The classes are those that Eclipse Tahu's sparkplug_b.proto compiles to, from the package sparkplug-b-packets, of which
nothing else is used. Clauses are those of Sparkplug 3.0.0 (Eclipse).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from google.protobuf.message import DecodeError
from sparkplub_b_packets.core import sparkplug_b_pb2

from protocols.model import Value

_Payload: Any = sparkplug_b_pb2.Payload
MOST_COMMANDS = 100
"""Metrics of one NCMD that are looked at: a host asks for one thing."""
_64_BITS = (1 << 64) - 1


class DataType(IntEnum):
    """Of a metric or a property; of whole numbers the widest are used (6.4.16)."""

    INT32 = 3
    INT64 = 4
    UINT64 = 8
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12

    def takes(self, value: Value) -> bool:
        """Whether a value can be one of this type; null always can."""
        if value is None:
            return True
        if self in (DataType.BOOLEAN, DataType.STRING):
            return isinstance(value, bool if self is DataType.BOOLEAN else str)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        if self is DataType.DOUBLE:
            return True
        low, high = (0, 1 << 64) if self is DataType.UINT64 else (-(1 << 63), 1 << 63)
        return isinstance(value, int) and low <= value < high


class Quality(IntEnum):
    """The property `Quality` (6.4.9)."""

    BAD = 0
    GOOD = 192
    STALE = 500


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of one message."""

    datatype: DataType
    value: Value
    at: int | None
    """UTC milliseconds; None only in a death."""
    name: str | None = None
    """In births, and of what has no alias."""
    alias: int | None = None
    is_historical: bool = False
    quality: Quality | None = None
    unit: str | None = None


def payload(metrics: Iterable[Metric], *, timestamp: int | None, seq: int | None) -> bytes:
    """One message; `timestamp` in UTC milliseconds."""
    message = _Payload()
    if timestamp is not None:
        message.timestamp = timestamp
    if seq is not None:
        message.seq = seq
    for metric in metrics:
        _fill(message.metrics.add(), metric)
    packed: bytes = message.SerializeToString()
    return packed


def _fill(target: Any, metric: Metric) -> None:
    if metric.name is not None:
        target.name = metric.name
        target.datatype = metric.datatype
    if metric.alias is not None:
        target.alias = metric.alias
    if metric.at is not None:
        target.timestamp = metric.at
    if metric.is_historical:
        target.is_historical = True
    if metric.value is None:
        target.is_null = True
    else:
        _set(target, metric.datatype, metric.value)
    if metric.quality is not None:
        _property(target.properties, "Quality", DataType.INT32, int(metric.quality))
    if metric.unit is not None:
        _property(target.properties, "engUnit", DataType.STRING, metric.unit)


def _property(properties: Any, key: str, datatype: DataType, value: Value) -> None:
    properties.keys.append(key)
    target = properties.values.add()
    target.type = datatype
    _set(target, datatype, value)


def _set(target: Any, datatype: DataType, value: Value) -> None:
    if datatype is DataType.STRING:
        target.string_value = str(value).encode("utf-8", "replace").decode()  # half a character has no UTF-8
    elif datatype is DataType.BOOLEAN:
        target.boolean_value = value
    elif datatype is DataType.DOUBLE:
        target.double_value = value
    elif datatype is DataType.INT32:
        target.int_value = value
    else:
        target.long_value = int(value or 0) & _64_BITS  # two's complement (6.4.16)


@dataclass(frozen=True, slots=True)
class Command:
    """A metric that somebody wants to write."""

    name: str
    """Or its alias in words."""
    is_true: bool


def commands(body: bytes) -> list[Command] | None:
    """What an NCMD asks for; None where it is no Sparkplug payload."""
    message = _Payload()
    try:
        message.ParseFromString(body)
    except DecodeError:
        return None
    return [Command(_name(one), one.boolean_value) for one in message.metrics[:MOST_COMMANDS]]


def _name(metric: Any) -> str:
    if not metric.HasField("name"):
        return f"alias {metric.alias}"
    name: str | bytes = metric.name  # bytes where they are no UTF-8
    return name if isinstance(name, str) else name.decode("utf-8", "replace")
