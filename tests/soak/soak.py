"""A line under load while something goes wrong on every side of its daemon all the time, and what that leaves."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from aiohttp import web

from gateway.demo.configuration import MACHINES
from tests.mangler import Mangler
from tests.peers.collector import Collector, Post
from tests.peers.receivers import MqttReceiver
from tests.peers.witness import NAME, Witness, witness
from tests.processes import Daemon, Simulator, reload, simulator, until
from tests.soak.samples import Sample, growth, warm
from tests.soak.sides import Side, configuration_side, disk_side, http_side, mqtt_side, plc_side
from tests.torture import layer
from tests.torture.book import Book, Broken
from tests.torture.journal import Journals
from tests.torture.line import COUNTERS_BEGIN, all_delivered, has_read, line_document

SPEED = 5.0
"""Times real time at which the machines live."""
EXTRA = 6
"""Signals of which every change is an event."""
SCAN = "200ms"
WITNESS_S = 0.5
CALM_S = 6.0
"""Longest time that a side is well; a fault lasts as long."""
LOOK_S = 2.0
HEAL_S = 240.0
"""In which a line that is well again has caught up; more than the longest wait before a connection is tried again."""
EXECUTOR = 32
"""Threads that Python may keep for files and names, beside those that the daemon has."""
MAY_GROW = {"resident_bytes": 4_000_000, "descriptors": 12.0, "threads": 6.0, "tasks": 6.0}
"""By how much each may grow after the warm-up; all but memory go with connections, and are compared at rest."""
MAY_SKIP = 1 / 1000
"""Of the witness's scans: a shared computer may now and then stand still for longer than one."""
EXPECTED = frozenset({"storing_fails", "reload_refused"})
"""Errors of the log that faults bring about, and the end, which puts the file back while an edit of it is asked for;
every other one is a finding. An edit that is refused otherwise is one, too.
"""


@dataclass(slots=True)
class Figures:
    """What a soak was."""

    seed: int
    seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    events: int = 0
    duplicates: Counter[str] = field(default_factory=Counter)
    made: int = 0
    recovered: int = 0
    samples: list[Sample] = field(default_factory=list)
    scans: int = 0
    skipped: int = 0
    longest_s: float = 0.0
    """The witness's: how often it was asked, how often not in its turn, and the longest time between."""
    rest: tuple[Sample, Sample] | None = None
    """The daemon at rest, before the first fault and after the last."""


