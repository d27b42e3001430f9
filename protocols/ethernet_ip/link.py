"""One session with a controller: its connection, and requests one after another, each with its own answer or none.

pycomm3's socket blocks, and each of its reads costs 40 µs of processor time a tag; here a scan's requests are made
once, and sent and decoded where bytes arrive, with one wake-up a scan. A connection bears one request at a time
(class 3: the next may only follow the answer), so packets go one after another.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Protocol, cast

from ext.table import DecodeError
from protocols.dial import connect_failed, dial
from protocols.driver import LinkStats, NotConnected
from protocols.ethernet_ip import frames
from protocols.ethernet_ip.allowed import check
from protocols.ethernet_ip.connection import (
    FORWARD_OPEN,
    KEEP_ALIVE_S,
    LARGE_FORWARD_OPEN,
    SMALLEST,
    Connection,
    unconnected_room,
    unconnected_send,
)
from protocols.ethernet_ip.frames import Framed, Garbled
from protocols.ethernet_ip.plan import LARGE, SEQUENCE_COUNT, SMALL
from protocols.ethernet_ip.reply import Reply
from protocols.ethernet_ip.route import Hop
from protocols.ethernet_ip.status import CONNECTION_FAILURE, SUCCESS, TOO_LARGE

CLOSED_REMEDY = "see the controller's limit of connections, and the network"
GARBLED_REMEDY = "check what lies between: a proxy, a gateway module, or another device with this address"


class Exchange(Protocol):
    """A request and what becomes of its answer."""

    framed: Framed

    def receive(self, frame: bytes, start: int, size: int) -> Framed | None:
        """Take the message router reply; what to send next for the same matter, if anything. DecodeError: no reply."""


class EipLink(asyncio.Protocol):
    """One socket, used once. After a timeout or an answer that cannot be one it is closed, and nothing more is read."""

    def __init__(self, hops: Sequence[Hop], timeout_s: float, stats: LinkStats) -> None:
        self._hops = hops
        self._timeout_s = timeout_s
        self._stats = stats
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._lost: NotConnected | None = None
        self._partial = b""
        self._session = 0
        self._connection: Connection | None = None
        self._ids = (0, 0)
        """Of the connection: that of replies, and that of requests."""
        self._count = 0
        self._queue: deque[Exchange] = deque()
        self._waiting: Exchange | _Registration | None = None
        self._is_connected = False
        """Whether what is waited for came over the connection."""
        self._done: asyncio.Future[None] | None = None
        self._resting: asyncio.Future[None] | None = None
        self._give_up_at = 0.0
        self._sent_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.size = unconnected_room(hops) + SEQUENCE_COUNT
        """Bytes of a message, the sequence count among them."""

    @property
    def keep_alive_at(self) -> float:
        """When something has to be sent lest the controller give the connection up, by the loop's clock."""
        return self._sent_at + KEEP_ALIVE_S

    def check(self) -> None:
        """Raises NotConnected where the link has ended, also while nothing was asked."""
        if self._lost is not None:
            raise self._lost

    async def rest(self, seconds: float) -> None:
        """Until they are over, or the link has ended."""
        self._resting = self._loop.create_future()
        timer = self._loop.call_later(seconds, self._wake)
        try:
            await self._resting
        finally:
            timer.cancel()
            self._resting = None

    def _wake(self) -> None:
        if self._resting is not None and not self._resting.done():
            self._resting.set_result(None)

    async def open(self, host: str, port: int) -> None:
        """Connect and open a session. Raises ConnectFailed, or NotConnected where it is not answered as one."""
        plain = await dial(host, port, None)
        try:
            plain.setblocking(False)
            await self._loop.create_connection(lambda: self, sock=plain)
        except OSError as error:
            raise connect_failed(f"{host}:{port}", host, error) from error
        finally:
            if self._transport is None:
                plain.close()
        registration = _Registration()
        await self._run(registration)
        self._session = registration.session

    async def open_connection(self) -> str | None:
        """Open the largest connection that the controller gives; without one, messages go unconnected: why it is."""
        why = None
        for large, size in ((True, LARGE), (False, SMALL)):
            reply = await self._open(size, large=large)
            told = reply.extended[1] if len(reply.extended) > 1 else 0
            refused_size = reply.status == CONNECTION_FAILURE and reply.extended[:1] and reply.extended[0] in TOO_LARGE
            if refused_size and SMALLEST <= told < size and (large or told < SMALL):
                reply = await self._open(told, large=large)
            if reply.status == SUCCESS:
                return None
            why = reply.why
        return why

    async def _open(self, size: int, *, large: bool) -> Reply:
        asked = Connection.asked(self._hops, size)
        framed = frames.unconnected(self._session, asked.open_request(large=large))
        call = _Call(framed, LARGE_FORWARD_OPEN if large else FORWARD_OPEN)
        await self.ask([call])
        reply = call.answered
        if reply.status == SUCCESS:
            number = asked.opened(reply.data)
            if number is None:
                raise self._garbled("Forward Open was answered with the ids of another connection")
            self._connection, self._ids, self.size = asked, (asked.to_us, number), size
        return reply

    def framed(self, message: bytes) -> Framed:
        """A message as it is sent: the one way out. Raises PermissionError for what does not only read."""
        check(message)
        if self._connection is None:
            return frames.unconnected(self._session, unconnected_send(message, self._hops))
        return frames.connected(self._session, self._ids[1], message)

    async def call(self, message: bytes) -> Reply:
        """The answer to one message. Raises NotConnected."""
        call = _Call(self.framed(message), message[0])
        await self.ask([call])
        return call.answered

    async def ask(self, exchanges: Sequence[Exchange]) -> None:
        """Make exchanges in order, each after the answer to the one before. Raises NotConnected."""
        if exchanges:
            self._queue.extend(exchanges)
            await self._run(self._queue.popleft())

    async def _run(self, first: Exchange | _Registration) -> None:
        if self._transport is None or self._lost is not None:
            raise self._lost or NotConnected("not connected", CLOSED_REMEDY)
        self._done = self._loop.create_future()
        self._send(first, first.framed)
        try:
            await self._done
        finally:
            if self._waiting is not None:
                self._lose(NotConnected("a request was given up", CLOSED_REMEDY))
            self._done = None
            self._queue.clear()

    def _send(self, exchange: Exchange | _Registration, framed: Framed | bytes) -> None:
        assert self._transport is not None
        self._count += 1
        self._waiting = exchange
        self._stats.requests += 1
        self._sent_at = self._loop.time()
        self._give_up_at = self._sent_at + self._timeout_s
        if self._timer is None:
            self._timer = self._loop.call_at(self._give_up_at, self._check_time)
        if isinstance(framed, Framed):
            self._is_connected = framed.connected
            framed = framed.numbered(self._count)
        self._transport.write(framed)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are none of asyncio's classes

    def connection_lost(self, error: Exception | None) -> None:
        """Called by asyncio."""
        why = "the connection was closed by the other side" if error is None else f"the connection broke: {error}"
        self._lose(NotConnected(why, CLOSED_REMEDY))

    def data_received(self, data: bytes) -> None:
        """Called by asyncio: take every frame that is whole."""
        if self._partial:
            data, self._partial = self._partial + data, b""
        at = 0
        while len(data) - at >= frames.HEADER.size and self._lost is None:
            end = at + frames.HEADER.size + int.from_bytes(data[at + 2 : at + 4], "little")
            if len(data) < end:
                break
            frame, at = data[at:end], end
            try:
                self._take(frame)
            except Garbled as error:
                self._garbled(str(error))
            except DecodeError as error:
                self._garbled(f"a reply cannot be what was asked for: {error} at byte {error.offset}")
        self._partial = data[at:]

    def _take(self, frame: bytes) -> None:
        if frame[0] == frames.NOP and frame[1] == 0:
            return
        self._stats.bytes_read += len(frame)
        exchange = self._waiting
        if exchange is None:
            raise Garbled("a frame came that nobody asked for")
        if isinstance(exchange, _Registration):
            exchange.session = frames.session_of(frame)
            further = None
        elif self._is_connected:
            size = frames.connected_size(frame, self._session, self._ids, self._count)
            further = exchange.receive(frame, frames.CONNECTED_AT, size)
        else:
            size = frames.unconnected_size(frame, self._session, self._count)
            further = exchange.receive(frame, frames.UNCONNECTED_AT, size)
        if further is not None:
            self._send(exchange, further)
        elif self._queue:
            following = self._queue.popleft()
            self._send(following, following.framed)
        else:
            self._waiting = None
            if self._done is not None and not self._done.done():
                self._done.set_result(None)

    def _check_time(self) -> None:
        self._timer = None
        if self._waiting is None or self._lost is not None:
            return
        if self._loop.time() < self._give_up_at:
            self._timer = self._loop.call_at(self._give_up_at, self._check_time)
            return
        self._stats.timeouts += 1
        why = f"no answer within {self._timeout_s:g} s"
        self._lose(NotConnected(why, "check the network, and the load of the controller's communication module"))

    def _garbled(self, why: str) -> NotConnected:
        self._stats.request_errors += 1
        self._stats.garbled += 1
        error = NotConnected(why, GARBLED_REMEDY)
        self._lose(error)
        return error

    def _lose(self, error: NotConnected) -> None:
        """The end of this link: what waits ends with the error, and what may still come is never read."""
        self._waiting = None
        if self._lost is None:
            self._lost = error
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.abort()
        if self._done is not None and not self._done.done():
            self._done.set_exception(error)
        self._wake()

    async def close(self) -> None:
        """Close connection, session and socket; whether that is heard is not waited for."""
        transport, self._transport = self._transport, None
        if self._timer is not None:
            self._timer.cancel()
        if transport is None or self._lost is not None:
            return
        self._lost = NotConnected("the link is closed")
        if self._waiting is not None:
            transport.abort()
            return
        if self._connection is not None:
            framed = frames.unconnected(self._session, self._connection.close_request())
            transport.write(framed.numbered(self._count + 1))
        if self._session:
            transport.write(frames.unregister_session(self._session))
        transport.close()


class _Registration:
    """The opening of a session."""

    framed = frames.register_session()

    def __init__(self) -> None:
        self.session = 0


class _Call:
    """One request whose answer somebody waits for."""

    def __init__(self, framed: Framed, service: int) -> None:
        self.framed = framed
        self._service = service
        self._reply: Reply | None = None

    @property
    def answered(self) -> Reply:
        """The answer, once it is there."""
        assert self._reply is not None
        return self._reply

    def receive(self, frame: bytes, start: int, size: int) -> None:
        """See `Exchange`."""
        self._reply = Reply.parse(frame[start : start + size], self._service)
