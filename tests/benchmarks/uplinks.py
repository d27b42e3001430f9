"""Events a second that each uplink has acknowledged, and processor time an event, beside a plain loop in the same run.

Ours is the whole way: the outbox on disk, the runner, the uplink, and the cursor's commits. The plain loops encode and
send the same events out of memory, and keep no account of what arrived: aiomqtt's `publish` awaited one by one,
aiohttp's `post` of 500, nats-py's `publish_async` of 500, aiokafka's `send` of 500 (its side and ours without
idempotence, for which the broker and aiokafka have no version in common), `write` and `fsync` of 500; for Sparkplug
aiomqtt's `publish` at QoS 0 of a payload an event, of the same metrics. Each client is a process of its own; servers do
not count.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.modbus import processor_s
from tests.benchmarks.result import Result
from tests.peers.kafka import binary as kafka_binary
from tests.peers.nats import BINARY as NATS_SERVER
from tests.processes import MOSQUITTO, free_port

EVENTS = {
    "mqtt": 3_000,
    "mqtt, batches of 100": 10_000,
    "sparkplug": 10_000,
    "http": 20_000,
    "http, gzip": 20_000,
    "nats": 10_000,
    "kafka": 20_000,
    "file": 20_000,
}
"""How many each client sends, less than a second's worth."""
PLAIN = {
    "mqtt": "aiomqtt",
    "sparkplug": "aiomqtt, QoS 0",
    "http": "aiohttp",
    "nats": "nats-py",
    "kafka": "aiokafka",
    "file": "write and fsync",
}
BATCH = 500
REPEATS = 3
_CLIENT_S = 60.0
Send = Callable[[Sequence[bytes]], Awaitable[None]]
DATA = {
    "interval": "filler-4711", "stop": None, "rev": 0, "final": False, "state": "execute", "category": "production",
    "mode": "produce", "reason": None, "cause": None, "began": "2026-11-22T06:00:00.250Z", "ended": None,
    "duration_s": None, "uncertainty_s": 0.25, "rule": {"index": 3, "text": "filler_plc.running"},
    "because": {"filler_plc.running": {"value": True, "quality": "good", "time": "2026-11-22T06:00:00.250Z"}},
    "parts": {"total": 100, "good": 99, "scrap": 1}, "shift": "early", "production_date": "2026-11-22",
}  # fmt: skip
SIX = 1_795_327_200_000
STATES = ({"state": "execute", "category": "production"}, {"state": "held", "category": "unplanned_stop"})


def data(number: int) -> dict[str, Any]:
    """Of one event; states take turns, for Sparkplug says nothing twice."""
    from gateway.events import rfc3339

    return {**DATA, **STATES[number % 2], "began": rfc3339(SIX + number)}


def section(kind: str, port: int, place: Path) -> dict[str, Any]:
    """The uplink's configuration."""
    if kind == "file":
        return {"type": "file", "path": str(place / "events")}
    if kind.startswith("http"):
        gzip = {"compression": "gzip"} if kind.endswith("gzip") else {}
        return {"type": "http", "url": f"http://127.0.0.1:{port}/events", **gzip}
    if kind == "kafka":
        return {"type": "kafka", "url": f"kafka://127.0.0.1:{port}", "idempotence": False}
    if kind == "nats":
        return {"type": "nats", "url": f"nats://127.0.0.1:{port}"}
    if kind == "sparkplug":
        return {"type": "sparkplug", "url": f"mqtt://127.0.0.1:{port}"}
    batch = {"batch": 100} if "batches" in kind else {}
    return {"type": "mqtt", "url": f"mqtt://127.0.0.1:{port}", "state_topic": "off", **batch}


async def ours(kind: str, port: int, place: Path) -> tuple[float, float]:
    """Seconds of processor time and of the clock an event, from the first connection to the last acknowledgement."""
    from pydantic import TypeAdapter

    from ext.table import SignalTable
    from gateway.config.model import BufferConfig, Config, UplinkConfig
    from gateway.events import Envelope, Event
    from gateway.lineview import LineView
    from gateway.outbox.outbox import Outbox
    from gateway.pipeline import Pipeline
    from gateway.runner.uplink import UplinkRunner
    from gateway.uplinks.registry import uplink_class
    from gateway.uplinks.uplink import UplinkContext
    from tests.conftest import line_document

    count = EVENTS[kind]
    config: Any = TypeAdapter(UplinkConfig).validate_python(section(kind, port, place) | {"from": "oldest"})
    buffer = BufferConfig.model_validate({"path": "x"})
    outbox = await Outbox.open(place / "buffer.db", buffer, {"plant": config})
    line = Config.model_validate(line_document())
    tables = {name: SignalTable(device.signal_settings) for name, device in line.devices.items()}
    view = LineView(Pipeline(line), tables, line)
    context = UplinkContext("plant", line.line, Envelope("/acme", outbox.stream), place, view)
    runner = UplinkRunner("plant", config, lambda: uplink_class(config)(config, context), outbox)
    store = asyncio.create_task(outbox.run())
    outbox.append(Event("machine.state", "filler", SIX + n, data(n)) for n in range(count))
    await outbox.flush()
    uplink_class(config)  # its library is imported once
    used, began = processor_s(), time.monotonic()
    running = asyncio.create_task(runner.run())
    while outbox.backlog("plant"):  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.002)
    took, used = time.monotonic() - began, processor_s() - used
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    await outbox.close()
    await store
    return used / count, took / count


