"""The crash campaign: a line under load whose daemon is killed again and again, and what its uplinks then hold."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import aiomqtt

from tests.mangler import Mangler
from tests.processes import Daemon, Simulator, broker, free_port, simulator, until
from tests.torture import layer
from tests.torture.book import Book, Broken
from tests.torture.journal import Journals
from tests.torture.line import COUNTERS_BEGIN, KEEP, all_delivered, has_read, line_document
from tests.torture.steps import BIRTH, RANDOM, Step, plan

SPEED = 5.0
"""Times real time at which the machines live."""
EXTRA = 30
"""Signals of which every change is an event."""
START_S = CATCH_UP_S = 120.0
TOLD = 200
"""Events that all uplinks have once they have caught up."""
STEP_S = 10.0
"""How long a step is waited for, from the start's end."""
RUN_S = 0.5
"""Longest life of a daemon that is killed at any moment."""


@dataclass(slots=True)
class Figures:
    """What a campaign was."""

    seed: int
    kills: int = 0
    starts: int = 0
    events: int = 0
    duplicates: Counter[str] = field(default_factory=Counter)
    made: int = 0
    recovered: int = 0
    let_go: int = 0
    """Events that retention had deleted by the end."""
    steps: Counter[str] = field(default_factory=Counter)
    """Kills by the step at which they came."""
    missed: Counter[str] = field(default_factory=Counter)
    """Steps that did not come in time; the daemon was killed all the same."""
    seconds: float = 0.0


