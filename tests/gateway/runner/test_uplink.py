"""The uplink runner: delivery from a real outbox, through losses, refusals and bugs."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.config.model import BufferConfig, LineConfig
from gateway.events import Envelope, Event, StoredEvent
from gateway.outbox.outbox import Outbox
from gateway.runner.backoff import Backoff
from gateway.runner.uplink import UplinkRunner, UplinkState
from gateway.uplinks.file.config import FileUplink
from gateway.uplinks.file.sink import FileSink
from gateway.uplinks.uplink import Rejected, TryLater, UplinkContext
from protocols.driver import ConfigError, ConnectFailed, NotConnected

CONFIG = FileUplink.model_validate({"type": "file", "path": "events.ndjson", "from": "oldest", "max_attempts": 3})


class Plant:
    """The other side: notes what is delivered, and does what the script says before it behaves."""

    def __init__(self) -> None:
        self.delivered: list[tuple[int, int]] = []
        self.writes: list[list[int]] = []
        self.connects: list[Exception | None] = []
        """What the next connections raise."""
        self.script: list[Callable[[Sequence[StoredEvent]], int]] = []
        """What the next writes do."""
        self.hang_up = asyncio.Event()
        self.made = self.closed = 0
        self.changed = asyncio.Condition()

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(10), self.changed:
            await self.changed.wait_for(condition)

    async def notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()


class Scripted:
    """An uplink into the plant."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        plant.made += 1

    async def connect(self) -> None:
        error = self._plant.connects.pop(0) if self._plant.connects else None
        await self._plant.notify()
        if error is not None:
            raise error

    async def serve(self) -> None:
        await self._plant.hang_up.wait()
        self._plant.hang_up.clear()
        raise NotConnected("the plant hung up")

    async def write(self, events: Sequence[StoredEvent]) -> int:
        plant = self._plant
        plant.writes.append([event.seq for event in events])
        await plant.notify()
        if plant.script:
            step = plant.script.pop(0)
            try:
                count = step(events)
            except Rejected as rejected:
                plant.delivered += [(event.seq, event.prevseq) for event in events[: rejected.which]]
                raise
            if count < 0:
                await asyncio.Event().wait()
        else:
            count = len(events)
        plant.delivered += [(event.seq, event.prevseq) for event in events[:count]]
        await plant.notify()
        return count

    async def close(self) -> None:
        self._plant.closed += 1


def fail(error: Exception) -> Callable[[Sequence[StoredEvent]], int]:
    def step(_events: Sequence[StoredEvent]) -> int:
        raise error

    return step


def refuse(seq: int) -> Callable[[Sequence[StoredEvent]], int]:
    def step(events: Sequence[StoredEvent]) -> int:
        for position, event in enumerate(events):
            if event.seq == seq:
                raise Rejected(position, "payload format invalid")
        return len(events)

    return step


def hang(_events: Sequence[StoredEvent]) -> int:
    return -1


