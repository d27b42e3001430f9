"""A server is away for a day, a broker goes silent: nothing is lost, nothing grows, all comes in order."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import orjson
import psutil
import pytest
from aiohttp import web

from gateway.config.model import BufferConfig, Config
from gateway.config.uplinks import UplinkSettings
from gateway.events import Envelope, Event
from gateway.lineview import LineView
from gateway.outbox.bounds import FULL
from gateway.outbox.classes import CLASSES, table_of
from gateway.outbox.outbox import Outbox
from gateway.pipeline import Pipeline
from gateway.runner.backoff import Backoff
from gateway.runner.uplink import UplinkRunner, UplinkState
from gateway.uplinks.file.config import FileUplink
from gateway.uplinks.http.config import HttpUplink
from gateway.uplinks.mqtt.config import MqttUplink
from gateway.uplinks.registry import uplink_class
from gateway.uplinks.uplink import UplinkContext
from tests.mangler import Mangler
from tests.peers.collector import Collector, Post
from tests.processes import broker, free_port, until
from tests.torture.book import Book
from tests.torture.day import BEGIN, Day, line
from tests.torture.journal import Journals
from tests.torture.simulated_time import SimulatedTime

HOUR_S, MINUTE_S = 3600, 60
MEGABYTE = 1_000_000


class Gateway:
    """An outbox with its store task and its uplinks' runners, started and ended again on the same files."""

    def __init__(self, place: Path, config: Config, buffer: dict[str, Any], uplinks: dict[str, UplinkSettings]) -> None:
        self.place = place
        self.file = place / "buffer.db"
        self.uplinks = uplinks
        self.runners: dict[str, UplinkRunner] = {}
        self._config = BufferConfig.model_validate({"path": "x", "commit_interval": "10ms", **buffer})
        self._line = config
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self.outbox = await Outbox.open(self.file, self._config, self.uplinks)
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self.outbox.run())]
        view = LineView(Pipeline(self._line), {}, self._line)
        for name, settings in self.uplinks.items():
            envelope = Envelope(self._line.source, self.outbox.stream)
            context = UplinkContext(name, self._line.line, envelope, self.place, view)
            make = lambda settings=settings, context=context: uplink_class(settings)(settings, context)  # noqa: E731
            self.runners[name] = UplinkRunner(name, settings, make, self.outbox)
            self._tasks.append(loop.create_task(self.runners[name].run()))

    async def stop(self) -> None:
        await self._end(self._tasks[1:])
        await self.outbox.close()
        await self._tasks[0]

    async def crash(self) -> None:
        """As the kernel would end it."""
        await self._end(self._tasks)
        await self.outbox._store.connection.close()
        self.outbox._task._lock.release()

    async def _end(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def bytes_on_disk(self) -> int:
        return sum(path.stat().st_size for path in self.place.glob("buffer.db*"))


@asynccontextmanager
async def running(
    place: Path, config: Config, buffer: dict[str, Any], **uplinks: UplinkSettings
) -> AsyncIterator[Gateway]:
    gateway = Gateway(place, config, buffer, uplinks)
    await gateway.start()
    try:
        yield gateway
    finally:
        await gateway.stop()


@pytest.fixture(scope="module")
def config() -> Config:
    return line()


@pytest.fixture(scope="module")
def one_day(config: Config) -> tuple[list[list[Event]], Day]:
    """The events of each of its minutes, and the line as it then goes on."""
    day = Day(config)
    return [day.minute() for _ in range(24 * 60)], day


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two attempts to connect: a day of them passes in seconds."""
    monkeypatch.setattr(Backoff, "next", lambda _self: 0.1)


def resident() -> int:
    return int(psutil.Process().memory_info().rss)


async def test_a_day_without_its_server_is_kept_and_told_in_order(
    tmp_path: Path, config: Config, one_day: tuple[list[list[Event]], Day], monkeypatch: pytest.MonkeyPatch
) -> None:
    time = SimulatedTime(BEGIN).install(monkeypatch)
    port = free_port()
    uplinks: dict[str, UplinkSettings] = {
        "mes": HttpUplink.model_validate({"type": "http", "url": f"http://127.0.0.1:{port}/", "from": "oldest"}),
        "copy": FileUplink.model_validate({"type": "file", "path": "copy.ndjson", "from": "oldest"}),
    }
    day, after = one_day
    made = data = 0
    resident_at: list[int] = []
    async with running(tmp_path, config, {"retain": "1h"}, **uplinks) as gateway:
        stream = gateway.outbox.stream
        for hour in range(24):
            for minute in range(60):
                events = day[hour * 60 + minute]
                gateway.outbox.append(events)
                made += len(events)
                data += sum(len(orjson.dumps(event.data)) for event in events)
                time.pass_(MINUTE_S)
                if minute % 5 == 4:
                    await gateway.outbox.flush()
                    assert gateway.outbox.stats.pending == 0
            assert gateway.outbox.backlog("mes") == gateway.outbox.last_seq == made
            assert gateway.runners["mes"].stats.state is not UplinkState.CONNECTED
            await until(lambda: gateway.outbox.backlog("copy") == 0)  # one that is away holds nobody up
            if hour in (5, 11, 17):  # a restart while it is away, in order or not
                await (gateway.crash() if hour == 11 else gateway.stop())
                await gateway.start()
                assert gateway.outbox.stream == stream
            resident_at.append(resident())
        assert made > 25_000
        grown = resident_at[-1] - resident_at[3]
        assert grown < 20 * MEGABYTE, f"{grown / MEGABYTE:.0f} MB more after twenty hours"
        full = gateway.bytes_on_disk()
        assert full < data + 120 * made + 5 * MEGABYTE
        book = await _take_all(gateway, port)
        assert book.last == made
        assert resident() - resident_at[-1] < 40 * MEGABYTE
        copy = Book("copy")
        with contextlib.closing(Journals(tmp_path / "copy.ndjson")) as files:
            for event in files.news():
                copy.take(event)
        book.agrees_with(copy)
        assert copy.last == book.last
        await _shrink(gateway, time, after, full)


async def test_a_day_without_its_server_in_a_buffer_that_is_too_small(
    tmp_path: Path, config: Config, one_day: tuple[list[list[Event]], Day], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The day goes on, in bounded files and memory; what matters least goes, and the rest comes with word of it."""
    time = SimulatedTime(BEGIN).install(monkeypatch)
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    mes: UplinkSettings = HttpUplink.model_validate({"type": "http", "url": url, "from": "oldest"})
    (day, _), made, resident_at = one_day, Counter[str](), list[int]()
    async with running(tmp_path, config, {"max_size": "4MB", "retain": "1h"}, mes=mes) as gateway:
        for hour in range(24):
            for minute in range(60):
                events = day[hour * 60 + minute]
                gateway.outbox.append(events)
                made.update(CLASSES[table_of(event.type)] for event in events)
                time.pass_(MINUTE_S)
                await gateway.outbox.flush()
                assert gateway.bytes_on_disk() <= 4 * MEGABYTE
            if hour in (9, 15):  # the account of what went runs on
                await (gateway.crash() if hour == 9 else gateway.stop())
                await gateway.start()
            resident_at.append(resident())
        grown = resident_at[-1] - resident_at[5]
        assert grown < 20 * MEGABYTE, f"{grown / MEGABYTE:.0f} MB more after eighteen hours"
        assert gateway.outbox.stats.full == FULL
        lost, got = await _take_what_is_left(gateway, port)
    assert lost + got == made
    assert lost["states"] > 0, "it was far too small"
    assert sum(got[name] for name in ("trends", "production", "kpis")) < 100, "states stay longest"
    assert got["states"] > 1000


async def _take_what_is_left(gateway: Gateway, port: int) -> tuple[Counter[str], Counter[str]]:
    """The server is back: by class what gaps tell, and what comes, each naming the one before."""
    lost, got, last = Counter[str](), Counter[str](), 0
    server = Collector()

    async def take(post: Post) -> web.StreamResponse:
        nonlocal last
        for event in post.events:
            assert int(event["prevseq"]) == last, f"{event['seq']} comes after {last}"
            last = int(event["seq"])
            kind = event["type"].removeprefix("linegate.").removesuffix(".v1")
            if kind == "gateway.gap":
                lost[event["data"]["class"]] += event["data"]["count"]
                assert sum(lost.values()) == 0 or int(event["data"]["to"]) < last
            else:
                got[CLASSES[table_of(kind)]] += 1
        server.posts.clear()
        server.taken.clear()
        return web.Response(status=202)

    server.answer = take
    await server.start(port=port)

    async def all_is_told() -> bool:
        await gateway.outbox.flush()
        return not gateway.outbox.backlog("mes") and not gateway.outbox.stats.full

    try:
        await until(all_is_told, 60)
    finally:
        await server.stop()
    return lost, got


async def _take_all(gateway: Gateway, port: int) -> Book:
    """The server is back."""
    book = Book("mes")
    server = Collector()

    async def take(post: Post) -> web.StreamResponse:
        for event in post.events:
            book.take(orjson.dumps(event))
        server.posts.clear()
        server.taken.clear()
        return web.Response(status=202)

    server.answer = take
    await server.start(port=port)
    try:
        await until(lambda: gateway.outbox.backlog("mes") == 0, 60)
        await gateway.outbox.flush()
    finally:
        await server.stop()
    return book


async def _shrink(gateway: Gateway, time: SimulatedTime, day: Day, full: int) -> None:
    """Two hours later, while the line goes on, what all have is gone, and so is the room that it took."""
    time.pass_(2 * HOUR_S)
    last = gateway.outbox.last_seq

    async def is_small() -> bool:
        time.pass_(MINUTE_S)
        gateway.outbox.append(day.minute())
        await gateway.outbox.flush()
        return gateway.file.stat().st_size < full // 5  # its log keeps the size of one checkpoint

    await until(is_small, 30)
    kept = await gateway.outbox.recent(0, 1)
    assert kept[0].seq > last // 2


async def test_a_broker_that_goes_silent_is_left_and_gets_what_it_missed(
    tmp_path: Path, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half open: the connection stands, what is sent is taken, and nothing comes back, not even to new connections."""
    monkeypatch.setattr("gateway.uplinks.mqtt.broker.PUBACK_S", 0.3)
    monkeypatch.setattr("gateway.uplinks.mqtt.broker.CONNACK_S", 0.3)
    port = free_port()
    book = Book("plant")
    total = 0

    async def listen(client: aiomqtt.Client) -> None:
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            book.take(message.payload)

    async def append(gateway: Gateway) -> None:
        nonlocal total
        gateway.outbox.append([Event("signal.trend", "filler", BEGIN + total + n, {"n": total + n}) for n in range(50)])
        total += 50
        await gateway.outbox.flush()

    async with broker(tmp_path / "broker", port), Mangler(port) as proxy, aiomqtt.Client("127.0.0.1", port) as client:
        await client.subscribe("events/#", qos=1)
        listening = asyncio.create_task(listen(client))
        url = f"mqtt://127.0.0.1:{proxy.port}"
        topic = "events/{subject}/{type}"
        plant = MqttUplink.model_validate({"type": "mqtt", "url": url, "from": "oldest", "topic": topic})
        async with running(tmp_path, config, {}, plant=plant) as gateway:
            await append(gateway)
            await until(lambda: gateway.outbox.backlog("plant") == 0)
            for _ in range(3):
                proxy.mangle = lambda _reply: b""
                tries = proxy.connections
                for _ in range(10):
                    await append(gateway)
                await until(lambda tries=tries: proxy.connections > tries + 1)  # type: ignore[misc]
                assert gateway.outbox.backlog("plant") > 0
                assert gateway.outbox.stats.pending == 0
                proxy.mangle = lambda reply: reply
                await until(lambda: gateway.outbox.backlog("plant") == 0)
            await until(lambda: book.last == total or listening.done())
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening
    assert book.last == total == 1550
    assert book.duplicates > 0, "what was sent into the silence came again, or nothing was tested"
