"""A plant's load on one server: a thousand gateways' uplinks at once, the server killed meanwhile, one reader of all.

Each gateway is the runner and the uplink as `linegate run` has them, with a connection and a stream of its own, and a
buffer in memory; all are one process on one core, and the server has the other. The reader follows every stream with
`gateway.receive.follower`: what comes twice is dropped, what is missing is named. A figure is printed only if
nothing was.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import psutil

from tests.benchmarks.daemon import settle
from tests.benchmarks.modbus import processor_s
from tests.benchmarks.result import Result
from tests.benchmarks.uplinks import DATA, make_stream
from tests.peers.kafka import binary as kafka_binary
from tests.peers.nats import BINARY as NATS_SERVER
from tests.processes import free_port

GATEWAYS, EACH = 1_000, 20
ALONE = 10_000
"""Events of one gateway by itself, for comparison."""
MACHINES = 5
PARTITIONS = 12
KILL_AFTER_S = 0.5
_CHILD_S = 120.0


class Buffer:
    """What a runner needs of an outbox, in memory."""

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self._waiting: deque[Any] = deque()
        self._seq = 0
        self._more = asyncio.Event()

    def make(self, count: int) -> None:
        """Events of some machines."""
        from gateway.events import StoredEvent

        data = json.dumps(DATA).encode()
        for seq in range(self._seq + 1, self._seq + count + 1):
            time_ms = 1_795_327_200_000 + seq
            machine = f"machine_{seq % MACHINES}"
            self._waiting.append(StoredEvent(seq, seq - 1, "machine.state", machine, time_ms, data))
        self._seq += count
        self._more.set()

    @property
    def backlog(self) -> int:
        return len(self._waiting)

    async def read(self, _name: str, most: int) -> Sequence[Any]:
        """As the outbox's."""
        while not self._waiting:
            self._more.clear()
            await self._more.wait()
        return list(self._waiting)[:most]

    def acknowledge(self, _name: str, event: Any) -> None:
        """As the outbox's."""
        while self._waiting and self._waiting[0].seq <= event.seq:
            self._waiting.popleft()

    async def quarantine(self, _name: str, event: Any, why: str) -> None:
        """Nothing here is refused."""
        raise AssertionError(f"{event.seq} was refused: {why}")


def section(kind: str, port: int) -> dict[str, Any]:
    """The uplink's configuration."""
    return {"type": kind, "url": f"{kind}://127.0.0.1:{port}"} | ({"idempotence": False} if kind == "kafka" else {})


async def gateways(kind: str, port: int, count: int, each: int) -> None:
    """Obeys lines of standard input: at each one every gateway has `each` events more, and delivers them."""
    from pydantic import TypeAdapter

    from gateway.config.model import LineConfig, UplinkConfig
    from gateway.events import Envelope
    from gateway.runner.uplink import UplinkRunner, UplinkState
    from gateway.uplinks.registry import uplink_class
    from gateway.uplinks.uplink import UplinkContext

    config: Any = TypeAdapter(UplinkConfig).validate_python(section(kind, port))
    buffers, runners = [], []
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            line = LineConfig(enterprise="acme", site="berlin", area="filling", name=f"line-{number}")
            buffer = Buffer(str(uuid.uuid4()))
            envelope = Envelope(f"/acme/berlin/filling/line-{number}", buffer.stream)
            context = UplinkContext("plant", line, envelope, Path("."), cast(Any, None))
            make = partial(uplink_class(config), config, context)
            runner = UplinkRunner("plant", config, make, cast(Any, buffer))
            buffers.append(buffer)
            runners.append((runner, group.create_task(runner.run())))
        await _until(lambda: all(runner.stats.state is UplinkState.CONNECTED for runner, _ in runners))
        say(connected_s=time.monotonic() - began)
        while (await asyncio.to_thread(sys.stdin.readline)).strip():
            used, began = processor_s(), time.monotonic()
            for buffer in buffers:
                buffer.make(each)
            await _until(lambda: not any(buffer.backlog for buffer in buffers))
            say(
                took_s=time.monotonic() - began, used_s=processor_s() - used,
                reconnects=sum(runner.stats.reconnects for runner, _ in runners),
            )  # fmt: skip
        for _, task in runners:
            task.cancel()


async def _until(what: Any) -> None:
    async with asyncio.timeout(_CHILD_S):
        while not what():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


def say(**figures: Any) -> None:
    """One line to the parent."""
    print("plant", json.dumps(figures), flush=True)


async def read(kind: str, port: int, expected: int) -> None:
    """Follow everything from the beginning until `expected` new events came, and nothing is missing."""
    from gateway.receive.follower import Follower

    follower = Follower()
    new = again = 0
    began = used = 0.0
    async with contextlib.aclosing(SOURCES[kind](port)) as messages:
        async with asyncio.timeout(_CHILD_S):
            async for message in messages:
                if not new:
                    began, used = time.monotonic(), processor_s()
                if follower.take(json.loads(message)).is_new:
                    new += 1
                else:
                    again += 1
                if new == expected:
                    break
    took, used = time.monotonic() - began, processor_s() - used
    say(took_s=took, used_s=used, again=again, missing=len(follower.holes()), streams=len(follower.streams))


async def _from_nats(port: int) -> Any:
    import nats
    from nats.js.api import ConsumerConfig, DeliverPolicy

    client = await nats.connect(f"nats://127.0.0.1:{port}")
    deliver = ConsumerConfig(deliver_policy=DeliverPolicy.ALL)
    subscription = await client.jetstream().subscribe("acme.>", ordered_consumer=True, config=deliver)
    async for message in subscription.messages:
        yield message.data
    await client.close()


