"""The connection manager: unconnected requests, Forward Open and Close, and connected requests (CIP Volume 1, 3-5)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass
from itertools import count

from protocols.simulated.ethernet_ip.cip import (
    Class,
    Kind,
    Refused,
    Request,
    Segment,
    Service,
    Status,
    refusal,
    reply,
    segments,
)
from protocols.simulated.ethernet_ip.router import Router, leads_to_manager

UNCONNECTED_ROOM = 504
"""Bytes of the largest reply without a connection."""
LARGEST_CONNECTION = 4002
"""Bytes of the largest connection of a ControlLogix: 4,000 and the sequence count."""
DUPLICATE, NO_SUCH_CONNECTION, NO_MORE_CONNECTIONS, INVALID_SIZE, INVALID_LINK = 0x100, 0x107, 0x113, 0x109, 0x312
"""Extended status of 0x01 (CIP Volume 1, 3-5.5)."""
_TRIAD = struct.Struct("<HHI")
_OPEN = struct.Struct("<BBIIHHIB3x")


@dataclass(slots=True)
class Connection:
    """An open class 3 connection."""

    session: int
    triad: tuple[int, int, int]
    """Connection serial number, originator's vendor and serial number."""
    to_originator: int
    """The connection id that replies carry."""
    request_room: int
    reply_room: int
    timeout_s: float
    heard_s: float
    sequence: int | None = None
    reply: bytes = b""


class Manager:
    """Connections by the id that requests carry. `routes` are the paths that lead here, such as `1/0`; so does none."""

    def __init__(self, router: Router, clock_s: Callable[[], float], routes: Collection[str]) -> None:
        self.router = router
        self.connections: dict[int, Connection] = {}
        self.routes = frozenset(routes)
        self.refuses_all = self.refuses_large = False
        self.largest, self.most = LARGEST_CONNECTION, 32
        self._clock_s = clock_s
        self._ids = count(0x10000001, 0x00010001)

    def answer(self, message: bytes, session: int) -> bytes:
        """The reply to a request without a connection."""
        if not leads_to_manager(message):
            return self.router.answer(message, UNCONNECTED_ROOM)
        try:
            request = Request.parse(message)
            match request.service:
                case Service.READ_TAG_FRAGMENTED:
                    self.router.services["unconnected_send"] += 1
                    return self.router.answer(self._unwrapped(request.data), UNCONNECTED_ROOM)
                case Service.FORWARD_OPEN | Service.LARGE_FORWARD_OPEN:
                    self.router.services[Service(request.service).name.lower()] += 1
                    return reply(request.service, self._open(request, session))
                case Service.FORWARD_CLOSE:
                    self.router.services["forward_close"] += 1
                    return reply(request.service, self._close(request))
        except struct.error:
            return refusal(message[0], Refused(Status.NOT_ENOUGH_DATA))
        except Refused as refused:
            return refusal(message[0], refused)
        return self.router.answer(message, UNCONNECTED_ROOM)

    def answer_connected(self, number: int, session: int, data: bytes) -> tuple[int, bytes] | None:
        """The reply's connection id and data, sequence count first.

        None where there is no such connection: it was never opened, timed out, or belongs to another session. A
        request with the sequence count of the last one is that one, repeated: its reply is.
        """
        connection = self.connections.get(number)
        if connection is None or connection.session != session or len(data) < 2:
            return None
        now_s = self._clock_s()
        if now_s - connection.heard_s > connection.timeout_s:
            del self.connections[number]
            return None
        connection.heard_s = now_s
        (sequence,) = struct.unpack_from("<H", data)
        if sequence != connection.sequence:
            message = data[2:]
            if len(data) > connection.request_room:
                answer = refusal(message[0], Refused(Status.TOO_MUCH_DATA))
            else:
                answer = self.router.answer(message, connection.reply_room - 2)
            connection.sequence, connection.reply = sequence, data[:2] + answer
        return connection.to_originator, connection.reply

    def forget(self, session: int | None = None) -> None:
        """Closes all connections, or those of a session, without a word to the client."""
        kept = {} if session is None else {n: c for n, c in self.connections.items() if c.session != session}
        self.connections = kept

    def _unwrapped(self, data: bytes) -> bytes:
        """The message in an Unconnected Send, whose route has to lead here."""
        (length,) = struct.unpack_from("<2xH", data)
        end = 4 + length + length % 2
        if end + 2 > len(data):
            raise Refused(Status.NOT_ENOUGH_DATA)
        self._check_route(segments(data[end + 2 : end + 2 + 2 * data[end]]))
        return data[4 : 4 + length]

    def _open(self, request: Request, session: int) -> bytes:
        is_large = request.service == Service.LARGE_FORWARD_OPEN
        if is_large and self.refuses_large:
            raise Refused(Status.SERVICE_NOT_SUPPORTED)
        _, _, _, to_originator, serial, vendor, originator, multiplier = _OPEN.unpack_from(request.data)
        triad = serial, vendor, originator
        sizes = struct.Struct("<IIIIBB" if is_large else "<IHIHBB")
        rate, to_here, back_rate, from_here, _, words = sizes.unpack_from(request.data, _OPEN.size)
        begin = _OPEN.size + sizes.size
        mask = 0xFFFF if is_large else 0x1FF
        refused = _TRIAD.pack(*triad) + b"\0\0"
        if self.refuses_all or len(self.connections) >= self.most:
            raise Refused(Status.CONNECTION_FAILURE, NO_MORE_CONNECTIONS, data=refused)
        if any(connection.triad == triad for connection in self.connections.values()):
            raise Refused(Status.CONNECTION_FAILURE, DUPLICATE, data=refused)
        if max(to_here & mask, from_here & mask) > self.largest:
            raise Refused(Status.CONNECTION_FAILURE, INVALID_SIZE, self.largest, data=refused)
        path = segments(request.data[begin : begin + 2 * words])
        target = [segment for segment in path if segment.kind in (Kind.CLASS, Kind.INSTANCE)]
        if target != [Segment(Kind.CLASS, Class.MESSAGE_ROUTER), Segment(Kind.INSTANCE, 1)]:
            raise Refused(Status.PATH_DESTINATION_UNKNOWN, 0, data=refused)
        self._check_route(path)
        number = next(self._ids) & 0xFFFF_FFFF
        timeout_s = rate * (4 << multiplier) / 1e6
        self.connections[number] = Connection(
            session, triad, to_originator, to_here & mask, from_here & mask, timeout_s, self._clock_s()
        )
        return struct.pack("<II", number, to_originator) + _TRIAD.pack(*triad) + struct.pack("<IIxx", rate, back_rate)

    def _close(self, request: Request) -> bytes:
        triad = _TRIAD.unpack_from(request.data, 2)
        number = next((n for n, connection in self.connections.items() if connection.triad == triad), None)
        if number is None:
            raise Refused(Status.CONNECTION_FAILURE, NO_SUCH_CONNECTION, data=_TRIAD.pack(*triad) + b"\0\0")
        del self.connections[number]
        return _TRIAD.pack(*triad) + b"\0\0"

    def _check_route(self, path: list[Segment]) -> None:
        route = "/".join(f"{segment.number}/{segment.text}" for segment in path if segment.kind is Kind.PORT)
        if route and route not in self.routes:
            raise Refused(Status.CONNECTION_FAILURE, INVALID_LINK)
