"""A client that sends bytes as they are, to see what a library does not show."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

HEADER = struct.Struct("<HHII8sI")
TO_MANAGER = bytes.fromhex("02 20 06 24 01")
TO_ROUTER = bytes.fromhex("02 20 02 24 01")
SECONDS = 5


@dataclass(frozen=True)
class Answer:
    """A CIP reply, taken apart."""

    service: int
    status: int
    extended: tuple[int, ...]
    data: bytes

    @classmethod
    def parse(cls, reply: bytes) -> Answer:
        words = struct.unpack_from(f"<{reply[3]}H", reply, 4)
        return cls(reply[0], reply[2], words, reply[4 + 2 * reply[3] :])


class RawClient:
    """One socket: `session` is registered, `connection` the id of an open connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.session = self.connection = self.sequence = 0

    async def frame(self, command: int, data: bytes = b"", session: int | None = None) -> tuple[int, int, bytes]:
        """Command, status and data that answer a frame."""
        self.send(command, data, session)
        return await self.receive()

    def send(self, command: int, data: bytes = b"", session: int | None = None) -> None:
        handle = self.session if session is None else session
        self.writer.write(HEADER.pack(command, len(data), handle, 0, b"context!", 0) + data)

    async def receive(self) -> tuple[int, int, bytes]:
        async with asyncio.timeout(SECONDS):
            head = await self.reader.readexactly(HEADER.size)
            command, length, _, status, context, _ = HEADER.unpack(head)
            assert context == b"context!"
            return command, status, await self.reader.readexactly(length)

    async def register(self) -> None:
        self.send(0x65, b"\1\0\0\0", 0)
        async with asyncio.timeout(SECONDS):
            self.session = HEADER.unpack((await self.reader.readexactly(HEADER.size + 4))[: HEADER.size])[2]
        assert self.session

    async def unconnected(self, message: bytes) -> Answer:
        items = struct.pack("<IHHHHHH", 0, 5, 2, 0, 0, 0xB2, len(message))
        _, status, data = await self.frame(0x6F, items + message)
        assert status == 0
        assert data[6:14] == bytes.fromhex("02 00 00 00 00 00 b2 00")
        return Answer.parse(data[16:])

    async def open(
        self, size: int = 500, serial: int = 1, large: bool = False, path: str = "01 00 20 02 24 01"
    ) -> Answer:
        """Forward Open; `connection` is open if it succeeds."""
        rate, route = 2_000_000, bytes.fromhex(path)
        sizes = struct.pack("<IIII" if large else "<IHIH", rate, *(2 * (size | 0x4200 << 16 * large, rate))[:3])
        body = struct.pack("<BBIIHHIB3x", 5, 247, 0, 0xABCD, serial, 0x4C, 77, 2) + sizes
        message = bytes((0x5B if large else 0x54,)) + TO_MANAGER + body + bytes((0xA3, len(route) // 2)) + route
        answer = await self.unconnected(message)
        if answer.status == 0:
            self.connection = struct.unpack_from("<I", answer.data)[0]
        return answer

    async def close_connection(self, serial: int = 1) -> Answer:
        body = struct.pack("<BBHHIBB", 5, 247, serial, 0x4C, 77, 2, 0) + TO_ROUTER[1:]
        return await self.unconnected(b"\x4e" + TO_MANAGER + body)

    def send_connected(self, message: bytes, sequence: int | None = None) -> None:
        self.sequence = self.sequence + 1 if sequence is None else sequence
        body = struct.pack("<H", self.sequence) + message
        items = struct.pack("<IHHHHIHH", 0, 5, 2, 0xA1, 4, self.connection, 0xB1, len(body))
        self.send(0x70, items + body)

    async def receive_connected(self) -> tuple[int, Answer]:
        """Sequence count and reply."""
        _, status, data = await self.receive()
        assert status == 0
        _, _, items, address, _, connection, kind, length = struct.unpack_from("<IHHHHIHH", data)
        assert (items, address, connection, kind, length) == (2, 0xA1, 0xABCD, 0xB1, len(data) - 20)
        return struct.unpack_from("<H", data, 20)[0], Answer.parse(data[22:])

    async def connected(self, message: bytes) -> Answer:
        self.send_connected(message)
        sequence, answer = await self.receive_connected()
        assert sequence == self.sequence
        return answer


@asynccontextmanager
async def raw_client(port: int, register: bool = True) -> AsyncIterator[RawClient]:
    """A client with a session."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    client = RawClient(reader, writer)
    try:
        if register:
            await client.register()
        yield client
    finally:
        writer.close()


def symbolic(*names: str) -> bytes:
    """A path of names, with its length in words."""
    path = b"".join(bytes((0x91, len(name))) + name.encode() + b"\0" * (len(name) % 2) for name in names)
    return bytes((len(path) // 2,)) + path