async def plain(kind: str, port: int, place: Path) -> tuple[float, float]:
    """The same of a loop by hand."""
    from gateway.config.uplinks import ShapedUplink
    from gateway.events import Envelope, StoredEvent
    from gateway.uplinks.encoding import Encoding

    encoding = Encoding(Envelope("/acme", "0192f0c4-0000-4000-8000-000000000000"), ShapedUplink())
    count = EVENTS[kind]
    events = [
        StoredEvent(n, n - 1, "machine.state", "filler", SIX + n, json.dumps(data(n)).encode())
        for n in range(1, count + 1)
    ]
    async with SENDERS[kind](port, place) as send:
        used, began = processor_s(), time.monotonic()
        for first in range(0, count, BATCH):
            await send([encoding.event(event) for event in events[first : first + BATCH]])
        took, used = time.monotonic() - began, processor_s() - used
    return used / count, took / count


@contextlib.asynccontextmanager
async def _write_and_fsync(_port: int, place: Path) -> AsyncIterator[Send]:
    with (place / "plain").open("ab", buffering=0) as file:

        async def write(events: Sequence[bytes]) -> None:
            file.write(b"\n".join(events) + b"\n")
            os.fsync(file.fileno())

        yield write


@contextlib.asynccontextmanager
async def _aiohttp(port: int, _place: Path) -> AsyncIterator[Send]:
    import aiohttp

    async with aiohttp.ClientSession() as session:

        async def post(events: Sequence[bytes]) -> None:
            body = b"[" + b",".join(events) + b"]"
            async with session.post(f"http://127.0.0.1:{port}/events", data=body) as answer:
                assert answer.status == 204

        yield post


