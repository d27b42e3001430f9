"""What uplinks deliver to, each with the same faults on command. A new uplink joins the fault suite by a line below."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import ssl
import subprocess
from pathlib import Path
from typing import Any, Protocol

import aiomqtt
from aiohttp import web
from sparkplub_b_packets.core.sparkplug_b_pb2 import Payload

from tests.peers.collector import Collector, Post
from tests.peers.kafka import MESSAGE_TOO_LARGE, Front, Kafka
from tests.peers.kafka import Reader as KafkaReader
from tests.peers.nats import NatsServer, Reader
from tests.processes import MOSQUITTO, free_port

USER = "line-3"
REFUSED_SIZE = 5_000
"""A receiver with a limit refuses an event that is larger than this, and no batch of small ones for good."""


class Receiver(Protocol):
    """One plant's end."""

    IS_SERVER: bool
    """Whether it has connections, certificates and users."""
    SAYS_REFUSALS: bool
    """Whether it says that it refuses an event."""
    port: int

    def __init__(self, directory: Path, certificates: Path) -> None: ...

    @property
    def received(self) -> list[dict[str, Any]]:
        """Every event that it has taken responsibility for, in order, repetitions included."""

    def section(self, port: int, tls: bool) -> dict[str, Any]:
        """The uplink's section, to reach it through `port`."""

    async def start(self, *, certificate: str = "", password: str = "", limited: bool = False) -> None:
        """Take events; with TLS, with a user, with a limit of size."""

    async def kill(self) -> None:
        """Gone without a word; on return `received` is what it was then."""


