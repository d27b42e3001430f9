"""From responses into a device's table: what both decoders do alike, and the one that works with asyncua alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from asyncua import ua
from asyncua.common.utils import Buffer

from ext.table import SignalTable
from protocols.opcua.config import OpcuaDevice
from protocols.opcua.facts import printable
from protocols.opcua.point import Point, Unfit
from protocols.opcua.session import decoded, fault_of, garbled, status_text
from protocols.opcua.structures import Structures

STATUS_CHANGE, EVENTS = 820, 916
"""Encodings of the notifications that are no data changes (OPC 10000-4, 7.25)."""


class Publication(Protocol):
    """What a PublishResponse says around its values, as `ext.opcua.Publication` describes it."""

    status: int
    subscription_id: int
    sequence_number: int
    keep_alive: bool

    @property
    def overflows(self) -> int:
        """Values, of those decoded so far, before which the server's queue dropped some."""

    def decode(self) -> bool:
        """Take values into the table, up to a signal's second one where both count; whether that was all."""

    def others(self) -> Iterator[tuple[int, Any]]:
        """Notifications that are no values: the type of their encoding, and what they say."""


class Values(Protocol):
    """How one device's values go into its table. A handle stands for a node; its points are the signals of it."""

    @property
    def skewed(self) -> int:
        """Times so far that were too far from ours to be used."""

    def bind(self, handle: int, point: Point) -> None:
        """Have a handle's values go into a signal, whose kind is defined."""

    def read(self, body: Buffer, handles: Any) -> int:
        """Decode a ReadResponse for handles (array "I"); the ServiceResult. Raises ValueError for a garbled one."""

    def publish(self, body: Buffer) -> Publication:
        """A response of which nothing is decoded yet. Raises ValueError for a garbled one."""

    def republish(self, message: Any) -> Publication:
        """A message that was lost on its way and is there after all, as asyncua decodes it."""


OVERFLOW, OVERFLOW_MASK = 0x480, 0xC80
"""Of a StatusCode: its info bits are of a DataValue, and say Overflow (OPC 10000-4, 7.39.1)."""
_NULL_IS_EMPTY = (ua.VariantType.String, ua.VariantType.XmlElement)


def now_ms() -> int:
    """UTC, by the wall clock: what source times are compared with."""
    return time.time_ns() // 1_000_000


class Points:
    """The points of one table by handle, and what is done for a value that is a Python object already."""

    def __init__(self, table: SignalTable, structures: Structures) -> None:
        self.table = table
        self._structures = structures
        self._points: dict[int, list[Point]] = {}

    def bind(self, handle: int, point: Point) -> None:
        """Add a signal to a handle."""
        self._points.setdefault(handle, []).append(point)

    def fail(self, why: str, handle: int) -> None:
        """Make a handle's signals bad."""
        for point in self._points.get(handle, ()):
            self.table.fail(point.signal, why)

    def put(self, handle: int, variant: Any, time_ms: int | None, uncertain: str | None) -> None:
        """Set a handle's signals from an asyncua Variant."""
        try:
            value = self._structures.opened(variant.Value)
        except Unfit as why:
            self.fail(printable(str(why)), handle)
            return
        for point in self._points.get(handle, ()):
            point.put(self.table, value, int(variant.VariantType.value), time_ms, uncertain)


class PlainPublication:
    """A notification message that asyncua has decoded."""

    def __init__(self, put: Callable[[int, Any], None], message: Any) -> None:
        self._put = put
        self.status = self.subscription_id = 0
        self.sequence_number: int = message.SequenceNumber
        self._overflows = 0
        self._notifications = list(message.NotificationData or [])
        self.keep_alive = not self._notifications
        self._items = [
            (item.ClientHandle, item.Value)
            for one in self._notifications
            if isinstance(one, ua.DataChangeNotification)
            for item in one.MonitoredItems or []
        ]
        self._at = 0

    @property
    def overflows(self) -> int:
        """Values, of those decoded so far, before which the server's queue dropped some."""
        return self._overflows

    def decode(self) -> bool:
        """Decode up to a second value of one handle."""
        seen: set[int] = set()
        while self._at < len(self._items):
            handle, value = self._items[self._at]
            if handle in seen:
                return False
            seen.add(handle)
            code = value.StatusCode.value if value.StatusCode is not None else 0
            self._overflows += code & OVERFLOW_MASK == OVERFLOW
            self._put(handle, value)
            self._at += 1
        return True

    def others(self) -> Iterator[tuple[int, Any]]:
        """Notifications that are no values."""
        for one in self._notifications:
            if isinstance(one, ua.StatusChangeNotification):
                yield STATUS_CHANGE, one
            elif isinstance(one, ua.EventNotificationList):
                yield EVENTS, one


class PlainValues:
    """Decoding by asyncua: object by object, in place of `ext.opcua` where that does not fit asyncua."""

    def __init__(self, device: OpcuaDevice, points: Points) -> None:
        self._points = points
        self._timestamps = device.timestamps
        self._max_skew = device.max_skew
        self.skewed = 0
        """Times so far that were too far from ours to be used."""

    def bind(self, handle: int, point: Point) -> None:
        """Have a handle's values go into a signal."""
        self._points.bind(handle, point)

    def read(self, body: Buffer, handles: Sequence[int]) -> int:
        """Decode a ReadResponse."""
        if (fault := fault_of(body)) is not None:
            return fault
        response = decoded(ua.ReadResponse, body)
        status = int(response.ResponseHeader.ServiceResult.value)
        results = response.Results or []
        if status >> 31:
            return status
        if len(results) != len(handles):
            raise garbled("ReadResponse", ValueError(f"{len(results)} values where {len(handles)} were asked for"))
        for handle, value in zip(handles, results, strict=True):
            self._put(handle, value)
        return status

    def publish(self, body: Buffer) -> PlainPublication:
        """A response by asyncua's decoder; a ServiceFault has its status alone."""
        if (fault := fault_of(body)) is not None:
            publication = self.republish(ua.NotificationMessage())
            publication.status = fault
            return publication
        response = decoded(ua.PublishResponse, body)
        result = response.Parameters
        publication = self.republish(result.NotificationMessage)
        publication.status = response.ResponseHeader.ServiceResult.value
        publication.subscription_id = result.SubscriptionId
        return publication

    def republish(self, message: Any) -> PlainPublication:
        """A message by itself."""
        return PlainPublication(self._put, message)

    def _put(self, handle: int, value: Any) -> None:
        code = value.StatusCode.value if value.StatusCode is not None else 0
        variant = value.Value
        if code >> 31:
            self._points.fail(status_text(code), handle)
        elif variant is None or (variant.Value is None and variant.VariantType not in _NULL_IS_EMPTY):
            self._points.fail("no value" if not code >> 30 else status_text(code), handle)
        else:
            uncertain = status_text(code) if code >> 30 == 1 else None
            self._points.put(handle, variant, self._time(value), uncertain)

    def _time(self, value: Any) -> int | None:
        """The value's time by the device's policy, in UTC milliseconds; None beyond `max_skew`."""
        stamp = {"source": value.SourceTimestamp, "server": value.ServerTimestamp}.get(self._timestamps)
        if stamp is None:
            return None
        moment: datetime = stamp.replace(tzinfo=UTC) if stamp.tzinfo is None else stamp
        time_ms = int(moment.timestamp() * 1000)
        if abs(time_ms - now_ms()) <= self._max_skew:
            return time_ms
        self.skewed += 1
        return None
