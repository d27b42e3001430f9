"""What nats-py reads and writes: a socket that is connected already, and nothing in plain text where TLS is asked for.

nats-py's own transport looks names up in an executor, whose threads hold the exit of the process; leaves it to the
server whether there is TLS; and on closing waits for a peer that may be gone.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import ParseResult

from nats.aio.transport import Transport

LONGEST = 1_048_576
"""Bytes of a line or a message of the server's: INFO names every server of a cluster."""


class NoTls(ConnectionError):
    """The server has no TLS, which the configuration asks for."""


class UnwantedTls(ConnectionError):
    """The server wants TLS, for which the configuration has no settings."""


class SocketTransport(Transport):
    """One connection over `sock`, which it owns from here on."""

    def __init__(self, sock: socket.socket, *, is_secure: bool) -> None:
        self.on_lost: Callable[[str], None] = lambda _why: None
        """Called with why as soon as the connection is known to be gone."""
        self._socket = sock
        self._is_secure = is_secure
        self._is_encrypted = False
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        """nats-py's: begin."""
        self._reader, self._writer = await asyncio.open_connection(sock=self._socket, limit=LONGEST)

    async def connect_tls(
        self, uri: str | ParseResult, ssl_context: ssl.SSLContext, buffer_size: int, connect_timeout: int
    ) -> None:
        """nats-py's: the handshake, verified by `ssl_context` for the host `uri`."""
        if not self._is_secure:
            raise UnwantedTls
        _, writer = self._streams()
        async with asyncio.timeout(connect_timeout):
            await writer.start_tls(ssl_context, server_hostname=uri if isinstance(uri, str) else uri.hostname)
        self._is_encrypted = True

    def write(self, payload: bytes) -> None:
        """nats-py's. Raises NoTls in place of sending secrets and events for everybody to read."""
        self.writelines([payload])

    def writelines(self, payload: list[bytes]) -> None:
        """nats-py's: the same of several pieces."""
        if self._is_secure and not self._is_encrypted:
            raise NoTls
        _, writer = self._streams()
        writer.writelines(payload)

    async def read(self, buffer_size: int) -> bytes:
        """nats-py's: some bytes; none at the end."""
        reader, _ = self._streams()
        try:
            data = await reader.read(buffer_size)
        except OSError as error:
            self.on_lost(_words(error))
            raise
        if not data:
            self.on_lost("the server closed the connection")
        return data

    async def readline(self) -> bytes:
        """nats-py's: a line, while connecting."""
        return await self._streams()[0].readline()

    async def drain(self) -> None:
        """nats-py's. A connection that is gone is noted, and not raised: nats-py's tasks would end without a word."""
        _, writer = self._streams()
        try:
            await writer.drain()
        except OSError as error:
            self.on_lost(_words(error))

    async def wait_closed(self) -> None:
        """nats-py's: `close` leaves nothing to wait for."""

    def close(self) -> None:
        """Give the socket back at once: what was not acknowledged comes again anyway. Idempotent."""
        if self._writer is not None:
            self._writer.transport.abort()
        else:
            self._socket.close()

    def at_eof(self) -> bool:
        """nats-py's: whether the server says no more."""
        return self._reader is None or self._reader.at_eof()

    def __bool__(self) -> bool:
        """nats-py's: whether there is a transport already."""
        return True

    def _streams(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._reader is None or self._writer is None:
            raise ConnectionError("not connected")
        return self._reader, self._writer


def _words(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        reason: Any = error.reason
        return f"the server ended TLS: {(reason or str(error)).replace('_', ' ').lower()}"
    return "the connection broke"