@pytest.fixture
def plant() -> Plant:
    return Plant()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Waits of the backoff, noted and then all but skipped."""
    waits: list[float] = []
    wait = Backoff.next

    def short(self: Backoff) -> float:
        waits.append(wait(self))
        return 0.001

    monkeypatch.setattr(Backoff, "next", short)
    return waits


@pytest.fixture
async def outbox(tmp_path: Path) -> AsyncIterator[Outbox]:
    config = BufferConfig.model_validate({"path": "x", "commit_interval": "10ms"})
    outbox = await Outbox.open(tmp_path / "buffer.db", config, {"mes": CONFIG})
    task = asyncio.get_running_loop().create_task(outbox.run())
    yield outbox
    await outbox.close()
    await task


@contextlib.asynccontextmanager
async def running(outbox: Outbox, plant: Plant) -> AsyncIterator[UplinkRunner]:
    runner = UplinkRunner("mes", CONFIG, lambda: Scripted(plant), outbox)
    task = asyncio.get_running_loop().create_task(runner.run())
    try:
        yield runner
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert task.cancelled()
        assert plant.made == plant.closed, "each uplink is used once and closed"


def make(outbox: Outbox, *numbers: int) -> None:
    outbox.append([Event("machine.state", "filler", number, {"n": number}) for number in numbers])


def chain(count: int) -> list[tuple[int, int]]:
    return [(seq, seq - 1) for seq in range(1, count + 1)]


async def test_everything_is_delivered_once(outbox: Outbox, plant: Plant) -> None:
    async with running(outbox, plant) as runner:
        make(outbox, *range(1, 1201))
        await plant.until(lambda: len(plant.delivered) == 1200)
        make(outbox, 1201)
        await plant.until(lambda: len(plant.delivered) == 1201)
        assert plant.delivered == chain(1201)
        assert max(map(len, plant.writes)) == 500
        assert outbox.backlog("mes") == 0
        stats = runner.stats
        assert (stats.state, stats.why, stats.sent, stats.acknowledged, stats.reconnects) == (
            "connected", "", 1201, 1201, 0,
        )  # fmt: skip
        assert stats.delivered_until is not None


async def test_what_was_not_acknowledged_is_sent_again(outbox: Outbox, plant: Plant) -> None:
    plant.script = [lambda _events: 2, fail(NotConnected("gone", "mend it"))]
    make(outbox, 1, 2, 3, 4)
    async with running(outbox, plant) as runner:
        await plant.until(lambda: len(plant.delivered) == 4)
        assert plant.writes == [[1, 2, 3, 4], [3, 4], [3, 4]]
        assert plant.delivered == chain(4)
        assert (plant.made, runner.stats.reconnects) == (2, 1)


async def test_a_loss_and_its_end_are_each_said_once(outbox: Outbox, plant: Plant) -> None:
    plant.connects = [ConnectFailed(f"refused {number}", "start it") for number in range(5)]
    with capture_logs() as logs:
        async with running(outbox, plant) as runner:
            await plant.until(lambda: plant.made == 4)
            assert runner.stats.state in (UplinkState.BACKOFF, UplinkState.CONNECTING)
            assert runner.stats.why.startswith("refused")
            assert runner.stats.remedy == "start it"
            make(outbox, 1)
            await plant.until(lambda: plant.delivered)
            plant.hang_up.set()
            make(outbox, 2)
            await plant.until(lambda: plant.made == 7 and len(plant.delivered) == 2)
    said = [(entry["event"], entry.get("why"), entry.get("remedy")) for entry in logs]
    assert said == [
        ("uplink_lost", "refused 0", "start it"),
        ("uplink_restored", None, None),
        ("uplink_lost", "the plant hung up", ""),
        ("uplink_restored", None, None),
    ]


async def test_connections_that_only_fail_do_not_count_as_back(
    outbox: Outbox, plant: Plant, quick: list[float]
) -> None:
    """Connecting works, delivering does not: the waits grow, and there is one line in the log."""
    plant.script = [fail(NotConnected("not authorized", "let it publish"))] * 8
    make(outbox, 1)
    with capture_logs() as logs:
        async with running(outbox, plant):
            await plant.until(lambda: plant.delivered)
    assert [entry["event"] for entry in logs] == ["uplink_lost", "uplink_restored"]
    assert len(quick) == 8
    assert quick[-1] >= 15.0


async def test_an_idle_connection_counts_as_back_after_a_while(
    outbox: Outbox, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.runner.uplink.STEADY_S", 0.01)
    plant.connects = [ConnectFailed("refused")]
    async with running(outbox, plant) as runner:
        await plant.until(lambda: plant.made == 2)
        async with asyncio.timeout(5):
            while runner.stats.why:
                await outbox.recent(0, 1)
        assert runner.stats.state is UplinkState.CONNECTED


async def test_a_refused_event_is_tried_alone_and_then_set_aside(outbox: Outbox, plant: Plant) -> None:
    plant.script = [refuse(3)] * 3
    make(outbox, 1, 2, 3, 4, 5)
    with capture_logs() as logs:
        async with running(outbox, plant) as runner:
            await plant.until(lambda: len(plant.delivered) == 4)
    assert plant.writes == [[1, 2, 3, 4, 5], [3], [3], [4, 5]]
    assert plant.delivered == [(1, 0), (2, 1), (4, 2), (5, 4)]
    stats = runner.stats
    assert (stats.refused, stats.acknowledged, stats.reconnects) == (3, 4, 0)
    assert outbox.stats.quarantined == 1
    (entry,) = [entry for entry in logs if entry["event"] == "event_quarantined"]
    assert (entry["seq"], entry["why"]) == (3, "payload format invalid")


async def test_refusals_are_counted_over_connections(outbox: Outbox, plant: Plant) -> None:
    plant.script = [refuse(1), fail(NotConnected("gone")), refuse(1), fail(NotConnected("gone")), refuse(1)]
    make(outbox, 1, 2)
    async with running(outbox, plant) as runner:
        await plant.until(lambda: plant.delivered)
        assert plant.delivered == [(2, 0)]
        assert runner.stats.refused == 3


async def test_an_event_that_is_taken_at_last_is_no_case_for_quarantine(outbox: Outbox, plant: Plant) -> None:
    plant.script = [refuse(1), refuse(1)]
    make(outbox, 1, 2)
    async with running(outbox, plant):
        await plant.until(lambda: len(plant.delivered) == 2)
        assert plant.delivered == chain(2)
        assert outbox.stats.quarantined == 0
        make(outbox, 3, 4)
        await plant.until(lambda: len(plant.delivered) == 4)
        assert plant.writes == [[1, 2], [1], [1], [2], [3, 4]]


async def test_a_server_that_asks_for_time_gets_it(
    outbox: Outbox, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr("gateway.runner.uplink.asyncio", Forwarded(asyncio, sleep=sleep))
    plant.script = [fail(TryLater("answers 503", "see its log", 30.0)), fail(NotConnected("gone"))]
    make(outbox, 1)
    async with running(outbox, plant):
        await plant.until(lambda: plant.delivered)
    assert waits == [30.001, 0.001]


class Forwarded:
    """A module with some names of its own."""

    def __init__(self, module: Any, **own: Any) -> None:
        self._module = module
        self.__dict__.update(own)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


async def test_losses_never_quarantine(outbox: Outbox, plant: Plant) -> None:
    plant.script = [fail(NotConnected("timeout"))] * 10
    make(outbox, 1)
    async with running(outbox, plant):
        await plant.until(lambda: plant.delivered)
    assert plant.delivered == chain(1)
    assert outbox.stats.quarantined == 0


async def test_a_wrong_configuration_is_retried_slowly_and_said_once(
    outbox: Outbox, plant: Plant, monkeypatch: pytest.MonkeyPatch, quick: list[float]
) -> None:
    monkeypatch.setattr("gateway.runner.uplink.CONFIG_RETRY_S", 0.002)
    plant.connects = [ConnectFailed("refused"), *[ConfigError("no password", "write it")] * 4]
    with capture_logs() as logs:
        async with running(outbox, plant) as runner:
            await plant.until(lambda: plant.made == 4)
            assert runner.stats.why == "no password"
            make(outbox, 1)
            await plant.until(lambda: plant.delivered)
    assert [entry.get("why") for entry in logs] == ["refused", "no password", None]
    assert len(quick) == 1


async def test_a_bug_costs_one_connection_and_shows_its_traceback_once(outbox: Outbox, plant: Plant) -> None:
    plant.script = [fail(ZeroDivisionError("a bug"))] * 3
    make(outbox, 1)
    with capture_logs() as logs:
        async with running(outbox, plant) as runner:
            await plant.until(lambda: len(plant.writes) == 3)
            assert "a bug" in runner.stats.why
            await plant.until(lambda: plant.delivered)
    (failure,) = [entry for entry in logs if entry["event"] == "uplink_failed"]
    assert isinstance(failure["exc_info"], ZeroDivisionError)


async def test_an_uplink_that_cannot_be_made_is_a_bug_too(outbox: Outbox, plant: Plant) -> None:
    def broken() -> Scripted:
        if plant.made == 0:
            plant.made = plant.closed = 1
            raise ImportError("no such library")
        return Scripted(plant)

    runner = UplinkRunner("mes", CONFIG, broken, outbox)
    make(outbox, 1)
    with capture_logs() as logs:
        task = asyncio.get_running_loop().create_task(runner.run())
        await plant.until(lambda: plant.delivered)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert logs[0]["event"] == "uplink_failed"


async def test_a_stuck_write_is_given_up(outbox: Outbox, plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.runner.uplink.PROGRESS_S", 0.02)
    plant.script = [hang]
    make(outbox, 1)
    async with running(outbox, plant):
        await plant.until(lambda: plant.delivered)
    assert plant.made == 2


async def test_a_stuck_connect_and_a_stuck_close_are_given_up(
    outbox: Outbox, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.runner.uplink.CONNECT_S", 0.02)
    monkeypatch.setattr("gateway.runner.uplink.CLOSE_S", 0.02)

    class Stuck(Scripted):
        async def connect(self) -> None:
            await asyncio.Event().wait()

        async def close(self) -> None:
            await super().close()
            await asyncio.Event().wait()

    def make_uplink() -> Scripted:
        return Stuck(plant) if plant.made < 2 else Scripted(plant)

    runner = UplinkRunner("mes", CONFIG, make_uplink, outbox)
    make(outbox, 1)
    task = asyncio.get_running_loop().create_task(runner.run())
    await plant.until(lambda: plant.delivered)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert plant.made == 3


async def test_cancellation_gets_out_whatever_else_fails(outbox: Outbox, plant: Plant) -> None:
    """Also when a child fails in the same turn of the loop, which a TaskGroup of Python 3.11 hides."""

    class Last(Scripted):
        async def serve(self) -> None:
            await asyncio.sleep(0)
            task.cancel()
            raise NotConnected("gone")

    runner = UplinkRunner("mes", CONFIG, lambda: Last(plant), outbox)
    task = asyncio.get_running_loop().create_task(runner.run())
    done, _ = await asyncio.wait({task}, timeout=2)
    assert done
    assert task.cancelled()
    assert plant.made == plant.closed == 1


async def test_a_cancellation_that_a_library_keeps_ends_the_runner_all_the_same(outbox: Outbox, plant: Plant) -> None:
    class Swallowing(Scripted):
        async def connect(self) -> None:
            await plant.notify()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

    runner = UplinkRunner("mes", CONFIG, lambda: Swallowing(plant), outbox)
    task = asyncio.get_running_loop().create_task(runner.run())
    await plant.until(lambda: plant.made)
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=2)
    assert done
    assert task.cancelled()
    assert plant.closed == 1


async def test_into_a_real_file_over_a_restart(outbox: Outbox, tmp_path: Path) -> None:
    line = LineConfig(enterprise="acme", site="berlin", area="filling", name="line-3")
    context = UplinkContext("mes", line, Envelope("/acme", outbox.stream), tmp_path, None)  # type: ignore[arg-type]
    for first in (1, 101):
        runner = UplinkRunner("mes", CONFIG, lambda: FileSink(CONFIG, context), outbox)
        task = asyncio.get_running_loop().create_task(runner.run())
        make(outbox, *range(first, first + 100))
        await outbox.flush()
        async with asyncio.timeout(10):
            while outbox.backlog("mes"):
                await outbox.recent(outbox.last_seq, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    lines = (tmp_path / "events.ndjson").read_bytes().splitlines()
    assert len(lines) == 200


def test_backoff_doubles_to_its_cap_with_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    backoff = Backoff(first=1.0, cap=8.0)
    waits = [backoff.next() for _ in range(6)]
    for wait, longest in zip(waits, (1, 2, 4, 8, 8, 8), strict=True):
        assert longest / 2 <= wait <= longest
    backoff.reset()
    assert backoff.next() <= 1.0
    assert len({Backoff().next() for _ in range(10)}) > 1


async def test_a_backlog_goes_no_faster_than_the_rate(outbox: Outbox, plant: Plant) -> None:
    outbox.append([Event("machine.state", "filler", 1, {}) for _ in range(100)])
    await outbox.flush()
    config = FileUplink.model_validate({"type": "file", "path": "x", "rate": "200/s"})
    runner = UplinkRunner("mes", config, lambda: Scripted(plant), outbox)
    began = time.monotonic()
    task = asyncio.get_running_loop().create_task(runner.run())
    await plant.until(lambda: len(plant.delivered) == 100)
    assert time.monotonic() - began > 0.35
    assert max(map(len, plant.writes)) == 20
    assert [seq for seq, _ in plant.delivered] == list(range(1, 101))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
