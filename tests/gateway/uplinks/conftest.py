"""A real broker for each test that asks for one, and what an uplink is told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import aiomqtt
import pytest
import trustme

from gateway.config.model import LineConfig
from gateway.events import Envelope, StoredEvent
from gateway.uplinks.uplink import UplinkContext
from tests.peers.certificates import make_certificates
from tests.processes import free_port

BROKER = "/usr/sbin/mosquitto"


class Broker:
    """One mosquitto with the given configuration; `{port}` in it is a free port."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process: asyncio.subprocess.Process | None = None
        self.port = 0

    async def start(self, *lines: str, port: int | None = None) -> None:
        """Return when it accepts connections."""
        for _ in range(5):
            self.port = port or free_port()
            text = "\n".join((f"listener {self.port} 127.0.0.1", "user root", *lines))
            if not any(line.startswith("allow_anonymous") for line in lines):
                text += "\nallow_anonymous true"
            if not any(line.startswith("persistence ") for line in lines):
                text += "\npersistence false"
            path = self._directory / "mosquitto.conf"
            path.write_text(text + "\n")
            self._process = await asyncio.create_subprocess_exec(
                BROKER, "-c", str(path), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
            )
            if await self._is_running():
                return
        raise RuntimeError("mosquitto does not start")

    async def _is_running(self) -> bool:
        assert self._process is not None
        async with asyncio.timeout(10):
            while self._process.returncode is None:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except ConnectionRefusedError:
                    await asyncio.sleep(0.005)
                else:
                    writer.close()
                    await writer.wait_closed()
                    return True
        return False

    async def stop(self) -> None:
        """End it, as a broker that is shut down does."""
        await self._end("terminate")

    async def kill(self) -> None:
        """End it without a word."""
        await self._end("kill")

    async def _end(self, how: str) -> None:
        process, self._process = self._process, None
        if process is not None:
            getattr(process, how)()
            await process.wait()

    @asynccontextmanager
    async def listener(self, topic: str = "#", **options: Any) -> AsyncIterator[aiomqtt.Client]:
        """A subscriber, ready to receive."""
        client = aiomqtt.Client("127.0.0.1", self.port, protocol=aiomqtt.ProtocolVersion.V5, **options)
        async with client:
            await client.subscribe(topic, qos=1)
            yield client


async def receive(client: aiomqtt.Client, count: int) -> list[aiomqtt.Message]:
    """The next `count` messages."""
    messages: list[aiomqtt.Message] = []
    async with asyncio.timeout(10):
        async for message in client.messages:
            messages.append(message)
            if len(messages) == count:
                break
    return messages


def make_events(*seqs: int, data: bytes = b"{}", kind: str = "machine.state") -> list[StoredEvent]:
    """Committed events."""
    return [StoredEvent(seq, seq - 1, kind, "filler", 1_795_327_200_000 + seq, data) for seq in seqs]


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    broker = Broker(tmp_path)
    yield broker
    await broker.kill()


@pytest.fixture
def context(tmp_path: Path) -> UplinkContext:
    line = LineConfig(enterprise="acme", site="berlin", area="filling", name="line-3")
    envelope = Envelope("/acme/berlin/filling/line-3", "0192f0c4-0000-4000-8000-000000000000")
    return UplinkContext("mes", line, envelope, tmp_path, cast(Any, None))


@pytest.fixture(name="receive")
def _receive() -> Any:
    return receive


@pytest.fixture(name="make_events")
def _make_events() -> Any:
    return make_events


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path]:
    """A certificate authority and a directory with its certificate (`ca.pem`) and some that it gave."""
    directory = tmp_path_factory.mktemp("tls")
    ca = make_certificates(directory)
    return ca, directory


class Script:
    """A server that speaks just enough MQTT 5 to answer what no real broker can be made to answer."""

    def __init__(self) -> None:
        self.connack = b"\x20\x03\x00\x00\x00"
        self.publishes: list[bytes] = []
        """Message ids, as they came."""
        self.sizes: list[int] = []
        """Bytes of the PUBLISH packets, without their headers."""
        self.answer: Callable[[int, bytes], bytes] = lambda _number, mid: b"\x40\x02" + mid
        """Given the number of a PUBLISH, from 1, and its message id: the bytes to send; empty closes."""
        self.suback: Callable[[bytes], bytes] = lambda mid: b"\x90\x04" + mid + b"\x00\x01"
        """Given the message id of a SUBSCRIBE: the bytes to send; empty closes."""
        self.silent = False
        """Whether it answers nothing any more, and hangs up on nobody."""
        self.kinds: list[int] = []
        """Packet types, as they came."""
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self.port

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                kind, body = await _packet(reader)
                self.kinds.append(kind)
                reply = b""
                if kind == 1:
                    reply = self.connack
                elif kind == 3:
                    topic = int.from_bytes(body[:2], "big")
                    self.publishes.append(body[2 + topic : 4 + topic])
                    self.sizes.append(len(body))
                    reply = self.answer(len(self.publishes), self.publishes[-1])
                elif kind == 8:
                    reply = self.suback(body[:2])
                if self.silent:
                    continue
                if not reply:
                    break
                writer.write(reply.removeprefix(b"nothing"))
        writer.close()


async def _packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    kind = (await reader.readexactly(1))[0] >> 4
    length = shift = 0
    while (byte := (await reader.readexactly(1))[0]) & 0x80:
        length |= (byte & 0x7F) << shift
        shift += 7
    return kind, await reader.readexactly(length | byte << shift)


@pytest.fixture
async def script() -> AsyncIterator[Script]:
    script = Script()
    yield script
    await script.stop()
