"""Bounds in particular: what a lowered one does, who is told when, what a reload and a start keep to."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from contextlib import closing
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from jsonschema import Draft202012Validator
from structlog.testing import capture_logs

from gateway.config.model import BufferConfig
from gateway.events import Event, StoredEvent
from gateway.outbox import bounds, room
from gateway.outbox.outbox import Outbox
from gateway.schemas.catalogue import event_schemas
from gateway.uplinks.file.config import FileUplink
from tests.gateway.outbox.conftest import TIME

if TYPE_CHECKING:
    from tests.gateway.outbox.conftest import Bench

MEGABYTE = 1_000_000
GAP = Draft202012Validator(event_schemas()["urn:linegate:gateway.gap.v1"])


def large(count: int, kind: str = "machine.state") -> list[Event]:
    """Ten kilobytes each."""
    return [Event(kind, "filler", TIME + n, {"n": n, "x": "x" * 10_000}) for n in range(count)]


def uplink(**settings: Any) -> FileUplink:
    return FileUplink.model_validate({"type": "file", "path": "x", "from": "oldest", **settings})


async def fill(outbox: Outbox, count: int, kind: str = "machine.state") -> None:
    """Store so many, a few a commit."""
    for begin in range(0, count, 5):
        outbox.append(large(count, kind)[begin : begin + 5])
        await outbox.flush()


async def take(outbox: Outbox, name: str) -> list[StoredEvent]:
    """All that waits for an uplink, acknowledged."""
    taken: list[StoredEvent] = []
    while outbox.backlog(name):
        taken += await outbox.read(name, 100)
        outbox.acknowledge(name, taken[-1])
        await outbox.flush()
    return taken


async def take_and_be_told(outbox: Outbox, name: str) -> tuple[int, list[dict[str, Any]]]:
    """How many events an uplink gets that is back, and what gaps tell it of others."""
    events = await take(outbox, name)
    await outbox.flush()
    events += await take(outbox, name)
    told = [orjson.loads(event.data) for event in events if event.type == "gateway.gap"]
    for one in told:
        GAP.validate(one)
    return len(events) - len(told), told


async def test_a_lowered_bound_makes_the_file_smaller_between_commits(bench: Bench) -> None:
    first = await bench.open("mes", begin="oldest", max_size="10MB")
    await fill(first, 400)
    await first.close()
    assert bench.path.stat().st_size > 4 * MEGABYTE
    second = await bench.open("mes", begin="oldest", max_size="1MB", min_free_disk="0B")
    second.append(bench.events(1))
    await second.flush()
    assert second.stats.commit_failures == 0, "a file that is too large takes what is new all the same"
    async with asyncio.timeout(20):
        while second.stats.size_bytes > MEGABYTE * 7 // 8:
            await second.recent(0, 1)
            await asyncio.sleep(0.01)
    count, (told,) = await take_and_be_told(second, "mes")
    assert told["count"] + count == 401
    assert (told["class"], told["from"], told["to"], told["why"]) == ("states", "1", str(told["count"]), bounds.FULL)
    assert sum(path.stat().st_size for path in bench.path.parent.glob("buffer.db*")) <= MEGABYTE


async def test_one_gap_tells_an_episode_over_restarts(bench: Bench) -> None:
    for _ in range(3):
        outbox = await bench.open("mes", begin="oldest", max_size="1MB")
        with capture_logs() as logs:
            await fill(outbox, 100, "signal.trend")
        assert "drops_told" not in [entry["event"] for entry in logs]
        await bench.crash(outbox)
    again = await bench.open("mes", begin="oldest", max_size="1MB")
    assert again.stats.full == bounds.FULL, "it says so from the start"
    count, (told,) = await take_and_be_told(again, "mes")
    assert (told["what"], told["class"], told["from"]) == ("dropped", "trends", "1")
    assert told["count"] == int(told["to"]) == 300 - count
    assert again.stats.full == ""
    assert list(await again._store.connection.execute_fetchall("SELECT * FROM episode")) == [], "told once"


async def test_what_only_one_waits_for_that_is_away_goes_as_others_have_it(bench: Bench) -> None:
    """Trends that all have are nobody's loss, though an uplink that wants none of them is far behind."""
    config = BufferConfig.model_validate({"path": "x", "commit_interval": "10ms", "max_size": "1MB"})
    outbox = await Outbox.open(bench.path, config, {"mes": uplink(events=["machine.*"]), "copy": uplink()})
    bench.runs(outbox)
    await fill(outbox, 10)
    for _ in range(10):
        await fill(outbox, 20, "signal.trend")
        await take(outbox, "copy")
    assert outbox.stats.events_dropped > 100
    assert outbox.stats.events_lost == 0
    assert len(await take(outbox, "mes")) == 10