async def _from_kafka(port: int) -> Any:
    from aiokafka import AIOKafkaConsumer

    servers = f"127.0.0.1:{port}"
    async with AIOKafkaConsumer("linegate", bootstrap_servers=servers, auto_offset_reset="earliest") as consumer:
        async for message in consumer:
            yield message.value


SOURCES = {"nats": _from_nats, "kafka": _from_kafka}


class Server:
    """One server on the last core; NATS keeps its stream in files."""

    def __init__(self, kind: str, place: Path) -> None:
        self.kind = kind
        self.port = free_port()
        self._place = place
        url = f"tcp://127.0.0.1:{self.port}"
        self._command = {
            "nats": (str(NATS_SERVER), "-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", str(place)),
            "kafka": (kafka_binary(), "broker", "--listener-url", url, "--advertised-listener-url", url),
        }[kind]
        self.process: psutil.Popen

    def start(self) -> None:
        """Return when it takes connections."""
        core = max(os.sched_getaffinity(0))
        self.process = psutil.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=lambda: settle(core),
        )  # fmt: skip
        if self.kind == "nats":
            asyncio.run(make_stream(self.port))
            return
        topic = ("topic", "create", "--broker", f"tcp://127.0.0.1:{self.port}", "--partitions", str(PARTITIONS))
        for _ in range(100):
            if subprocess.run((kafka_binary(), *topic, "linegate"), capture_output=True).returncode == 0:
                return
            time.sleep(0.05)
        raise RuntimeError("the broker does not start")

    def used_s(self) -> float:
        """Of its processor time."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def memory_mb(self) -> float:
        """Resident."""
        return float(self.process.memory_info().rss) / 1e6

    def kill(self) -> None:
        """Without a word."""
        self.process.kill()
        self.process.wait(10)


@contextlib.contextmanager
def child(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """This module as a process of its own on the first core."""
    core = min(os.sched_getaffinity(0))
    process = subprocess.Popen(
        (sys.executable, "-m", "tests.benchmarks.plant", *map(str, arguments)), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True, preexec_fn=lambda: settle(core),
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=10)


def heard(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The child's next figures; its log goes by."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("plant "):
            figures: dict[str, Any] = json.loads(line.removeprefix("plant "))
            return figures
    raise RuntimeError("the child ended")


def tell(process: subprocess.Popen[str]) -> None:
    """Let it go on."""
    assert process.stdin is not None
    process.stdin.write("on\n")
    process.stdin.flush()


def alone(server: Server) -> tuple[float, float]:
    """Events a second of one gateway, and its processor time an event in microseconds."""
    with child("gateways", server.kind, server.port, 1, ALONE) as one:
        heard(one)
        tell(one)
        figures = heard(one)
        return ALONE / figures["took_s"], figures["used_s"] / ALONE * 1e6


def measure() -> list[Result]:
    """Both kinds of server."""
    return [result for kind in ("nats", "kafka") for result in plant(kind)]


def plant(kind: str) -> Iterator[Result]:
    """One server from its start to its end."""
    name, total = f"{kind}, {GATEWAYS:,} gateways", GATEWAYS * EACH
    with tempfile.TemporaryDirectory() as place:
        server = Server(kind, Path(place))
        server.start()
        try:
            rate_of_one, used_by_one = alone(server)
            with child("gateways", kind, server.port, GATEWAYS, EACH) as lines:
                yield Result("plant", f"{name}: all connected", heard(lines)["connected_s"], "s")
                used = server.used_s()
                tell(lines)
                figures = heard(lines)
                rate, mine = total / figures["took_s"], figures["used_s"] / total * 1e6
                yield Result("plant", name, rate, "events/s", f"one gateway: {rate_of_one:.4g}", rate / rate_of_one)
                versus = f"one gateway: {used_by_one:.4g}"
                yield Result("plant", name, mine, "µs of processor/event", versus, mine / used_by_one)
                used = (server.used_s() - used) / total * 1e6
                yield Result("plant", f"{name}: server", used, "µs of processor/event")
                yield Result("plant", f"{name}: server", server.memory_mb(), "MB")
                stored = ALONE + total
                if kind == "nats":
                    yield from killed(server, lines, name)
                    stored += total
            yield from followed(server, stored)
        finally:
            server.kill()


def killed(server: Server, lines: subprocess.Popen[str], name: str) -> Iterator[Result]:
    """The same once more, and the server dies on the way."""
    tell(lines)
    time.sleep(KILL_AFTER_S)
    server.kill()
    server.start()
    began = time.monotonic()
    words = f"{heard(lines)['reconnects']:,} connections anew"
    yield Result("plant", f"{name}: back after a kill", time.monotonic() - began, "s", words)


def followed(server: Server, stored: int) -> Iterator[Result]:
    """A reader of all; it says what is missing, and that is nothing."""
    with child("read", server.kind, server.port, stored) as reader:
        figures = heard(reader)
    assert figures["missing"] == 0, figures
    words = f"{figures['streams']:,} streams, 0 missing, {figures['again']:,} twice"
    name = f"{server.kind}, one reader"
    yield Result("plant", name, stored / figures["took_s"], "events/s", words)
    yield Result("plant", name, figures["used_s"] / stored * 1e6, "µs of processor/event")


if __name__ == "__main__":
    import uvloop

    work, chosen, at, *numbers = sys.argv[1:]
    roles: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {"gateways": gateways, "read": read}
    uvloop.run(roles[work](chosen, int(at), *map(int, numbers)))
