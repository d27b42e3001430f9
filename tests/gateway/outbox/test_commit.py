"""Group commit: numbers, checkpoint rows, failures that pass, and those that do not."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from structlog.testing import capture_logs

from gateway.checkpoint import pack
from gateway.events import Event
from gateway.outbox.outbox import BufferError, Outbox

if TYPE_CHECKING:
    from tests.gateway.outbox.conftest import Bench, Machines


async def pragma(outbox: Outbox, text: str) -> None:
    """Between two statements of the store task, on its own connection: nobody else could make its commits fail."""
    await outbox._store.connection.execute_fetchall(f"PRAGMA {text}")


async def test_events_of_one_interval_are_one_commit(bench: Bench) -> None:
    outbox = await bench.open("mes")
    before = outbox.stats.commits
    outbox.append(bench.events(1))
    outbox.append(bench.events(2, 3))
    assert (outbox.last_seq, outbox.stats.pending) == (0, 3)
    events = await outbox.read("mes", 10)
    assert [orjson.loads(event.data) for event in events] == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert (outbox.last_seq, outbox.stats.pending, outbox.stats.commits - before) == (3, 0, 1)
    assert outbox.stats.events_stored == 3
    assert outbox.stats.commit_ms > 0


async def test_nothing_dirty_writes_nothing(bench: Bench) -> None:
    outbox = await bench.open("mes")
    before = outbox.stats.commits
    outbox.append([])
    await outbox.flush()
    assert await outbox.recent(0, 10) == []
    assert outbox.stats.commits == before


async def test_numbers_go_on_over_restarts(bench: Bench) -> None:
    for begin in (0, 10, 20):
        outbox = await bench.open()
        assert outbox.last_seq == begin
        outbox.append(bench.events(*range(10)))
        await outbox.close()


async def test_a_commit_carries_its_machines_rows(bench: Bench, machines: Machines) -> None:
    outbox = await bench.open()
    outbox.checkpoint = machines.rows
    machines.dirty = {"filler": b"1", "capper": b"2"}
    outbox.append(bench.events(1))
    await machines.attempts(1)
    await outbox.recent(0, 1)
    assert machines.asked == [{"filler"}]
    assert await outbox.load_checkpoint() == {"filler": b"1"}
    await outbox.flush()
    assert machines.asked[-1] is None
    assert await outbox.load_checkpoint() == {"filler": b"1", "capper": b"2"}
    machines.dirty = {"filler": b""}
    await outbox.flush()
    assert await outbox.load_checkpoint() == {"capper": b"2"}


async def test_idle_rows_are_stored_now_and_then(
    bench: Bench, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.outbox.turns.CHECKPOINT_S", 0.01)
    outbox = await bench.open()
    outbox.checkpoint = machines.rows
    machines.dirty = {"filler": b"1"}
    await machines.attempts(2)
    assert await outbox.load_checkpoint() == {"filler": b"1"}
    assert set(map(str, machines.asked)) == {"None"}


@pytest.mark.parametrize("broken", ["max_page_count = 1", "query_only = 1"])
async def test_a_failed_commit_is_replayed(bench: Bench, machines: Machines, broken: str) -> None:
    outbox = await bench.open("mes")
    outbox.checkpoint = machines.rows
    followed: list[int] = []
    outbox.follow(lambda first, events: followed.extend(range(first, first + len(events))))
    outbox.append(bench.events(1))
    await outbox.flush()
    await pragma(outbox, broken)
    await machines.attempts(1)
    machines.dirty = {"filler": b"old", "capper": b"c"}
    with capture_logs() as logs:
        outbox.append([Event("signal.trend", "filler", 2, {"n": 2, "long": "x" * 50_000}), *bench.events(3)])
        outbox.append(bench.events(4, subject="capper"))
        await machines.attempts(1)
        machines.dirty = {"filler": b"new"}
        outbox.append(bench.events(5))
        await machines.attempts(2)
        assert (outbox.last_seq, outbox.stats.pending) == (1, 4)
        assert outbox.stats.degraded
        assert outbox.stats.commit_failures >= 2
        assert bench.chain(await outbox.recent(0, 9)) == [(1, 0)]
        assert followed == [1], "nobody hears of what is not on the disk"
        await pragma(outbox, "max_page_count = 1000000")
        await pragma(outbox, "query_only = 0")
        await outbox.flush()
    assert outbox.stats.degraded == ""
    assert followed == [1, 2, 3, 4, 5]
    assert [entry["event"] for entry in logs] == ["storing_fails", "storing_works_again"]
    events = await outbox.read("mes", 10)
    assert bench.chain(events) == [(1, 0), (2, 1), (3, 2), (4, 3), (5, 4)]
    assert [orjson.loads(event.data)["n"] for event in events] == [1, 2, 3, 4, 5]
    assert await outbox.load_checkpoint() == {"filler": b"new", "capper": b"c"}


async def test_cursors_and_quarantine_survive_a_failed_commit(bench: Bench, machines: Machines) -> None:
    outbox = await bench.open("mes")
    outbox.checkpoint = machines.rows
    outbox.append(bench.events(1, 2, 3))
    first, second, _ = await outbox.read("mes", 10)
    await machines.attempts(1)
    await pragma(outbox, "query_only = 1")
    outbox.acknowledge("mes", first)
    waiting = asyncio.ensure_future(outbox.quarantine("mes", second, "refused"))
    outbox.append(bench.events(4))
    await machines.attempts(2)
    assert not waiting.done()
    await pragma(outbox, "query_only = 0")
    async with asyncio.timeout(5):
        await waiting
    await bench.crash(outbox)
    again = await bench.open("mes")
    assert bench.chain(await again.read("mes", 10)) == [(3, 1), (4, 3)]
    assert again.stats.quarantined == 1


async def test_an_error_that_cannot_pass_ends_the_store(bench: Bench) -> None:
    outbox = await bench.open("mes")
    reading = asyncio.ensure_future(outbox.read("mes", 1))
    await outbox._store.connection.execute("DROP TABLE event")
    outbox.append(bench.events(1))
    with pytest.raises(BufferError, match="no such table"):
        await reading
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await bench.task(outbox)
    with pytest.raises(BufferError, match="has ended"):
        await outbox.read("mes", 1)
    with pytest.raises(BufferError, match="has ended"):
        await outbox.flush()
    with capture_logs() as logs:
        await outbox.close(clean=False)
    assert logs[0]["events"] == 1


async def test_a_full_disk_at_the_end_is_said_and_does_not_hold_the_exit(bench: Bench) -> None:
    outbox = await bench.open()
    await pragma(outbox, "query_only = 1")
    outbox.append(bench.events(1, 2))
    with capture_logs() as logs:
        async with asyncio.timeout(5):
            assert not await outbox.close()
    assert [(entry["log_level"], entry["events"]) for entry in logs][-1] == ("error", 2)
    assert (await bench.open()).last_seq == 0


async def test_a_disk_that_hangs_at_the_end_does_not_hold_who_has_a_deadline(bench: Bench) -> None:
    outbox = await bench.open()
    hangs = threading.Event()
    try:
        execute: Any = outbox._store.connection._execute
        stuck = asyncio.ensure_future(execute(hangs.wait))
        bench.task(outbox).cancel()
        outbox.append(bench.events(1, 2))
        with capture_logs() as logs, pytest.raises(TimeoutError):
            await asyncio.wait_for(outbox.close(), 0.2)
        assert [(entry["event"], entry["why"]) for entry in logs] == [
            ("last_commit_failed", "the disk does not answer")
        ]
        assert logs[0]["events"] == 2
    finally:
        hangs.set()
    await stuck
    await outbox._store.connection.close()
    outbox._task._lock.release()


async def test_a_replayed_commit_asks_for_the_subjects_of_all_its_events(bench: Bench, machines: Machines) -> None:
    outbox = await bench.open()
    outbox.checkpoint = machines.rows
    await pragma(outbox, "query_only = 1")
    outbox.append(bench.events(1))
    await machines.attempts(2)
    outbox.append([*bench.events(2, subject="plc"), *bench.events(3, subject="plc.bottles")])
    await machines.attempts(2)
    assert machines.asked[-1] == {"filler", "plc", "plc.bottles"}
    assert {frozenset(asked or ()) for asked in machines.asked[:2]} == {frozenset({"filler"})}
    await pragma(outbox, "query_only = 0")
    while outbox.last_seq < 3:
        await outbox.recent(0, 1)
    outbox.append(bench.events(4, subject="capper"))
    await machines.attempts(1)
    while machines.asked[-1] != {"capper"}:
        await machines.attempts(1)


@pytest.mark.parametrize(
    ("data", "stored"),
    [
        ({"n": 2**64}, {"n": "18446744073709551616"}),
        ({"n": -(2**63) - 1, "m": 1}, {"n": "-9223372036854775809", "m": 1}),
        ({"text": "\ud800", "list": [1, {2}]}, {"text": "\\ud800", "list": [1, "{2}"]}),
        ({1: 2}, {"1": 2}),
    ],
)
async def test_what_json_cannot_carry_hurts_nobody_else(
    bench: Bench, data: dict[str, Any], stored: dict[str, Any]
) -> None:
    outbox = await bench.open("mes")
    with capture_logs() as logs:
        outbox.append([*bench.events(1), Event("machine.state", "filler", 5, data), *bench.events(3)])
    assert [entry["event"] for entry in logs] == ["event_mended"]
    events = await outbox.read("mes", 10)
    assert [orjson.loads(event.data) for event in events] == [{"n": 1}, stored, {"n": 3}]
    assert outbox.stats.events_mended == 1


async def test_64_bits_are_kept_to_the_last(bench: Bench) -> None:
    outbox = await bench.open("mes")
    extremes = {"high": 2**64 - 1, "low": -(2**63)}
    outbox.append([Event("machine.state", "filler", 5, extremes)])
    (event,) = await outbox.read("mes", 10)
    assert orjson.loads(event.data) == extremes
    assert outbox.stats.events_mended == 0


async def test_an_event_without_end_is_stored_in_part(bench: Bench) -> None:
    outbox = await bench.open("mes")
    endless: dict[str, Any] = {"n": 1}
    endless["self"] = endless
    with capture_logs():
        outbox.append([Event("machine.state", "\udcff", 2**70, endless)])
    (event,) = await outbox.read("mes", 10)
    assert orjson.loads(event.data)["n"] == 1
    assert event.time == 253_402_300_799_999


@pytest.mark.parametrize(
    "statement", ["BEGIN", "INSERT INTO event", "INSERT OR REPLACE INTO checkpoint", "UPDATE", "COMMIT"]
)
async def test_a_cancelled_store_task_leaves_a_whole_transaction(
    bench: Bench, machines: Machines, statement: str
) -> None:
    """Whichever statement the cancellation meets, `close` finds out what became of it: nothing lost, nothing twice."""
    outbox = await bench.open()
    outbox.checkpoint = machines.rows
    machines.dirty = {"filler": pack({"n": 1})}
    loop, store, ended = asyncio.get_running_loop(), bench.task(outbox), threading.Event()
    store.add_done_callback(lambda _store: ended.set())
    cancelled: list[str] = []

    def meddle(sql: str) -> None:
        """In the connection's thread, which has the statement and waits with it until the store task is gone."""
        if sql.startswith(statement) and not cancelled:
            cancelled.append(sql)
            loop.call_soon_threadsafe(store.cancel)
            ended.wait(10)

    await outbox._store.connection.set_trace_callback(meddle)
    outbox.append(bench.events(1, 2, 3))
    with pytest.raises(asyncio.CancelledError):
        await bench.task(outbox)
    assert cancelled
    outbox.append(bench.events(4))
    await outbox.close()
    again = await bench.open("mes", begin="oldest")
    events = await again.read("mes", 10)
    assert bench.chain(events) == [(1, 0), (2, 1), (3, 2), (4, 3)]
    assert [orjson.loads(event.data)["n"] for event in events] == [1, 2, 3, 4]
    assert await again.load_checkpoint() == {"filler": pack({"n": 1})}


async def test_the_heartbeat_goes_on_while_idle(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.outbox.turns.TURN_S", 0.01)
    outbox = await bench.open()
    seen = {outbox.heartbeat}
    async with asyncio.timeout(5):
        while len(seen) < 4:
            await asyncio.sleep(0.01)
            seen.add(outbox.heartbeat)


async def test_after_close_nothing_is_taken(bench: Bench) -> None:
    outbox = await bench.open()
    await outbox.close()
    await outbox.close()
    with pytest.raises(BufferError, match="closed"):
        outbox.append(bench.events(1))
    with pytest.raises(BufferError, match="ended"):
        await outbox.recent(0, 1)