async def test_what_a_quarantine_could_not_hold_is_told_within_the_hour(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = await bench.open("mes", begin="oldest", max_size="1MB")
    await fill(outbox, 10)
    for _ in range(10):
        (event,) = await outbox.read("mes", 1)
        await outbox.quarantine("mes", event, "no")
    kept = [entry.seq for entry in await outbox.quarantined("mes")]
    assert kept == list(range(11 - len(kept), 11))
    assert sum(len(entry.data) for entry in await outbox.quarantined("mes")) <= MEGABYTE // 16
    assert outbox.stats.quarantined == len(kept)
    assert outbox.backlog("mes") == 0
    monkeypatch.setattr(room, "LONGEST_S", 0.0)
    await outbox.flush()
    _, (told,) = await take_and_be_told(outbox, "mes")
    assert (told["count"], told["from"], told["to"]) == (10 - len(kept), "1", str(10 - len(kept)))
    assert "mes" in told["why"]


async def test_an_event_that_went_while_it_was_on_its_way_keeps_its_place_in_the_chain(bench: Bench) -> None:
    config = BufferConfig.model_validate({"path": "x", "commit_interval": "10ms", "max_size": "1MB"})
    outbox = await Outbox.open(bench.path, config, {"mes": uplink(events=["signal.*"]), "copy": uplink()})
    bench.runs(outbox)
    await fill(outbox, 2, "signal.trend")
    given = await outbox.read("mes", 2)
    await fill(outbox, 120)
    assert "signal.trend" not in await kinds(outbox)
    assert outbox.backlog("mes") == 0
    outbox.acknowledge("mes", given[0])
    outbox.acknowledge("mes", given[1])
    await fill(outbox, 1, "signal.trend")
    (following,) = await outbox.read("mes", 1)
    assert following.prevseq == given[1].seq


async def test_another_program_that_fills_the_disk_takes_nothing_by_itself(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = await bench.open("mes", begin="oldest", max_size="1MB")
    await fill(outbox, 50)
    before = await outbox.recent(0, 999)
    monkeypatch.setattr(bounds, "disk_left", lambda _directory: 0)
    for _ in range(3):
        await outbox.flush()
        assert not await outbox._store.keep_up(3_600_000)
    assert await outbox.recent(0, 999) == before
    await fill(outbox, 5)
    assert outbox.stats.full == bounds.SHORT
    assert 30 <= len(await outbox.recent(0, 999)) < 55, "what is new takes the room of what is old, and no more"


async def test_a_start_under_new_names_needs_no_room_on_the_disk(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.outbox.opening.BUSY_TIMEOUT_S", 0.05)
    first = await bench.open("mes", begin="oldest")
    first.append(bench.events(1, 2, 3))
    await first.quarantine("mes", (await first.read("mes", 1))[0], "no")
    await first.close()
    config = BufferConfig.model_validate({"path": "x", "commit_interval": "10ms"})
    with closing(sqlite3.connect(bench.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        outbox = await Outbox.open(bench.path, config, {"erp": uplink(was="mes"), "copy": uplink()})
        bench.runs(outbox)
        assert outbox.stats.degraded
        assert bench.chain(await outbox.read("erp", 9)) == [(2, 0), (3, 2)]
        other.execute("ROLLBACK")
    await outbox.flush()
    assert [(entry.uplink, entry.seq) for entry in await outbox.quarantined()] == [("erp", 1)]
    await bench.crash(outbox)
    again = await Outbox.open(bench.path, config, {"erp": uplink(was="mes"), "copy": uplink()})
    bench.runs(again)
    assert bench.chain(await again.read("erp", 9)) == [(2, 0), (3, 2)]
    assert again.backlog("copy") == 3


async def test_a_reload_leaves_alone_who_is_delivering_and_keeps_to_new_bounds(bench: Bench) -> None:
    config = BufferConfig.model_validate({"path": "x", "commit_interval": "10ms"})
    outbox = await Outbox.open(bench.path, config, {"mes": uplink(), "old": uplink()})
    bench.runs(outbox)
    outbox.append(bench.events(*range(1, 11)))
    given = await outbox.read("mes", 4)
    await outbox.quarantine("old", (await outbox.read("old", 1))[0], "no")
    await outbox.retry("old")
    small = BufferConfig.model_validate({"path": "x", "commit_interval": "10ms", "max_size": "1MB"})
    reloading = asyncio.ensure_future(outbox.reconfigure(small, {"mes": uplink(), "new": uplink(was="old")}))
    outbox.acknowledge("mes", given[1])
    await reloading
    outbox.acknowledge("mes", given[3])
    assert outbox.backlog("mes") == 6, "it is counted along, not anew"
    assert bench.chain(await outbox.read("mes", 1)) == [(5, 4)]
    assert bench.chain(await outbox.read("new", 9)) == [(1, 0)], "what is to be tried again still is"
    await fill(outbox, 100)
    assert outbox.stats.size_bytes <= MEGABYTE
    assert outbox.stats.events_lost > 0


KINDS = ("machine.state", "machine.kpi", "machine.production", "signal.trend")


async def mixed(outbox: Outbox, count: int) -> None:
    """So many of each class."""
    for begin in range(count):
        outbox.append([event for kind in KINDS for event in large(begin + 1, kind)[begin:]])
        await outbox.flush()


async def kinds(outbox: Outbox) -> Counter[str]:
    return Counter(event.type for event in await outbox.recent(0, 9999))


async def test_what_everybody_has_goes_first_then_class_after_class(bench: Bench) -> None:
    outbox = await bench.open("mes", begin="oldest", max_size="1MB")
    await mixed(outbox, 10)
    await take(outbox, "mes")
    await mixed(outbox, 12)
    before = [event.seq for event in await outbox.recent(40, 9999)]
    assert len(before) == 48
    assert outbox.stats.events_lost == 0
    assert 0 < outbox.stats.events_dropped <= 40
    for made in range(14, 32, 2):
        await mixed(outbox, 2)
        found = await kinds(outbox)
        for lesser, kind in pairwise(reversed(KINDS)):
            if found[kind] < made:
                assert found[lesser] <= 2, f"{kind} went before {lesser}"
    assert outbox.stats.events_lost > 40
    assert found["machine.state"] == 30, "states go last"
    ((pages,),) = await outbox._store.connection.execute_fetchall("PRAGMA max_page_count")
    assert pages * 4096 <= MEGABYTE * 7 // 8, "the rest is for the write-ahead log"


async def test_memory_is_bounded_while_nothing_can_be_stored(bench: Bench) -> None:
    outbox = await bench.open("mes", begin="oldest", max_size="1MB")
    await fill(outbox, 1)
    await outbox._store.connection.execute_fetchall("PRAGMA query_only = 1")
    outbox.append(bench.events(1))
    while not outbox.stats.degraded:
        await outbox.recent(0, 1)
    for _ in range(5):
        outbox.append([event for kind in KINDS for event in large(2, kind)])
        assert outbox._store.pending.size <= MEGABYTE // 16
        failures = outbox.stats.commit_failures
        while outbox.stats.commit_failures == failures:  # told in vain, and told again
            await outbox.recent(0, 1)
    kept = Counter(row.type for row in outbox._store.pending.events)
    assert set(kept) == {"machine.state"}, "states stay longest"
    assert outbox.stats.full == bounds.UNSTORED
    await outbox._store.connection.execute_fetchall("PRAGMA query_only = 0")
    await outbox.flush()
    count, told = await take_and_be_told(outbox, "mes")
    assert count + sum(one["count"] for one in told) == 1 + 1 + 5 * 8
    assert {one["class"] for one in told} == {"trends", "production", "kpis", "states"}
    assert {(one["from"], one["to"]) for one in told} == {(None, None)}, "they never had a number"
    assert outbox.stats.full == ""


async def test_a_burst_that_is_larger_than_the_buffer_is_cut_to_what_it_can_hold(bench: Bench) -> None:
    outbox = await bench.open("mes", begin="oldest", max_size="1MB")
    await fill(outbox, 60)
    outbox.append(large(200))
    await outbox.flush()
    assert outbox.stats.commit_failures == 0
    assert sum(path.stat().st_size for path in bench.path.parent.glob("buffer.db*")) <= MEGABYTE
    count, told = await take_and_be_told(outbox, "mes")
    assert count + sum(one["count"] for one in told) == 260