@contextlib.asynccontextmanager
async def _sparkplug(port: int, _place: Path) -> AsyncIterator[Send]:
    import aiomqtt
    import orjson
    from sparkplub_b_packets.core.sparkplug_b_pb2 import Payload

    async with aiomqtt.Client("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5) as client:

        async def publish(events: Sequence[bytes]) -> None:
            for number, event in enumerate(events):
                body, payload = orjson.loads(event), Payload(timestamp=SIX, seq=number % 256)
                for alias, name in enumerate(("state", "category")):
                    metric = payload.metrics.add()
                    metric.alias, metric.timestamp, metric.is_historical = alias, SIX + number, True
                    metric.string_value = body["data"][name]
                await client.publish("spBv1.0/berlin/DDATA/other/filler", payload.SerializeToString())

        yield publish


@contextlib.asynccontextmanager
async def _aiomqtt(port: int, _place: Path) -> AsyncIterator[Send]:
    import aiomqtt

    async with aiomqtt.Client("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5) as client:

        async def publish(events: Sequence[bytes]) -> None:
            for event in events:
                await client.publish("acme/filler", event, qos=1)

        yield publish


@contextlib.asynccontextmanager
async def _nats_py(port: int, _place: Path) -> AsyncIterator[Send]:
    import nats

    client = await nats.connect(f"nats://127.0.0.1:{port}")
    stream, own, count = client.jetstream(), uuid.uuid4(), itertools.count()

    async def publish(events: Sequence[bytes]) -> None:
        headers = ({"Nats-Msg-Id": f"{own}-{next(count)}"} for _ in events)
        for receipt in [
            await stream.publish_async("acme.filler", event, headers=each)
            for event, each in zip(events, headers, strict=True)
        ]:
            await receipt

    yield publish
    await client.close()


@contextlib.asynccontextmanager
async def _aiokafka(port: int, _place: Path) -> AsyncIterator[Send]:
    from aiokafka import AIOKafkaProducer

    async with AIOKafkaProducer(bootstrap_servers=f"127.0.0.1:{port}", acks="all") as producer:

        async def publish(events: Sequence[bytes]) -> None:
            for receipt in [await producer.send("linegate", event, b"filler") for event in events]:
                await receipt

        yield publish


SENDERS: dict[str, Callable[[int, Path], contextlib.AbstractAsyncContextManager[Send]]] = {
    "mqtt": _aiomqtt, "sparkplug": _sparkplug, "http": _aiohttp, "nats": _nats_py, "kafka": _aiokafka,
    "file": _write_and_fsync,
}  # fmt: skip


async def serve_http() -> None:
    """Takes every POST with 204; prints its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=4_000_000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def make_stream(port: int) -> None:
    """A stream in files, as soon as the server is there."""
    import nats

    async def unheard(_error: Exception) -> None:
        """It is tried again."""

    url = f"nats://127.0.0.1:{port}"
    client = await nats.connect(url, reconnect_time_wait=0.1, max_reconnect_attempts=100, error_cb=unheard)
    await client.jetstream().add_stream(name="PLANT", subjects=["acme.>"])
    await client.close()


def child(who: str, kind: str, port: int) -> None:
    """What `python -m tests.benchmarks.uplinks WHO KIND PORT` does: prints both figures."""
    import uvloop

    with tempfile.TemporaryDirectory() as place:
        work = ours if who == "ours" else plain
        print(json.dumps(uvloop.run(work(kind, port, Path(place)))))


def client(who: str, kind: str, port: int) -> tuple[float, float]:
    """A client's figures, run on the first of the cores that we have."""
    core = min(os.sched_getaffinity(0))
    done = subprocess.run(
        (sys.executable, "-m", "tests.benchmarks.uplinks", who, kind, str(port)), stdout=subprocess.PIPE, text=True,
        timeout=_CLIENT_S, check=True, preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )  # fmt: skip
    used, took = json.loads(done.stdout.splitlines()[-1])  # the runner's log comes before
    return float(used), float(took)


@contextlib.contextmanager
def servers() -> Iterator[dict[str, int]]:
    """Ports of the brokers and of a server that takes everything, by the uplink's type, on the last core."""
    core = max(os.sched_getaffinity(0))
    port, nats_port, kafka_port = free_port(), free_port(), free_port()
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "mosquitto.conf"
        file.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n")
        http = (sys.executable, "-m", "tests.benchmarks.uplinks", "serve")
        nats = (str(NATS_SERVER), "-a", "127.0.0.1", "-p", str(nats_port), "-js", "-sd", place)
        url = f"tcp://127.0.0.1:{kafka_port}"
        kafka = (kafka_binary(), "broker", "--listener-url", url, "--advertised-listener-url", url)
        started = [
            subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                preexec_fn=lambda: os.sched_setaffinity(0, {core}),
            )
            for command in (http, (MOSQUITTO, "-c", str(file)), nats, kafka)
        ]  # fmt: skip
        try:
            assert started[0].stdout is not None
            asyncio.run(make_stream(nats_port))
            http_port = int(started[0].stdout.readline())
            brokers = {"mqtt": port, "sparkplug": port, "nats": nats_port, "kafka": kafka_port}
            yield {**brokers, "http": http_port, "file": 0}
        finally:
            for process in started:
                process.terminate()
                process.wait(10)
                if process.stdout is not None:
                    process.stdout.close()


def measure() -> list[Result]:
    """The clients take turns, so that a slower moment meets all of them."""
    times: dict[tuple[str, str], list[tuple[float, float]]] = {}
    with servers() as ports:
        for _ in range(REPEATS):
            for who, kind in (*(("ours", kind) for kind in EVENTS), *(("plain", kind) for kind in PLAIN)):
                times.setdefault((who, kind), []).append(client(who, kind, ports[kind.partition(",")[0]]))
    return [result for kind in EVENTS for result in figures(kind, times)]


def figures(kind: str, times: dict[tuple[str, str], list[tuple[float, float]]]) -> list[Result]:
    """Events a second and processor time an event, and ours to the plain loop's."""
    other = kind.partition(",")[0]
    mine, theirs = (
        (1 / statistics.median(took for _, took in each), statistics.median(used for used, _ in each) * 1e6)
        for each in (times["ours", kind], times["plain", other])
    )
    return [
        Result("uplinks", kind, mine[place], unit, f"{PLAIN[other]}: {theirs[place]:.4g}", mine[place] / theirs[place])
        for place, unit in ((0, "events/s"), (1, "µs of processor/event"))
    ]


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        asyncio.run(serve_http())
    else:
        child(sys.argv[1], sys.argv[2], int(sys.argv[3]))
