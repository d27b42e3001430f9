"""Where `ext.opcua` plugs into asyncua, and the only place that knows asyncua's inside for speed.

Used of asyncua 2.1: a connection's `_send_request`, which returns the future of a response's body (`session.py` builds
on it too); for reads, whose requests are encoded once, what `_send_request` itself does around
`_connection.message_to_binary` with `_callbackmap`; and of a body, its bytes. `tests/protocols/opcua/test_fastpath.py`
fails when a new asyncua changes any of it; at run time `usable` looks whether all is there, and without it everything
is asked and decoded by asyncua.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator, Sequence
from typing import Any

from asyncua import ua
from asyncua.client.ua_client import UASocketProtocol
from asyncua.common.connection import SecureConnection
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import struct_to_binary, to_binary, variant_from_binary

from ext.table import DecodeError, SignalTable
from protocols.opcua.config import OpcuaDevice
from protocols.opcua.point import Point
from protocols.opcua.session import decoded, garbled, look_at, status_name
from protocols.opcua.transport import GARBLED
from protocols.opcua.values import EVENTS, STATUS_CHANGE, PlainValues, Points, Publication, now_ms

_KINDS = {STATUS_CHANGE: ua.StatusChangeNotification, EVENTS: ua.EventNotificationList}
_PLACES = {
    UASocketProtocol._setup_request_header: ["self", "hdr", "timeout"],
    UASocketProtocol.revolve_security_token: ["self"],
    UASocketProtocol._call_callback: ["self", "request_id", "body"],
    SecureConnection.message_to_binary: ["self", "message", "message_type", "request_id"],
}


def usable() -> bool:
    """Whether asyncua is as the fast path knows it, and the extension is there."""
    try:
        import ext.opcua  # noqa: F401
    except ImportError:
        return False
    return all(list(inspect.signature(place).parameters) == names for place, names in _PLACES.items())


class PreparedRead:
    """A ReadRequest that is encoded once and sent often."""

    def __init__(self, request: Any) -> None:
        self._type = to_binary(ua.NodeId, request.TypeId)
        self._parameters = struct_to_binary(request.Parameters)

    def post(self, protocol: Any, timeout_s: float) -> asyncio.Future[Any]:
        """Send it; the future of the response's body."""
        header = ua.RequestHeader()
        protocol._setup_request_header(header, timeout_s)
        request_id = protocol._request_id + 1
        protocol.revolve_security_token()
        message = protocol._connection.message_to_binary(
            self._type + struct_to_binary(header) + self._parameters, request_id=request_id
        )
        protocol._request_id = request_id
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        future.add_done_callback(look_at)
        protocol._callbackmap[request_id] = future
        protocol.transport.write(message)
        return future


class NativeValues:
    """Decoding by `ext.opcua`: bytes into the table; what it leaves over goes through asyncua."""

    def __init__(self, device: OpcuaDevice, table: SignalTable, points: Points) -> None:
        from ext.opcua import ValuePlan

        self._points = points
        self._plain = PlainValues(device, points)
        self._plan = ValuePlan(table, status_name, timestamps=device.timestamps, max_skew_ms=device.max_skew)

    @property
    def skewed(self) -> int:
        """Times so far that were too far from ours to be used."""
        return self._plan.skewed + self._plain.skewed

    def bind(self, handle: int, point: Point) -> None:
        """Have a handle's values go into a signal."""
        settings = point.settings
        self._plan.bind(
            handle,
            point.signal,
            scale=1.0 if point.by_caller else settings.scale,
            offset=0.0 if point.by_caller else settings.offset,
            element=point.element,
            bits=None if point.by_caller else settings.bits,
            invalid=() if point.by_caller else point.invalid,
            by_caller=point.by_caller,
        )
        self._points.bind(handle, point)

    def read(self, body: Buffer, handles: Any) -> int:
        """Decode a ReadResponse."""
        data = bytes(body)
        try:
            status, left = self._plan.read(data, handles, now_ms())
        except DecodeError as error:
            raise garbled("ReadResponse", error) from error
        self.put(data, left)
        return status

    def publish(self, body: Buffer) -> NativePublication:
        """The response around its values."""
        data = bytes(body)
        try:
            return NativePublication(self, self._plan.publish(data, now_ms()), data)
        except DecodeError as error:
            raise garbled("PublishResponse", error) from error

    def republish(self, message: Any) -> Publication:
        """A message by itself; so rare that asyncua's decoder will do."""
        return self._plain.republish(message)

    def put(self, data: bytes, left: Sequence[Any]) -> None:
        """Values that were left over, by asyncua."""
        for handle, start, end, uncertain, time_ms in left:
            try:
                variant = variant_from_binary(Buffer(data[start:end]))
            except GARBLED as error:
                self._points.fail(f"the value is garbled: {type(error).__name__}", handle)
            else:
                self._points.put(handle, variant, time_ms, uncertain)


class NativePublication:
    """A PublishResponse with its bytes."""

    def __init__(self, values: NativeValues, inner: Any, data: bytes) -> None:
        self._values, self._inner, self._data = values, inner, data
        self.status: int = inner.status
        self.subscription_id: int = inner.subscription_id
        self.sequence_number: int = inner.sequence_number
        self.keep_alive: bool = inner.keep_alive

    @property
    def overflows(self) -> int:
        """Values, of those decoded so far, before which the server's queue dropped some."""
        return int(self._inner.overflows)

    def decode(self) -> bool:
        """Decode up to a second value of a signal of which every change counts."""
        try:
            left = self._inner.decode()
        except DecodeError as error:
            raise garbled("PublishResponse", error) from error
        self._values.put(self._data, left)
        return bool(self._inner.done)

    def others(self) -> Iterator[tuple[int, Any]]:
        """Notifications that are no values."""
        for kind, start, end in self._inner.others:
            if kind in _KINDS:
                yield kind, decoded(_KINDS[kind], Buffer(self._data[start:end]))
