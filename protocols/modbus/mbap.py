"""Modbus over TCP and TLS: frames with transaction ids, several in flight, one wake-up for a whole scan.

pymodbus costs 200 µs of processor time a request, most of it waking up and building objects; here a scan's
requests are written together and their replies are decoded where they arrive, out of the receive buffer.
"""

from __future__ import annotations

import asyncio
import os
import struct
from collections import deque
from collections.abc import Sequence
from typing import cast

from protocols.dial import DIAL_S, connect_failed, dial, tls_context
from protocols.driver import LinkStats, NotConnected
from protocols.modbus.request import Exchange, Outcome
from protocols.settings import TlsConfig
from protocols.worker import in_daemon_thread

HEADER = struct.Struct(">HHHB")
LEAST, MOST = 3, 254
"""Bytes that the length field may count: unit id, function code and data (clause 3.1.3)."""
CLOSED_REMEDY = "see the PLC's connection limit, and the network"
MOST_UNASKED = 1000
"""Replies in a row that settle nothing. A late device has fewer; one that floods would take the time of all others."""
MOST_SILENCES = 2
"""Requests without an answer after which a unit that answered nothing is asked no more this time."""


class MbapLink(asyncio.Protocol):
    """One connection. A reply counts only for the request whose transaction id, unit id and shape it has."""

    def __init__(self, in_flight: int, stats: LinkStats) -> None:
        self._most = in_flight
        self._stats = stats
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._lost = ""
        self._partial = b""
        self._unasked = 0
        """Frames since the last one that was waited for."""
        self._noise = False
        """Whether bytes came that are no frame."""
        self._next_id = int.from_bytes(os.urandom(2), "big")
        self._queue: deque[Exchange] = deque()
        self._waiting: dict[int, tuple[Exchange, float]] = {}
        """Transaction id to request and the time at which it is given up; oldest first."""
        self._done: asyncio.Future[None] | None = None
        self._timeout_s = self._pause_s = self._ready_at = 0.0
        self._in_tls = False
        self._timer: asyncio.TimerHandle | None = None
        self._answered = self._silences = 0

    async def open(self, host: str, port: int, tls: TlsConfig | None, server_name: str | None) -> None:
        """Connect, in TLS where `tls` is given. Raises ConnectFailed, or ConfigError for files that cannot be used."""
        self._in_tls = tls is not None
        plain = await dial(host, port, None)
        try:
            context = None if tls is None else await in_daemon_thread("certificates", lambda: tls_context(tls))
            plain.setblocking(False)
            name = server_name or host if context is not None else None
            shake_s = None if context is None else DIAL_S
            await self._loop.create_connection(
                lambda: self, sock=plain, ssl=context, server_hostname=name, ssl_handshake_timeout=shake_s
            )
        except OSError as error:
            raise connect_failed(f"{host}:{port}", server_name or host, error) from error
        finally:
            if self._transport is None:
                plain.close()

    async def ask(self, requests: Sequence[Exchange], timeout_s: float, pause_s: float) -> None:
        """Send all in order, and return when each has its answer or its `failure`. Raises NotConnected."""
        if self._transport is None or self._lost:
            raise NotConnected(self._lost or "not connected", CLOSED_REMEDY)
        for request in requests:
            request.failure = None
        self._queue.extend(requests)
        self._timeout_s, self._pause_s = timeout_s, pause_s
        self._answered = self._silences = 0
        self._done = self._loop.create_future()
        self._stats.requests += len(requests)
        self._send()
        try:
            await self._done
        finally:
            self._done = None
            self._queue.clear()
            self._waiting.clear()  # a reply that comes later finds nobody waiting
            self._stop_timer()

    async def close(self) -> None:
        """Close the connection; what is under way ends with NotConnected."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are none of asyncio's classes

    def connection_lost(self, error: Exception | None) -> None:
        """Called by asyncio."""
        if self._unasked > MOST_UNASKED:
            self._lost = "it sends one frame after another that nobody asked for"
        elif error is None:
            self._lost = "the connection was closed by the other side"
        else:
            self._lost = f"the connection broke: {error}"
        if self._in_tls and not self._stats.bytes_read:
            self._lost += " before it answered anything: perhaps it wants a certificate (tls.certificate)"
        if self._done is not None and not self._done.done():
            self._done.set_exception(NotConnected(self._lost, CLOSED_REMEDY))

    def data_received(self, data: bytes) -> None:
        """Called by asyncio: settle every request whose reply is whole."""
        if self._partial:
            data, self._partial = self._partial + data, b""
        at, end = 0, len(data)
        while end - at >= HEADER.size:
            transaction, protocol, length, unit_id = HEADER.unpack_from(data, at)
            if protocol != 0 or not LEAST <= length <= MOST:
                at = self._resume(data, at + 1)
                continue
            size = length + 6
            if end - at < size:
                break
            waiting = self._waiting.get(transaction)
            self._unasked += 1
            if waiting is not None and waiting[0].unit_id == unit_id:
                del self._waiting[transaction]
                self._answered += 1
                self._unasked = 0
                self._stats.bytes_read += length
                waiting[0].receive(data, at + HEADER.size, size - HEADER.size)
            at += size
        if self._unasked > MOST_UNASKED and self._transport is not None:
            self._transport.abort()
            return
        self._partial = data[at:]
        self._go_on()

    def _resume(self, data: bytes, at: int) -> int:
        """Bytes that are no frame: go on where one of the replies that are waited for begins, if it does."""
        self._noise = True
        places = [data.find(struct.pack(">HH", transaction, 0), at) for transaction in self._waiting]
        return min((place for place in places if place >= 0), default=len(data))

    def _go_on(self) -> None:
        if self._pause_s:
            self._ready_at = self._loop.time() + self._pause_s
        if self._done is None or self._done.done():
            return
        if not self._queue:
            if not self._waiting:
                self._done.set_result(None)
        elif len(self._waiting) < (1 if self._pause_s else self._most):
            self._send()

    def _send(self) -> None:
        """Fill the window with one write; where the device wants pauses, not before the last one is over."""
        if self._transport is None or self._done is None:
            return
        now = self._loop.time()
        if self._pause_s:
            self._stop_timer()
            if now < self._ready_at:
                self._timer = self._loop.call_at(self._ready_at, self._send)
                return
        frames: list[bytes] = []
        give_up = now + self._timeout_s
        most = 1 if self._pause_s else self._most
        while self._queue and len(self._waiting) < most:
            self._next_id = (self._next_id + 1) & 0xFFFF
            request = self._queue.popleft()
            self._waiting[self._next_id] = (request, give_up)
            frames += (self._next_id.to_bytes(2, "big"), request.tail)
        self._transport.write(b"".join(frames))
        if self._timer is None:
            self._timer = self._loop.call_at(give_up, self._check_time)

    def _check_time(self) -> None:
        """Give up what has waited too long; the oldest comes first."""
        self._timer = None
        now = self._loop.time()
        while self._waiting:
            transaction, (request, give_up) = next(iter(self._waiting.items()))
            if give_up > now:
                self._timer = self._loop.call_at(give_up, self._check_time)
                break
            del self._waiting[transaction]
            self._give_up(request)
        self._go_on()

    def _give_up(self, request: Exchange) -> None:
        if self._partial or self._noise:
            self._partial, self._noise = b"", False
            request.fail(Outcome.GARBLED, "the reply was cut or garbled")
            return
        self._stats.timeouts += 1
        self._silences += 1
        why = f"no answer within {self._timeout_s:g} s"
        request.fail(Outcome.SILENT, why)
        if not self._answered and self._silences >= MOST_SILENCES:
            while self._queue:
                self._queue.popleft().fail(Outcome.SILENT, why)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