class Campaign:
    """One campaign in an empty directory. `run` raises Broken at the first promise that does not hold."""

    def __init__(
        self, place: Path, seed: int, kills: int, tell: Callable[[Figures, str], None] = lambda _figures, _step: None
    ) -> None:
        self.figures = Figures(seed)
        self.books = {name: Book(name) for name in ("journal", "plant")}
        self._place = place
        self._state = place / "state"
        self._journals = Journals(self._state / "events.ndjson")
        self._chance = Random(seed)
        births = BIRTH[: max(1, kills // 25)]
        self._plan = [*births, *plan(kills - len(births), self._chance)]
        self._tell = tell
        self._listening: asyncio.Task[None] | None = None

    async def run(self) -> Figures:
        """Kill as planned, then let the daemon end in order and compare."""
        began = time.monotonic()
        self._state.mkdir(parents=True)
        for number in range(1, KEEP + 1):  # as if it had long been running: each rotation takes the oldest away
            (self._state / f"events.ndjson.{number:08}").touch()
        library = layer.build(self._place)
        machines = ("--capper", "0", "--labeler", "0", "--extra-registers", str(EXTRA))
        speed = ("--speed", str(SPEED))
        port = free_port()
        truth = ("--truth", str(self._place / "truth.ndjson"))
        async with (
            simulator("--seed", str(self.figures.seed), "--frozen", *speed, *machines, *COUNTERS_BEGIN, *truth) as plc,
            broker(self._place / "broker", port),
            self._subscribed(port),
            Mangler(port) as proxy,
        ):
            ports = {"filler": plc.port, "capper": plc.ready["capper"], "labeler": plc.ready["labeler"]}
            document = await asyncio.to_thread(line_document, self._state, ports, proxy.port, SPEED, EXTRA)
            document["buffer"] |= {"commit_interval": "10ms", "retain": "1s"}
            one = Daemon(self._state, document)
            try:
                await self._kill_as_planned(one, plc, proxy, library)
                await self._end(one, plc, proxy)
            finally:
                self._journals.close()
                if one.process is not None and one.process.returncode is None:
                    await one.kill()
        self.figures.seconds = time.monotonic() - began
        return self.figures

    async def _kill_as_planned(self, one: Daemon, plc: Simulator, proxy: Mangler, library: Path) -> None:
        for number, step in enumerate(self._plan):
            if number == sum(step in BIRTH for step in self._plan):
                proxy.mangle = lambda reply: reply
                await self._first_look(one, plc)
            if number == len(self._plan) // 2:
                await self._catch_up(one, proxy)
            self._spoil(proxy)
            self._tell(self.figures, step.name)
            moment = step.at(self._chance) if step.moment else ""
            one.environment |= layer.environment(library, self._state, kill=moment, port=proxy.port)
            if not moment:
                one.environment.pop("LAYER_KILL", None)
            await one.start(ready=False)
            self.figures.starts += 1
            hit = await self._await_end(one, step)
            self.figures.kills += 1
            (self.figures.steps if hit else self.figures.missed)[step.name] += 1
            self._look(one)

    async def _first_look(self, one: Daemon, plc: Simulator) -> None:
        """The machines stand still until the daemon has stored what their counters begin with."""
        one.environment.pop("LD_PRELOAD", None)
        await one.start()
        self.figures.starts += 1
        truths = (await plc.ask(action="truth"))["machines"]
        await until(lambda: has_read(one, truths))
        if (code := await one.stop()) != 0:
            raise Broken(f"the daemon ended with exit code {code}, see {one.log}")
        await plc.tell(action="thaw")

    async def _catch_up(self, one: Daemon, proxy: Mangler) -> None:
        """Until so much is told that the next start has something to let go; then it is killed as well."""
        one.environment.pop("LD_PRELOAD", None)
        proxy.mangle = lambda reply: reply
        await one.start()
        self.figures.starts += 1

        async def has_caught_up() -> bool:
            self._look(one)  # however long it takes, and however many files it fills
            line = await one.line()
            waiting = max(uplink["backlog"] for uplink in line["uplinks"].values())
            return bool(int(line["buffer"]["last_seq"]) - waiting > TOLD)

        await until(has_caught_up, CATCH_UP_S)
        await one.kill()

    async def _await_end(self, one: Daemon, step: Step) -> bool:
        """Wait for the layer's kill, or kill at any moment; whether the kill is the one that was meant."""
        assert one.process is not None
        ended = asyncio.ensure_future(one.process.wait())
        begins_at = one.log.stat().st_size
        try:
            if step.name == RANDOM and self._chance.random() < 0.2:
                await asyncio.wait({ended}, timeout=self._chance.uniform(0, 1.0))
            else:
                deadline = time.monotonic() + START_S
                while b'"started"' not in _since(one.log, begins_at) and not ended.done():
                    if time.monotonic() > deadline:
                        raise Broken(f"the daemon did not start within {START_S:g} s, see {one.log}")
                    await asyncio.wait({ended}, timeout=0.02)
                lives = self._chance.uniform(0, RUN_S) if step.name == RANDOM else STEP_S
                await asyncio.wait({ended}, timeout=lives)
            hit = ended.done()
            if not hit:
                one.process.kill()
            code = await ended
        finally:
            ended.cancel()
        if code != -9:
            raise Broken(f"the daemon ended by itself with exit code {code}, see {one.log}")
        return hit or step.name == RANDOM

    def _spoil(self, proxy: Mangler) -> None:
        """Some of the time the broker takes everything and answers nothing, or answers later and later."""
        weather = self._chance.random()
        proxy.drop()
        proxy.mangle = (lambda _reply: b"") if weather < 0.15 else lambda reply: reply

    def _look(self, one: Daemon) -> None:
        if self._listening is not None and self._listening.done():
            self._listening.result()
            raise Broken("the broker has ended")
        for line in self._journals.news():
            self.books["journal"].take(line)
        self.books["journal"].agrees_with(self.books["plant"])
        if b'"level": "error"' in (said := one.log.read_bytes()):
            bad = next(line for line in said.splitlines() if b'"level": "error"' in line)
            raise Broken(f"the daemon says: {bad.decode()[:2000]}")

    async def _end(self, one: Daemon, plc: Simulator, proxy: Mangler) -> None:
        """Heal everything, wait until all is told, end in order; then the books are complete and equal to the truth."""
        for name in ("LD_PRELOAD", "LAYER_KILL"):
            one.environment.pop(name, None)
        proxy.mangle = lambda reply: reply
        await one.start()
        self.figures.starts += 1
        truths: dict[str, dict[str, Any]] = (await plc.ask(action="freeze"))["machines"]
        await until(lambda: has_read(one, truths), CATCH_UP_S)
        await until(lambda: all_delivered(one), CATCH_UP_S)
        if (code := await one.stop()) != 0:
            raise Broken(f"the daemon ended with exit code {code}, see {one.log}")
        self._look(one)
        journal, plant = self.books["journal"], self.books["plant"]
        await until(lambda: plant.last >= journal.last or (self._listening and self._listening.done()))
        self._look(one)
        if plant.last != journal.last:
            raise Broken(f"the plant has {plant.last} events, the journal {journal.last}")
        for book in (journal, plant):
            book.is_produced(truths)
            book.is_without_gaps_of_time()
            self.figures.duplicates[book.name] = book.duplicates
        self.figures.events = journal.last
        self.figures.let_go = await asyncio.to_thread(_oldest, self._state / "line.db") - 1
        self.figures.made = sum(truth["total"] for truth in truths.values())
        self.figures.recovered = sum(sums["recovered"] for sums in journal.production.values())

    @asynccontextmanager
    async def _subscribed(self, port: int) -> AsyncIterator[None]:
        async def listen(client: aiomqtt.Client) -> None:
            with suppress(aiomqtt.MqttError):
                async for message in client.messages:
                    assert isinstance(message.payload, bytes)
                    self.books["plant"].take(message.payload)

        async with aiomqtt.Client("127.0.0.1", port) as client:
            await client.subscribe("events/#", qos=1)
            self._listening = asyncio.create_task(listen(client))
            try:
                yield
            finally:
                self._listening.cancel()
                await asyncio.gather(self._listening, return_exceptions=True)


def _oldest(file: Path) -> int:
    with closing(sqlite3.connect(file)) as connection:
        found: int = connection.execute("SELECT min(seq) FROM stored").fetchone()[0]
    return found


def _since(log: Path, begin: int) -> bytes:
    with log.open("rb") as file:
        file.seek(begin)
        return file.read()
