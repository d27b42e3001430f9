"""An error of the engine: the daemon ends, what was decided before it is kept, and half an input is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from pathlib import Path
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from gateway.clock import EngineClock
from gateway.config.model import Config
from gateway.engine import Engine
from gateway.inputs import Reload
from gateway.outbox.outbox import Outbox
from gateway.pipeline import Pipeline
from protocols.model import Batch, Change, Quality
from tests.conftest import line_document
from tests.processes import until

BEGIN = 1_795_327_200_000
SIGNALS = {
    "run": {"address": "coil:0"},
    "bottles": {"address": "holding:0", "type": "uint16"},
    "recipe": {"address": "holding:1", "type": "uint16"},
}
MACHINE = {
    "ideal": "500ms",
    "parts": {"total": "plc.bottles"},
    "states": [{"state": "execute", "when": "plc.run"}, {"state": "idle"}],
}
CONFIG = Config.model_validate(
    line_document(
        devices={"plc": {"protocol": "modbus_tcp", "host": "127.0.0.1", "signals": SIGNALS}},
        machines={"filler": MACHINE, "capper": MACHINE},
        products={"signal": "plc.recipe", "list": {"7": {"ideal": "500ms"}}},
        uplinks={},
        buffer={"path": "line.db", "commit_interval": "10ms"},
    )
)


class Clock(EngineClock):
    """Goes on by a second whenever it is told to."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.utc_offset = 0
        self.synchronised = True

    def now(self) -> int:
        """Engine time."""
        return self.at


class Line:
    """A real pipeline and a real buffer, and what the engine asked of the daemon."""

    def __init__(self, outbox: Outbox, rows: dict[str, bytes]) -> None:
        self.outbox = outbox
        self.store = asyncio.get_running_loop().create_task(outbox.run())
        self.pipeline = Pipeline(CONFIG)
        self.pipeline.restore(rows)
        self.clock = Clock(max(self.pipeline.at, BEGIN) + 1000)
        self.stopped: list[str] = []
        self.engine = Engine(self.pipeline, self.clock, outbox.append, lambda: None, self.stopped.append)
        outbox.checkpoint = self.engine.checkpoint
        self.engine.submit(Reload(self.clock.now(), self.clock.utc_offset))

    def read(self, run: bool, bottles: int) -> None:
        """One scan of both signals, a second after the last one."""
        self.clock.at += 1000
        changes: list[Change] = [(0, run, Quality.GOOD, None, None), (1, bottles, Quality.GOOD, None, None)]
        self.engine.submit(Batch("plc", 0, changes, self.clock.now()))

    async def produced(self) -> list[int]:
        """What each machine has published; the engine ends."""
        self.engine.submit(Reload(self.clock.now(), self.clock.utc_offset, "stop"))
        await self.outbox.flush()
        events = await self.outbox.recent(0, 1000)
        made = {"filler": 0, "capper": 0}
        for event in events:
            if event.type == "machine.production":
                made[event.subject] += orjson.loads(event.data)["total"]
        return list(made.values())

    async def end(self) -> None:
        await self.outbox.close(clean=False)
        await self.store


class Lines:
    def __init__(self, path: Path) -> None:
        self._path = path
        self.lines: list[Line] = []

    async def start(self) -> Line:
        """The daemon's next life."""
        outbox = await Outbox.open(self._path, CONFIG.buffer, {})
        self.lines.append(Line(outbox, await outbox.load_checkpoint()))
        return self.lines[-1]


@pytest.fixture
async def lines(tmp_path: Path) -> AsyncIterator[Lines]:
    lines = Lines(tmp_path / "line.db")
    yield lines
    for line in lines.lines:
        await line.end()


def fail(*_: Any) -> Any:
    raise ZeroDivisionError("a defect")


async def test_a_product_that_is_not_listed_is_said_once_for_as_long_as_it_is_made(lines: Lines) -> None:
    line = await lines.start()
    with capture_logs() as logs:
        for bottles, recipe in enumerate((7, 9, 9, 9, 7, 9)):
            line.read(True, 100 + bottles)
            line.engine.submit(Batch("plc", 0, [(2, recipe, Quality.GOOD, None, None)], line.clock.now()))
            line.read(False, 100 + bottles)
    assert [(entry["event"], entry["product"], entry["machines"]) for entry in logs] == [
        ("product_not_listed", "9", ["filler"])  # none of it has reached the capper yet
    ] * 2


