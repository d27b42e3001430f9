"""aiokafka's connection, held to what a daemon can bear: threads that hold no exit, and nothing without an end.

aiokafka looks names up and reckons passwords in the loop's executor, whose threads are joined at the end of the
process; takes an answer of any length that four bytes can say; and reckons as often as a server asks.
`tests/gateway/uplinks/kafka/test_brokers.py` fails when what is reached through changes.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from aiokafka.conn import AIOKafkaConnection, ScramAuthenticator

from protocols.dial import DIAL_S
from protocols.worker import in_daemon_thread

MOST_BYTES = 16_000_000
"""Of an answer: a topic of 100,000 partitions has less."""
MOST_ITERATIONS = 1_000_000
"""Of a password's digest (RFC 5802, 5.1): half a second; servers ask for 4,096 and some more."""


class Connection(AIOKafkaConnection):  # type: ignore[misc]
    """One connection to one broker, which is not open yet."""

    is_no_broker = False
    """Whether what came was no answer of a broker: those of an HTTP server say that they have 1.2 GB."""

    async def connect(self) -> None:
        """Raises OSError, aiokafka's errors, or what its authentication raises of a proof that is none."""
        dial = partial(socket.create_connection, (self.host, self.port), DIAL_S)
        sock = await in_daemon_thread("dial", dial, discard=lambda late: late.close())
        loop: asyncio.AbstractEventLoop = self._loop
        self._loop: Any = _Loop(loop, sock)
        try:
            await super().connect()
        finally:
            self._loop = loop
            if self._writer is None:
                sock.close()

    def authenticator_scram(self) -> ScramAuthenticator:
        """aiokafka's, with an end."""
        return _Scram(
            loop=self._loop, sasl_plain_password=self._sasl_plain_password,
            sasl_plain_username=self._sasl_plain_username, sasl_mechanism=self._sasl_mechanism,
        )  # fmt: skip

    def _create_reader_task(self) -> asyncio.Task[None]:
        whole = self._reader.readexactly

        async def bounded(length: int) -> bytes:
            if not 0 <= length <= MOST_BYTES:
                self.is_no_broker = True
                raise ConnectionAbortedError
            data: bytes = await whole(length)
            return data

        self._reader.readexactly = bounded
        task: asyncio.Task[None] = super()._create_reader_task()
        return task


class _Loop:
    """The running loop as aiokafka uses it while it connects: over a socket that is connected, without the executor."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        self._loop = loop
        self._socket = sock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def create_connection(
        self, factory: Callable[[], asyncio.Protocol], host: str, _port: int, ssl: ssl.SSLContext | None
    ) -> Awaitable[tuple[asyncio.Transport, asyncio.Protocol]]:
        self._socket.setblocking(False)
        name = None if ssl is None else host
        return self._loop.create_connection(factory, sock=self._socket, ssl=ssl, server_hostname=name)

    def run_in_executor(self, _executor: None, function: Callable[..., Any], *arguments: Any) -> Awaitable[Any]:
        return in_daemon_thread("sasl", partial(function, *arguments))


class _Scram(ScramAuthenticator):  # type: ignore[misc]
    def create_salted_password(self, salt: bytes, iterations: int) -> None:
        if not 0 < iterations <= MOST_ITERATIONS:
            raise ValueError(f"the server asks for {iterations} iterations")
        super().create_salted_password(salt, iterations)
