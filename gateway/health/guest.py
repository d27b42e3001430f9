"""uvicorn's server as a guest in a process: signals and the end are the host's, and connections are bounded."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

RENEW_S = 3600
"""How often what was read from files is read again: a certificate is replaced before it expires, without a restart."""
HEAD_S = 10.0
"""How long a connection may take for the head of a request, from its first byte or from connecting."""
MOST_CONNECTIONS = 256
UNTAKEN_MS = 30_000
"""A peer that takes nothing of what was sent to it for so long is cut by the kernel."""
SEND_BYTES = 200_000
"""What the kernel may keep for a peer, of which it takes twice as much; left alone it would be megabytes."""
BACKLOG = 64


class Connection(H11Protocol):
    """One connection. Its transport is in the state of its requests, for those that must know when it is gone."""

    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
            return
        self.app_state = {**self.app_state, "transport": transport}
        self._await_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_patience()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        """While nothing is being answered the timer of the first byte goes on."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._end_patience()
        elif self._patience is None and not self.transport.is_closing():
            self._patience = self.loop.call_later(HEAD_S, self.transport.abort)

    def _end_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def on_response_complete(self) -> None:
        self._end_patience()  # from here on uvicorn's own, shorter one, until there is a byte
        super().on_response_complete()


class GuestServer(uvicorn.Server):
    """Serves until it is cancelled."""

    def __init__(
        self,
        config: uvicorn.Config,
        renew: Callable[[], Awaitable[None]] | None = None,
        end: Callable[[], None] | None = None,
    ) -> None:
        """`renew` is called each hour; `end` when no more is served, for answers that have no end of their own."""
        super().__init__(config)
        self._renew, self._end = renew, end

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        while True:
            for _ in range(RENEW_S):
                await self.on_tick(0)  # writes the headers' date; uvicorn wakes up for it ten times as often
                await asyncio.sleep(1)
            if self._renew is not None:
                await self._renew()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, but that handshakes have an end."""
        loop, tls = asyncio.get_running_loop(), self.config.ssl
        handshake_s = None if tls is None else HEAD_S
        for listening in sockets or ():
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNTAKEN_MS)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
        self.servers = [
            await loop.create_server(
                self._connection, sock=one, ssl=tls, ssl_handshake_timeout=handshake_s, backlog=BACKLOG
            )
            for one in sockets or ()
        ]
        self.started = True

    def _connection(self) -> Connection:
        return Connection(self.config, self.server_state, {})

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Whoever has not taken its answer by then does not get it."""
        if self._end is not None:
            self._end()
        try:
            await super().shutdown(sockets)
        finally:
            for connection in list(self.server_state.connections):
                connection.transport.abort()


OPTIONS: dict[str, Any] = {
    "http": Connection,
    "ws": "none",
    "lifespan": "off",
    "log_config": None,
    "access_log": False,
    "server_header": False,
    "proxy_headers": False,
    "timeout_graceful_shutdown": 1,
}
"""What uvicorn must be told so that it is a guest."""
