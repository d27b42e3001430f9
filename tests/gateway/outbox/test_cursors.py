"""Reading, acknowledging, quarantine and retention: one cursor for each uplink."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

if TYPE_CHECKING:
    from tests.gateway.outbox.conftest import Bench


async def test_reading_waits_for_a_commit(bench: Bench) -> None:
    outbox = await bench.open("mes")
    reading = asyncio.ensure_future(outbox.read("mes", 10))
    await outbox.flush()
    assert not reading.done()
    outbox.append(bench.events(1))
    async with asyncio.timeout(5):
        (event,) = await reading
    assert (event.seq, event.type, event.subject, event.data) == (1, "machine.state", "filler", b'{"n":1}')


async def test_uplinks_go_at_their_own_pace(bench: Bench) -> None:
    outbox = await bench.open("mes", "copy")
    outbox.append(bench.events(*range(5)))
    events = await outbox.read("mes", 3)
    assert bench.chain(events) == [(1, 0), (2, 1), (3, 2)]
    outbox.acknowledge("mes", events[1])
    assert bench.chain(await outbox.read("mes", 2)) == [(3, 2), (4, 3)]
    assert bench.chain(await outbox.read("copy", 2)) == [(1, 0), (2, 1)]
    assert (outbox.backlog("mes"), outbox.backlog("copy")) == (3, 5)
    assert outbox.stats.backlog == {"mes": 3, "copy": 5}


async def test_an_acknowledgement_is_durable_with_the_next_commit(bench: Bench) -> None:
    outbox = await bench.open("mes")
    outbox.append(bench.events(*range(4)))
    events = await outbox.read("mes", 10)
    outbox.acknowledge("mes", events[1])
    await outbox.flush()
    outbox.acknowledge("mes", events[2])
    await bench.crash(outbox)
    again = await bench.open("mes")
    assert bench.chain(await again.read("mes", 10)) == [(3, 2), (4, 3)], "the last was not committed yet, so it repeats"


async def test_what_was_not_acknowledged_comes_again_with_the_same_prevseq(bench: Bench) -> None:
    outbox = await bench.open("mes")
    outbox.append(bench.events(*range(3)))
    first = await outbox.read("mes", 10)
    outbox.acknowledge("mes", first[0])
    await outbox.flush()
    second = await outbox.read("mes", 10)
    await bench.crash(outbox)
    again = await bench.open("mes")
    assert await again.read("mes", 10) == second == first[1:]


async def test_acknowledging_backwards_changes_nothing(bench: Bench) -> None:
    outbox = await bench.open("mes")
    outbox.append(bench.events(1, 2, 3))
    events = await outbox.read("mes", 10)
    outbox.acknowledge("mes", events[1])
    outbox.acknowledge("mes", events[0])
    await outbox.quarantine("mes", events[0], "late")
    assert bench.chain(await outbox.read("mes", 10)) == [(3, 2)]
    assert outbox.stats.quarantined == 0


async def test_the_next_event_keeps_the_prevseq_over_quarantine(bench: Bench) -> None:
    outbox = await bench.open("mes", "copy")
    outbox.append(bench.events(*range(4)))
    events = await outbox.read("mes", 10)
    outbox.acknowledge("mes", events[0])
    await outbox.quarantine("mes", events[1], "payload format invalid")
    await bench.crash(outbox)
    again = await bench.open("mes", "copy")
    assert bench.chain(await again.read("mes", 10)) == [(3, 1), (4, 3)]
    assert bench.chain(await again.read("copy", 1)) == [(1, 0)]
    rows = await again._store.connection.execute_fetchall("SELECT uplink, seq, why, subject, data FROM quarantine")
    assert list(rows) == [("mes", 2, "payload format invalid", "filler", b'{"n":1}')]


async def test_who_stops_waiting_harms_nobody(bench: Bench) -> None:
    outbox = await bench.open("mes", "copy")
    reading = asyncio.ensure_future(outbox.read("mes", 10))
    flushing = asyncio.ensure_future(outbox.flush())
    await asyncio.sleep(0)
    reading.cancel()
    flushing.cancel()
    outbox.append(bench.events(1))
    assert bench.chain(await outbox.read("copy", 10)) == [(1, 0)]
    waiting = asyncio.ensure_future(outbox.quarantine("copy", (await outbox.read("copy", 1))[0], "no"))
    await asyncio.sleep(0)
    waiting.cancel()
    await outbox.flush()
    assert outbox.backlog("copy") == 0
    assert bench.chain(await outbox.read("mes", 10)) == [(1, 0)]


async def test_a_reader_is_told_when_the_buffer_closes(bench: Bench) -> None:
    outbox = await bench.open("mes")
    reading = asyncio.ensure_future(outbox.read("mes", 10))
    await outbox.flush()
    await outbox.close()
    with pytest.raises(Exception, match="closed"):
        await reading


async def test_an_unknown_uplink_is_the_callers_mistake(bench: Bench) -> None:
    outbox = await bench.open("mes")
    with pytest.raises(KeyError):
        await outbox.read("nobody", 1)
    outbox.append(bench.events(1))
    assert bench.chain(await outbox.read("mes", 10)) == [(1, 0)]


@pytest.mark.parametrize(("begin", "chain"), [("now", [(4, 0)]), ("oldest", [(1, 0), (2, 1), (3, 2), (4, 3)])])
async def test_where_a_new_uplink_begins(bench: Bench, begin: str, chain: list[tuple[int, int]]) -> None:
    first = await bench.open("mes")
    first.append(bench.events(1, 2, 3))
    await first.close()
    second = await bench.open("mes", "late", begin=begin)
    second.append(bench.events(4))
    await second.flush()
    assert bench.chain(await second.read("late", 10)) == chain
    assert second.backlog("mes") == 4


async def test_a_cursor_waits_for_its_uplink(bench: Bench) -> None:
    first = await bench.open("mes", "copy")
    first.append(bench.events(1, 2))
    first.acknowledge("mes", (await first.read("mes", 1))[0])
    await first.close()
    without = await bench.open("copy")
    without.append(bench.events(3))
    await without.close()
    again = await bench.open("mes", "copy")
    assert bench.chain(await again.read("mes", 10)) == [(2, 1), (3, 2)]


async def test_recent_events_whatever_the_cursors_say(bench: Bench) -> None:
    outbox = await bench.open("mes")
    outbox.append(bench.events(*range(5)))
    await outbox.flush()
    assert bench.chain(await outbox.recent(2, 2)) == [(3, 2), (4, 3)]
    assert await outbox.recent(5, 10) == []


async def test_retention_drops_what_everybody_has(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.outbox.turns.UPKEEP_S", 0.02)
    monkeypatch.setattr("gateway.outbox.upkeep.DROP_LIMIT", 10)
    outbox = await bench.open("mes", "copy", retain=0)
    outbox.append(bench.events(*range(100)))
    events = await outbox.read("mes", 100)
    outbox.acknowledge("mes", events[79])
    await outbox.read("copy", 60)
    outbox.acknowledge("copy", events[59])
    await outbox.flush()
    async with asyncio.timeout(10):
        while outbox.stats.events_dropped < 60:
            await outbox.recent(100, 1)
    for _ in range(10):
        await asyncio.sleep(0.005)
    assert outbox.stats.events_dropped == 60, "only what both of them have"
    assert bench.chain(await outbox.recent(0, 1)) == [(61, 60)]
    assert (outbox.backlog("mes"), outbox.backlog("copy")) == (20, 40)
    assert bench.chain(await outbox.read("copy", 1)) == [(61, 60)]
    await outbox.close()
    again = await bench.open("mes", "copy", "late", begin="oldest")
    assert (again.last_seq, again.backlog("late")) == (100, 40)
    assert bench.chain(await again.read("late", 1)) == [(61, 0)]


async def test_retention_keeps_what_is_young(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.outbox.turns.UPKEEP_S", 0.005)
    outbox = await bench.open("mes", retain="1h")
    outbox.append(bench.events(1, 2))
    outbox.acknowledge("mes", (await outbox.read("mes", 2))[1])
    await outbox.flush()
    for _ in range(10):
        await outbox.recent(0, 1)
        await asyncio.sleep(0.005)
    assert outbox.stats.events_dropped == 0
    assert bench.chain(await outbox.recent(0, 9)) == [(1, 0), (2, 1)]


DAY = 86_400_000


@pytest.mark.parametrize(
    ("stamps", "kept"),
    [
        ([*[30 * DAY] * 50, *[-10 * DAY] * 3, *[-DAY] * 7], 7),  # a clock that was ahead, and is right since long ago
        ([*[30 * DAY] * 50, *[-DAY] * 10], 60),  # since yesterday: what it stamped may be as young as that
        ([*[-9 * DAY] * 5, *[30 * DAY] * 25, *[-8 * DAY] * 20, *[-DAY] * 10], 10),  # ahead in between
        ([30 * DAY] * 60, 60),  # it is now that is wrong: a clock without a battery must not delete the history
        ([*[-10 * DAY] * 30, *[-DAY] * 29, 30 * DAY], 30),
        ([*[-8 * DAY] * 5, *[-DAY] * 5, *[-9 * DAY] * 20, *[-DAY] * 30], 55),  # behind in between: no holes
    ],
)
async def test_retention_goes_on_after_a_wrong_clock(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, stamps: list[int], kept: int
) -> None:
    monkeypatch.setattr("gateway.outbox.upkeep.DROP_LIMIT", 10)
    outbox = await bench.open(retain="7d", run=False)
    outbox.append(bench.events(*range(60)))
    await outbox._task._commit()
    now = time.time_ns() // 1_000_000
    rows = [(now + stamp, seq) for seq, stamp in enumerate(stamps, 1)]
    await outbox._store.connection.executemany("UPDATE event SET stored_at = ? WHERE seq = ?", rows)
    for _ in range(12):
        await outbox._store.keep_up(7 * DAY)
    assert bench.chain(await outbox._answers.events_after(0, 100)) == [(seq, seq - 1) for seq in range(61 - kept, 61)]


async def test_retention_waits_for_a_disk_that_cannot(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.outbox.turns.UPKEEP_S", 0.005)
    outbox = await bench.open(retain="1h")
    outbox.append(bench.events(1, 2, 3))
    await outbox.flush()
    # in one go, for the store task may take its turn between two
    await outbox._store.connection.executescript("UPDATE event SET stored_at = 0; PRAGMA query_only = 1")
    with capture_logs() as logs:
        async with asyncio.timeout(10):
            while not logs:
                await outbox.recent(0, 1)
    assert logs[0]["event"] == "retention_put_off"
    assert outbox.stats.events_dropped == 0
    await outbox._store.connection.execute("PRAGMA query_only = 0")
    async with asyncio.timeout(10):
        while outbox.stats.events_dropped < 3:
            await outbox.recent(0, 1)


async def test_numbers_are_never_used_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.outbox.turns.UPKEEP_S", 0.01)
    outbox = await bench.open(retain=0)
    outbox.append(bench.events(1, 2, 3))
    async with asyncio.timeout(10):
        while outbox.stats.events_dropped < 3:
            await outbox.recent(3, 1)
    await outbox.close()
    again = await bench.open("mes")
    again.append(bench.events(4))
    assert bench.chain(await again.read("mes", 9)) == [(4, 0)]
