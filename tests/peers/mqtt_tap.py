"""A proxy before a broker that keeps every packet of its clients, as bytes on the wire say it (MQTT 3.1.1 and 5.0)."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

CONNECT, PUBLISH, PUBACK, SUBSCRIBE, PINGREQ, DISCONNECT = 1, 3, 4, 8, 12, 14


@dataclass(frozen=True, slots=True)
class Packet:
    """One control packet; the fields are those of its type."""

    type: int
    flags: int
    body: bytes
    version: int

    @property
    def topic(self) -> str:
        """Of a PUBLISH, or of the only subscription of a SUBSCRIBE."""
        return _text(self.body, 0 if self.type == PUBLISH else self._after_properties(2))[0].decode()

    @property
    def qos(self) -> int:
        """Of a PUBLISH, or of the only subscription of a SUBSCRIBE."""
        return self.flags >> 1 & 3 if self.type == PUBLISH else self.body[-1] & 3

    @property
    def retain(self) -> bool:
        """Of a PUBLISH."""
        return bool(self.flags & 1)

    @property
    def payload(self) -> bytes:
        """Of a PUBLISH."""
        at = 2 + len(self.topic.encode()) + (2 if self.qos else 0)
        return self.body[self._after_properties(at) :]

    @property
    def reason(self) -> int:
        """Of a DISCONNECT."""
        return self.body[0] if self.body else 0

    def _after_properties(self, at: int) -> int:
        return at if self.version != 5 else at + 1 + self.body[at]  # of a length below 128


@dataclass(frozen=True, slots=True)
class Connect:
    """What a CONNECT asks for."""

    version: int
    clean: bool
    session_expiry_s: int
    will_topic: str
    will_payload: bytes
    will_qos: int
    will_retain: bool


def parse_connect(packet: Packet) -> Connect:
    """A CONNECT with a will (3.1 in both versions); of properties the session's expiry alone."""
    body, version, flags = packet.body, packet.body[6], packet.body[7]
    assert flags & 0x04, "there is no will"
    at, expiry = 10, 0
    if version == 5:
        properties = body[at + 1 : at + 1 + body[at]]
        if properties[:1] == b"\x11":
            expiry = int.from_bytes(properties[1:5], "big")
        at += 1 + body[at]
    _, at = _text(body, at)
    if version == 5:
        at += 1 + body[at]
    topic, at = _text(body, at)
    payload, at = _text(body, at)
    return Connect(
        version, bool(flags & 0x02), expiry, topic.decode(), payload, flags >> 3 & 3, bool(flags & 0x20)
    )  # fmt: skip


def _text(body: bytes, at: int) -> tuple[bytes, int]:
    end = at + 2 + int.from_bytes(body[at : at + 2], "big")
    return body[at + 2 : end], end


class MqttTap:
    """Clients come to `port`; what they want is in `packets`, in order, those of all connections after one another."""

    def __init__(self, broker_port: int) -> None:
        self._broker_port = broker_port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._ended = asyncio.Event()
        self.port = 0
        self.packets: list[Packet] = []

    async def __aenter__(self) -> MqttTap:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await self._server.wait_closed()

    def cut(self) -> None:
        """End all connections without a word."""
        for writer in self._writers:
            writer.transport.abort()

    async def idle(self) -> None:
        """Until all connections have ended, and all that was sent is here."""
        async with asyncio.timeout(10):
            while self._writers:
                self._ended.clear()
                await self._ended.wait()

    def of(self, kind: int) -> list[Packet]:
        """All of one type."""
        return [packet for packet in self.packets if packet.type == kind]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back_reader, back_writer = await asyncio.open_connection("127.0.0.1", self._broker_port)
        mine = {writer, back_writer}
        self._writers |= mine
        replies = asyncio.ensure_future(_pipe(back_reader, writer))
        version = 5
        try:
            while True:
                head = await reader.readexactly(1)
                length, raw, shift = 0, b"", 0
                while True:
                    raw += await reader.readexactly(1)
                    length |= (raw[-1] & 0x7F) << shift
                    shift += 7
                    if raw[-1] < 0x80:
                        break
                body = await reader.readexactly(length)
                version = body[6] if head[0] >> 4 == CONNECT else version
                if head[0] >> 4 not in (PUBACK, PINGREQ):
                    self.packets.append(Packet(head[0] >> 4, head[0] & 0x0F, body, version))
                back_writer.write(head + raw + body)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            back_writer.close()
            await replies
            self._writers -= mine
            self._ended.set()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
    writer.close()