class MqttReceiver:
    """mosquitto, and a subscriber that has a listener of its own."""

    IS_SERVER = SAYS_REFUSALS = True

    def __init__(self, directory: Path, certificates: Path) -> None:
        self.received: list[dict[str, Any]] = []
        self.port, self._own_port = free_port(), free_port()
        self._directory = directory
        self._certificates = certificates
        self._process: asyncio.subprocess.Process | None = None
        self._listening: asyncio.Task[None] | None = None

    def section(self, port: int, tls: bool) -> dict[str, Any]:
        return {"type": "mqtt", "url": f"mqtt{'s' if tls else ''}://127.0.0.1:{port}"}

    async def start(self, *, certificate: str = "", password: str = "", limited: bool = False) -> None:
        lines = ["per_listener_settings true", "max_queued_messages 0", f"listener {self.port} 127.0.0.1"]
        if certificate:
            path = self._certificates / certificate
            lines += [f"certfile {path}.pem", f"keyfile {path}.key"]
        if password:
            passwords = self._directory / "passwords"
            passwords.write_text(f"{USER}:{password}\n")
            subprocess.run(["/usr/bin/mosquitto_passwd", "-U", str(passwords)], check=True, timeout=60)  # noqa: ASYNC221
            lines += [f"password_file {passwords}"]
        lines += [f"allow_anonymous {'false' if password else 'true'}"]
        lines += [f"listener {self._own_port} 127.0.0.1", "allow_anonymous true", "user root"]
        lines += [f"message_size_limit {REFUSED_SIZE}"] if limited else []
        file = self._directory / "mosquitto.conf"
        file.write_text("\n".join(lines) + "\n")
        self._process = await asyncio.create_subprocess_exec(
            MOSQUITTO, "-c", str(file), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        ready = asyncio.Event()
        self._listening = asyncio.create_task(self._listen(ready))
        async with asyncio.timeout(10):
            await ready.wait()

    async def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None and self._listening is not None:
            process.kill()
            await process.wait()
            await self._listening  # it reads to the end what the broker had sent

    async def _listen(self, ready: asyncio.Event) -> None:
        while True:
            # QoS 0: an acknowledgement that a dead broker cannot read would reset the connection, and lose the rest
            with contextlib.suppress(aiomqtt.MqttError):
                async with aiomqtt.Client("127.0.0.1", self._own_port) as client:
                    await client.subscribe("#")
                    ready.set()
                    async for message in client.messages:
                        assert isinstance(message.payload, bytes)
                        self._take(message.topic.value, message.payload)
            if ready.is_set():
                break
            await asyncio.sleep(0.01)

    def _take(self, topic: str, payload: bytes) -> None:
        if not topic.endswith("/gateway/state"):
            body = json.loads(payload)
            self.received += body if isinstance(body, list) else [body]


class BatchMqttReceiver(MqttReceiver):
    """The same with several events a message."""

    def section(self, port: int, tls: bool) -> dict[str, Any]:
        return {**super().section(port, tls), "batch": 50}


class OldMqttReceiver(MqttReceiver):
    """The same by MQTT 3.1.1, in which a broker acknowledges what it throws away."""

    SAYS_REFUSALS = False

    def section(self, port: int, tls: bool) -> dict[str, Any]:
        return {**super().section(port, tls), "version": "3.1.1"}


class SparkplugReceiver(MqttReceiver):
    """A host that knows the filler's states by their times, and whatever else is said of it not at all."""

    SAYS_REFUSALS = False

    def __init__(self, directory: Path, certificates: Path) -> None:
        super().__init__(directory, certificates)
        self._state = -1

    def section(self, port: int, tls: bool) -> dict[str, Any]:
        return {"type": "sparkplug", "url": f"mqtt{'s' if tls else ''}://127.0.0.1:{port}"}

    def _take(self, topic: str, payload: bytes) -> None:
        kind = topic.split("/")[2]
        if kind not in ("DBIRTH", "DDATA"):
            return
        body = Payload.FromString(payload)
        if kind == "DBIRTH":
            (self._state,) = (metric.alias for metric in body.metrics if metric.name == "state")
        for metric in body.metrics if kind == "DDATA" else ():
            if metric.alias == self._state and metric.is_historical:
                seq = metric.timestamp
                event = {"seq": seq, "prevseq": seq - 1, "data": {"n": int(metric.string_value)}}
                self.received.append(event)


class OldSparkplugReceiver(SparkplugReceiver):
    """The same by MQTT 3.1.1."""

    def section(self, port: int, tls: bool) -> dict[str, Any]:
        return {**super().section(port, tls), "version": "3.1.1"}


class HttpReceiver:
    """aiohttp's server."""

    IS_SERVER = SAYS_REFUSALS = True

    def __init__(self, directory: Path, certificates: Path) -> None:
        self._certificates = certificates
        self._collector = Collector()
        self._collector.answer = self._answer
        self._password = ""
        self._limited = False
        self.port = free_port()

    @property
    def received(self) -> list[dict[str, Any]]:
        return self._collector.taken

    def section(self, port: int, tls: bool) -> dict[str, Any]:
        return {"type": "http", "url": f"http{'s' if tls else ''}://127.0.0.1:{port}/events", "compression": "gzip"}

    async def start(self, *, certificate: str = "", password: str = "", limited: bool = False) -> None:
        self._password, self._limited = password, limited
        context = None
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            path = self._certificates / certificate
            context.load_cert_chain(f"{path}.pem", f"{path}.key")
        await self._collector.start(context, self.port)

    async def kill(self) -> None:
        await self._collector.stop()

    async def _answer(self, post: Post) -> web.StreamResponse:
        if self._password:
            right = base64.b64encode(f"{USER}:{self._password}".encode()).decode()
            if post.headers.get("Authorization") != f"Basic {right}":
                return web.Response(status=401, text="who are you?")
        if self._limited and any(len(json.dumps(event)) > REFUSED_SIZE for event in post.events):
            return web.Response(status=422, text="too long")
        return web.Response(status=202)


class KafkaReceiver:
    """A broker in memory, all of which a reader of ours has before it is killed; TLS and SASL are its front's."""

    IS_SERVER = SAYS_REFUSALS = True

    def __init__(self, directory: Path, certificates: Path) -> None:
        self._certificates = certificates
        self._kafka = Kafka()
        self._front = Front(self._kafka)
        self._reader = KafkaReader()
        self._advertised = self.port = self._front.port

    @property
    def received(self) -> list[dict[str, Any]]:
        return self._reader.events

    def section(self, port: int, tls: bool) -> dict[str, Any]:
        self._advertised = port
        return {"type": "kafka", "url": f"kafka{'s' if tls else ''}://127.0.0.1:{port}"}

    async def start(self, *, certificate: str = "", password: str = "", limited: bool = False) -> None:
        self._front.password = password or os.environ["PLANT_PASSWORD"]  # who wants SASL must get it
        if limited:
            self._front.verdict = lambda _partition, batch: MESSAGE_TOO_LARGE if len(batch) > REFUSED_SIZE else 0
        await self._kafka.start(self._advertised)
        await self._reader.follow(self._kafka)
        await self._front.start(self._certificates / certificate if certificate else None)

    async def kill(self) -> None:
        self._front.stop()
        await self._reader.finish()
        await self._kafka.end()


class NatsReceiver:
    """nats-server with a stream in files, which a reader of ours follows; what a kill cut off is read afterwards."""

    IS_SERVER = SAYS_REFUSALS = True

    def __init__(self, directory: Path, certificates: Path) -> None:
        self._certificates = certificates
        self._directory = directory
        self._server = NatsServer(directory)
        self._reader = Reader()
        self.port = self._server.port

    @property
    def received(self) -> list[dict[str, Any]]:
        return self._reader.events

    def section(self, port: int, tls: bool) -> dict[str, Any]:
        return {"type": "nats", "url": f"{'tls' if tls else 'nats'}://127.0.0.1:{port}"}

    async def start(self, *, certificate: str = "", password: str = "", limited: bool = False) -> None:
        await self._server.start(tls=self._certificates / certificate if certificate else None, password=password)
        await self._reader.follow(self._server, max_msg_size=REFUSED_SIZE if limited else -1)

    async def kill(self) -> None:
        await self._server.end("kill")
        await self._reader.leave()
        afterwards = NatsServer(self._directory)
        await afterwards.start()
        await self._reader.follow(afterwards)
        await self._reader.finish()
        await afterwards.end("terminate")


class FileReceiver:
    """A directory that comes and goes, as a network share does."""

    IS_SERVER = SAYS_REFUSALS = False

    def __init__(self, directory: Path, certificates: Path) -> None:
        self._share = directory / "share"
        self._share.write_text("not mounted")
        self._times = 0
        self.port = 0

    @property
    def received(self) -> list[dict[str, Any]]:
        events = []
        for place in [*sorted(self._share.parent.glob("share-*")), self._share]:
            files = sorted(place.glob("events.0*")) + [file for file in (place / "events",) if file.exists()]
            for file in files:
                text = file.read_text()
                events += [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
        return events

    def section(self, port: int, tls: bool) -> dict[str, Any]:
        return {"type": "file", "path": str(self._share / "events"), "rotate": "20kB", "keep": 1000}

    async def start(self, *, certificate: str = "", password: str = "", limited: bool = False) -> None:
        self._share.unlink()

    async def kill(self) -> None:
        if self._share.is_dir():
            self._times += 1
            self._share.rename(self._share.with_name(f"share-{self._times}"))
            self._share.write_text("not mounted")


RECEIVERS: dict[str, type[Receiver]] = {
    "file": FileReceiver,
    "http": HttpReceiver,
    "kafka": KafkaReceiver,
    "mqtt": MqttReceiver,
    "mqtt-3.1.1": OldMqttReceiver,
    "mqtt-batch": BatchMqttReceiver,
    "nats": NatsReceiver,
    "sparkplug": SparkplugReceiver,
    "sparkplug-3.1.1": OldSparkplugReceiver,
}