async def test_half_an_input_is_not_stored_and_no_part_is_lost(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    line = await lines.start()
    line.read(True, 100)
    line.read(True, 101)
    await line.outbox.flush()
    with monkeypatch.context() as patched, capture_logs() as logs:
        patched.setattr(line.pipeline._machines[1].parts, "count", fail)
        line.read(True, 102)  # the capper's counter has moved on, and its part is not counted yet
    assert [(entry["event"], entry["input"]) for entry in logs] == [("engine_failed", "Batch")]
    assert line.stopped == ["an error of the engine"]
    line.read(True, 103)  # nothing is decided any more
    await line.outbox.flush()
    await line.end()
    again = await lines.start()
    again.read(True, 104)
    assert await again.produced() == [4, 4]


async def test_what_was_decided_before_is_committed_with_its_rows(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events that wait for their commit when the engine fails are stored with the machines as they then were."""
    line = await lines.start()
    line.read(True, 100)
    await line.outbox.flush()
    line.read(True, 102)
    line.read(False, 102)  # an event: execute ends
    monkeypatch.setattr(line.pipeline._machines[1], "sample", fail)
    with capture_logs():
        line.read(True, 104)
    before = line.outbox.last_seq
    assert line.outbox.stats.pending >= 2
    await line.outbox.flush()
    assert line.outbox.last_seq > before
    rows = await line.outbox.load_checkpoint()
    kept = Pipeline(CONFIG)
    kept.restore(rows)
    assert {machine["state"] for machine in kept.snapshot().values()} == {"idle"}
    await line.end()
    monkeypatch.undo()
    again = await lines.start()
    again.read(True, 105)
    assert await again.produced() == [5, 5]
    ended = [
        (event.subject, data["interval"])
        for event in await again.outbox.recent(0, 1000)
        if event.type == "machine.state" and (data := orjson.loads(event.data))["final"]
    ]
    assert len(ended) == len(set(ended)), "an interval ends once"


@pytest.mark.parametrize("with_events", [True, False])
async def test_a_state_that_cannot_be_kept_is_the_engines_error(
    lines: Lines, monkeypatch: pytest.MonkeyPatch, with_events: bool
) -> None:
    """In words, and not as the store's: that goes on and takes what is left."""
    line = await lines.start()
    line.read(True, 100)
    await line.outbox.flush()

    def refuse(subjects: Collection[str] | None = None) -> Any:
        raise TypeError("cannot be packed")

    monkeypatch.setattr(line.pipeline, "checkpoint", refuse)
    with capture_logs() as logs:
        if with_events:
            line.read(False, 101)
        await line.outbox.flush()
    assert [entry["event"] for entry in logs] == ["engine_failed"]
    assert "traceback" in logs[0]["remedy"]
    assert isinstance(line.engine.failed, TypeError)
    assert line.stopped == ["an error of the engine"]
    assert not line.store.done()
    assert await line.outbox.close(clean=False)


async def test_a_clock_that_is_synchronised_is_told(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it steps then or not: the engine marks no event any more, and `gateway.clock` says since when."""
    monkeypatch.setattr("gateway.engine.CLOCK_CHECK_S", 0.01)
    line = await lines.start()
    said = iter([False, True])
    clock = EngineClock(line.clock.now(), synchronised=lambda: next(said, True))
    line.engine.clock = clock
    line.engine.reload("start")
    assert line.pipeline.snapshot()
    following = asyncio.get_running_loop().create_task(line.engine.follow_clock())
    await until(lambda: clock_events(line))
    following.cancel()
    assert await clock_events(line) == [{"step_s": 0.0, "suspect": False}]


async def clock_events(line: Line) -> list[dict[str, Any]]:
    return [orjson.loads(one.data) for one in await line.outbox.recent(0, 1000) if one.type == "gateway.clock"]
