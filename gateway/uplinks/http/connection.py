"""One HTTP/1.1 connection, kept alive: h11 reads and writes the messages, this file owns the socket and the bounds."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import h11

from protocols.dial import DIAL_S, connect_failed, dial

MAX_HEAD = 16_384
"""Bytes of an answer's status line and header fields."""
MAX_BODY = 65_536
"""Bytes of an answer's body that are read; a longer one costs the connection."""
ENDED = "the connection ended before the answer"


class Broken(Exception):
    """The connection ended before the answer, or what came is no HTTP."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said."""

    status: int
    headers: Mapping[str, str]
    """By name in lower case; of several of one name the last."""
    body: bytes
    """Its beginning."""


class Connection(asyncio.Protocol):
    """Made by `open`. One request at a time; `is_usable` tells whether there may be another."""

    def __init__(self) -> None:
        self._parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        self._transport: asyncio.Transport | None = None
        self._changed = asyncio.Event()
        self._ended: Exception | None = None
        self._is_waiting = False
        self._is_over = False
        self.is_usable = True

    @classmethod
    async def open(cls, host: str, port: int, context: ssl.SSLContext | None) -> Connection:
        """Connect, with TLS where there is a context. Raises ConnectFailed."""
        sock = await dial(host, port, None)
        name = None if context is None else host
        try:
            async with asyncio.timeout(DIAL_S):
                loop = asyncio.get_running_loop()
                _, connection = await loop.create_connection(cls, sock=sock, ssl=context, server_hostname=name)
        except OSError as error:
            raise connect_failed(f"{host}:{port}", host, error) from error
        return connection

    async def post(self, target: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
        """Send a request and wait for its answer. Raises Broken; a deadline is the caller's."""
        self._is_waiting, is_whole = True, False
        try:
            self._send(h11.Request(method="POST", target=target, headers=headers))
            self._send(h11.Data(data=body))
            self._send(h11.EndOfMessage())
            answer = await self._answer()
            is_whole = self._parser.our_state is self._parser.their_state is h11.DONE
            return answer
        except h11.RemoteProtocolError as error:
            raise Broken(ENDED if self._is_over else f"what came is no HTTP answer: {error}") from None
        finally:
            self._is_waiting = False
            if is_whole and self._parser.trailing_data == (b"", False):  # else it answers what nobody asked
                self._parser.start_next_cycle()
            else:
                self.close()

    def close(self) -> None:
        """Give the socket back; idempotent. Messages say where they end, so there is nothing to wait for."""
        self.is_usable = False
        if self._transport is not None:
            self._transport.abort()

    async def _answer(self) -> Answer:
        status, headers, body = 0, {}, b""
        while True:
            event = self._parser.next_event()
            if event is h11.NEED_DATA:
                await self._more()
            elif isinstance(event, h11.Response):
                status = event.status_code
                headers = {name.decode(): value.decode("latin-1") for name, value in event.headers}
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > MAX_BODY:
                    return Answer(status, headers, body[:MAX_BODY])
            elif isinstance(event, h11.EndOfMessage):
                return Answer(status, headers, body)
            elif isinstance(event, h11.ConnectionClosed):
                raise Broken(ENDED)

    async def _more(self) -> None:
        """Wait for more of the answer. Raises Broken."""
        if self._ended is not None:
            raise Broken(_words(self._ended)) from self._ended
        self._changed.clear()
        await self._changed.wait()

    def _send(self, event: h11.Event) -> None:
        data = self._parser.send(event)
        if data and self._transport is not None:
            # not drained: a server that refuses early must be heard before it has taken everything
            self._transport.write(data)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio's: the socket is ours."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """asyncio's: something came; unasked it is a farewell."""
        if not self._is_waiting:
            self.close()
            return
        self._parser.receive_data(data)
        self._changed.set()

    def eof_received(self) -> bool:
        """asyncio's: the server says no more."""
        self.is_usable, self._is_over = False, True
        if self._is_waiting:
            self._parser.receive_data(b"")
            self._changed.set()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio's: the socket is gone."""
        self.is_usable = False
        self._ended = exc or ConnectionResetError("the connection is gone")
        self._changed.set()


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"the server ended TLS: {(error.reason or str(error)).replace('_', ' ').lower()}"
    return ENDED