class Soak:
    """One soak in an empty directory. `run` raises Broken at the first promise that does not hold."""

    def __init__(
        self, place: Path, seed: int, seconds: float, tell: Callable[[Figures], None] = lambda _figures: None
    ) -> None:
        self.figures = Figures(seed)
        self.books = {name: Book(name) for name in ("journal", "plant", "collector")}
        self._place = place
        self._state = place / "state"
        self._trouble = place / "trouble"
        self._journals = Journals(self._state / "events.ndjson")
        self._seconds = seconds
        self._tell = tell
        self._chance = Random(seed)
        self._broken: Broken | None = None
        self._endpoint = ""
        """The witness's, as the metrics name it."""

    async def run(self) -> Figures:
        """Faults for so long, then heal everything, let the daemon end in order, and compare."""
        self._state.mkdir(parents=True)
        library = layer.build(self._place)
        machines = ("--capper", "0", "--labeler", "0", "--extra-registers", str(EXTRA))
        options = ("--seed", str(self.figures.seed), "--speed", str(SPEED), "--frozen", *machines, *COUNTERS_BEGIN)
        async with (
            simulator(*options) as plc,
            witness(WITNESS_S) as watched,
            self._plant() as (plant, collector),
            AsyncExitStack() as proxies,
        ):
            behind = {"filler": plc.port, "capper": plc.ready["capper"], "labeler": plc.ready["labeler"]}
            behind |= {"mqtt": plant.port, "http": collector.port}
            at = {name: await proxies.enter_async_context(Mangler(port)) for name, port in behind.items()}
            document = await asyncio.to_thread(self._document, at, watched)
            environment = layer.environment(library, self._state, fail=self._trouble)
            one = Daemon(self._state, document, environment=environment)
            lock = asyncio.Lock()
            sides = [plc_side(name, plc, at[name], lock, self._chance) for name in MACHINES]
            sides += [mqtt_side(plant, at["mqtt"], self._chance), http_side(collector, at["http"], self._chance)]
            sides += [disk_side(self._trouble), configuration_side(one, document, self._chance)]
            try:
                await one.start()
                await self._soak(one, plc, watched, sides)
                await self._end(one, plc, document)
            finally:
                self._journals.close()
                if one.process is not None and one.process.returncode is None:
                    await one.kill()
        return self.figures

    async def _soak(self, one: Daemon, plc: Simulator, watched: Witness, sides: Sequence[Side]) -> None:
        truths = (await plc.ask(action="truth"))["machines"]
        await until(lambda: has_read(one, truths))
        await until(one.is_well)
        await until(lambda: all_delivered(one))
        self._endpoint = (await one.line())["devices"][NAME]["endpoint"]
        first = await self._sample(one)
        self.figures.rest = (first, first)
        await plc.tell(action="thaw")
        assert one.process is not None
        watched.begin(one.process.pid)
        began = time.monotonic()
        tormented = [asyncio.create_task(self._torment(side)) for side in sides]
        try:
            while (passed := time.monotonic() - began) < self._seconds:
                done, _ = await asyncio.wait(tormented, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
                self.figures.samples.append(await self._sample(one))
                watched.look()
                self.figures.seconds = passed
                self.figures.scans, self.figures.skipped = watched.scans, watched.skipped
                self.figures.longest_s = watched.longest_s
                await self._look(one)
                self._tell(self.figures)
        finally:
            for task in tormented:
                task.cancel()
            await asyncio.gather(*tormented, return_exceptions=True)

    async def _torment(self, side: Side) -> None:
        longest = min(CALM_S, self._seconds / 8)
        while True:
            await asyncio.sleep(self._chance.uniform(0, longest))
            name = self._chance.choice(list(side.faults))
            async with side.faults[name]():
                self.figures.faults[f"{side.name}: {name}"] += 1
                await asyncio.sleep(self._chance.uniform(0, longest))

    async def _sample(self, one: Daemon) -> Sample:
        if one.process is not None and one.process.returncode is not None:
            raise Broken(f"the daemon ended by itself with exit code {one.process.returncode}, see {one.log}")
        return Sample.of((await one.get("/metrics"))[1], self._endpoint)

    async def _look(self, one: Daemon) -> None:
        """Nothing that came so far may be wrong."""
        for line in await asyncio.to_thread(lambda: list(self._journals.news())):
            self.books["journal"].take(line)
        if self._broken is not None:
            raise self._broken

    async def _end(self, one: Daemon, plc: Simulator, document: dict[str, Any]) -> None:
        code, _, said = await reload(one, document)
        if code != 0:
            raise Broken(f"the configuration of the beginning is refused: {said}")
        truths: dict[str, dict[str, Any]] = (await plc.ask(action="freeze"))["machines"]
        await until(lambda: has_read(one, truths), HEAL_S)
        await until(lambda: all_delivered(one), HEAL_S)
        assert self.figures.rest is not None
        before = self.figures.rest[0]
        try:
            await until(lambda: self._rests(one, before), HEAL_S)
        except AssertionError:
            raise Broken(f"at rest it had {before}, and in the end {self.figures.rest[1]}") from None
        if (code := await one.stop()) != 0:
            raise Broken(f"the daemon ended with exit code {code}, see {one.log}")
        await self._look(one)
        last = self.books["journal"].last
        await until(lambda: self._broken or all(book.last >= last for book in self.books.values()))
        self._judge(one, truths)

    async def _rests(self, one: Daemon, before: Sample) -> bool:
        """Whether it has no more than it had before the first fault."""
        now = await self._sample(one)
        self.figures.rest = (before, now)
        is_less = now.descriptors <= before.descriptors and now.tasks <= before.tasks
        return is_less and now.threads <= before.threads + EXECUTOR

    def _judge(self, one: Daemon, truths: dict[str, dict[str, Any]]) -> None:
        figures, journal = self.figures, self.books["journal"]
        if self._broken is not None:
            raise self._broken
        for book in self.books.values():
            book.agrees_with(journal)
            book.is_produced(truths)
            book.is_without_gaps_of_time(some_wait=True)
            figures.duplicates[book.name] = book.duplicates
            if book.last != journal.last:
                raise Broken(f"{book.name} has {book.last} events, the journal {journal.last}")
        figures.events = journal.last
        figures.made = sum(truth["total"] for truth in truths.values())
        figures.recovered = sum(sums["recovered"] for sums in journal.production.values())
        for line in one.log.read_bytes().splitlines():
            if b'"level": "error"' in line and json.loads(line)["event"] not in EXPECTED:
                raise Broken(f"the daemon says: {line.decode()[:2000]}")
        if figures.skipped > figures.scans * MAY_SKIP:
            raise Broken(
                f"a device that nothing was done to missed {figures.skipped} of its {figures.scans} scans; "
                f"the longest time between two was {figures.longest_s:.2f} s"
            )
        for name, most in MAY_GROW.items():
            if (grown := growth(warm(figures.samples), name)) > most:
                raise Broken(f"{name} grew by {grown:g} after the warm-up, more than {most:g}")

    @asynccontextmanager
    async def _plant(self) -> AsyncIterator[tuple[MqttReceiver, Collector]]:
        """A broker with a subscriber, and a server."""
        plant = _Plant(self._place, self._place)
        plant.take = lambda event: self._enter("plant", event)
        collector = Collector()

        async def take(post: Post) -> web.StreamResponse:
            for event in post.events:
                self._enter("collector", event)
            collector.posts.clear()
            collector.taken.clear()
            return web.Response(status=202)

        collector.answer = take
        await plant.start()
        await collector.start()
        try:
            yield plant, collector
        finally:
            await plant.kill()
            await collector.stop()

    def _enter(self, book: str, event: dict[str, Any]) -> None:
        try:
            self.books[book].enter(event)
        except Broken as error:
            self._broken = self._broken or error

    def _document(self, at: dict[str, Mangler], watched: Witness) -> dict[str, Any]:
        ports = {name: proxy.port for name, proxy in at.items()}
        document = line_document(self._state, ports, ports["mqtt"], SPEED, EXTRA)
        document["devices"]["filler_plc"]["scan_interval"] = SCAN
        for device in (*MACHINES.values(), "labeler_plc"):
            document["devices"][device].setdefault("timeout", "1s")
        document["devices"][NAME] = watched.device
        url = f"http://127.0.0.1:{ports['http']}/events"
        document["uplinks"]["collector"] = {"type": "http", "url": url, "from": "oldest"}
        return document


class _Plant(MqttReceiver):
    """The same broker, whose events are not kept."""

    take: Callable[[dict[str, Any]], None]

    def _take(self, topic: str, payload: bytes) -> None:
        if topic.startswith("events/"):
            self.take(json.loads(payload))
