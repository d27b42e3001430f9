"""A TCP proxy that spoils what passes through it on command: cuts, garbles, delays, drops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

Mangle = Callable[[bytes], bytes | None]
"""What is sent in place of some bytes; None closes the connection, b"" swallows them."""


class Mangler:
    """Listens on a free loopback port and passes bytes on to `target`, replies through `mangle` and after `delay_s`."""

    def __init__(self, target: int) -> None:
        self._target = target
        self.mangle: Mangle = lambda reply: reply
        self.delay_s = 0.0
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def __aenter__(self) -> Mangler:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.drop()
        await self._server.wait_closed()

    @property
    def open(self) -> int:
        """Connections that are open now."""
        return len(self._open) // 2

    def drop(self) -> None:
        """Close all connections."""
        for writer in self._open:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        self._open |= {writer, up_writer}
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, up_writer, lambda data: data, lambda: 0.0))
                group.create_task(self._pass(up_reader, writer, lambda data: self.mangle(data), lambda: self.delay_s))
        finally:
            self._open -= {writer, up_writer}

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mangle: Mangle, delay_s: Callable[[], float]
    ) -> None:
        try:
            while data := await reader.read(65536):
                spoilt = mangle(data)
                if spoilt is None:
                    break
                await asyncio.sleep(delay_s())
                writer.write(spoilt)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()
