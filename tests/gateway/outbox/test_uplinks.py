"""Uplinks that want only some events, and that come, go, return and change their names."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from gateway.config.model import BufferConfig
from gateway.events import Event
from gateway.outbox.outbox import Outbox
from gateway.uplinks.file.config import FileUplink

if TYPE_CHECKING:
    from tests.gateway.outbox.conftest import Bench

HOUR = 3_600_000
TYPES = ("machine.state", "signal.trend", "machine.production", "gateway.alive")


def uplink(**settings: Any) -> FileUplink:
    return FileUplink.model_validate({"type": "file", "path": "x", **settings})


async def opened(bench: Bench, uplinks: dict[str, FileUplink], **settings: Any) -> Outbox:
    config = BufferConfig.model_validate({"path": "x", "commit_interval": "10ms", **settings})
    outbox = await Outbox.open(bench.path, config, uplinks)
    bench.runs(outbox)
    return outbox


def events(*numbers: int) -> list[Event]:
    """Of four types in turn, about two machines."""
    return [Event(TYPES[n % 4], ("filler", "capper")[n // 4 % 2], 1_795_327_200_000 + n, {"n": n}) for n in numbers]


async def test_only_what_matches_is_delivered_and_the_chain_names_what_was(bench: Bench) -> None:
    wants = {
        "mes": uplink(events=["machine.*"]),
        "trends": uplink(events=["signal.trend"]),
        "filler": uplink(subjects=["fill?r"], events=["machine.state", "gateway.*"]),
        "all": uplink(),
    }
    outbox = await opened(bench, wants)
    outbox.append(events(*range(12)))
    await outbox.flush()
    assert {name: outbox.backlog(name) for name in wants} == {"mes": 6, "trends": 3, "filler": 4, "all": 12}
    read = await outbox.read("mes", 3)
    assert bench.chain(read) == [(1, 0), (3, 1), (5, 3)]
    outbox.acknowledge("mes", read[1])
    assert bench.chain(await outbox.read("mes", 9)) == [(5, 3), (7, 5), (9, 7), (11, 9)]
    assert bench.chain(await outbox.read("trends", 9)) == [(2, 0), (6, 2), (10, 6)]
    assert bench.chain(await outbox.read("filler", 9)) == [(1, 0), (4, 1), (9, 4), (12, 9)]
    assert len(await outbox.read("all", 99)) == 12
    assert outbox.backlog("mes") == 4


async def test_a_long_stretch_of_others_is_passed_over_in_bounded_steps(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.outbox.answers.SEARCHED", 10)
    outbox = await opened(bench, {"mes": uplink(events=["machine.state"], **{"from": "oldest"})})
    outbox.append([*events(0), *(Event("signal.trend", "filler", 1, {}) for _ in range(500)), *events(4)])
    read = await outbox.read("mes", 9)
    assert bench.chain(read) == [(1, 0)]
    outbox.acknowledge("mes", read[0])
    async with asyncio.timeout(5):
        (event,) = await outbox.read("mes", 9)
    assert (event.seq, event.prevseq) == (502, 1)
    assert outbox._store.cursors["mes"].position > 480
    await outbox.flush()
    await bench.crash(outbox)
    again = await opened(bench, {"mes": uplink(events=["machine.state"])})
    assert again._store.cursors["mes"].position > 480, "what was passed over is not looked at again"
    assert again.backlog("mes") == 1


async def test_who_wants_nothing_of_what_comes_holds_nothing_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.outbox.turns.UPKEEP_S", 0.01)
    outbox = await opened(bench, {"mes": uplink(events=["job.*"])}, retain=0)
    for number in range(20):
        outbox.append(events(number))
        await outbox.flush()
    assert outbox.backlog("mes") == 0
    await outbox.close()
    again = await opened(bench, {"mes": uplink(events=["job.*"])}, retain=0)
    async with asyncio.timeout(10):
        while await again.recent(0, 1):
            await again.flush()


async def test_a_renamed_uplink_goes_on_where_it_was(bench: Bench) -> None:
    first = await opened(bench, {"mes": uplink()})
    first.append(events(0, 1, 2, 3))
    read = await first.read("mes", 9)
    first.acknowledge("mes", read[0])
    await first.quarantine("mes", read[1], "no")
    await first.close()
    second = await opened(bench, {"erp": uplink(was="mes")})
    assert bench.chain(await second.read("erp", 9)) == [(3, 1), (4, 3)]
    rows = await second._store.connection.execute_fetchall("SELECT uplink, seq FROM quarantine")
    assert list(rows) == [("erp", 2)]
    with pytest.raises(KeyError):
        second.backlog("mes")
    await second.close()
    third = await opened(bench, {"erp": uplink(was="mes"), "mes": uplink()})
    assert bench.chain(await third.read("erp", 9)) == [(3, 1), (4, 3)]
    assert third.backlog("mes") == 0, "the old name is a new uplink"


async def test_an_uplink_that_is_away_holds_nothing_back_and_is_told_what_it_missed(bench: Bench) -> None:
    both = {"mes": uplink(), "copy": uplink()}
    first = await opened(bench, both, retain="1h")
    first.append(events(0, 1, 2, 3))
    first.acknowledge("mes", (await first.read("mes", 1))[0])
    first.acknowledge("copy", (await first.read("copy", 9))[-1])
    await first.close()
    second = await bench.open("copy", run=False, retain="1h")
    await second._store.connection.execute("UPDATE event SET stored_at = 0")
    await second._store.connection.execute("UPDATE trend SET stored_at = 0")
    await second._store.connection.execute("UPDATE production SET stored_at = 0")
    await second._store.keep_up(HOUR)
    assert second.stats.events_dropped == 4
    await second.close()
    third = await opened(bench, both, retain="1h")
    (told,) = await third.read("mes", 9)
    assert (told.seq, told.prevseq, told.type) == (5, 1, "gateway.gap")
    data = orjson.loads(told.data)
    assert (data["what"], data["from"], data["to"], data["count"]) == ("dropped", "2", "4", 3)
    assert "mes" in data["why"]


async def test_an_uplink_that_is_away_and_misses_nothing_goes_on(bench: Bench) -> None:
    both = {"mes": uplink(), "copy": uplink()}
    first = await opened(bench, both, retain="1h")
    first.append(events(0, 1, 2, 3))
    first.acknowledge("mes", (await first.read("mes", 1))[0])
    await first.close()
    await (await opened(bench, {"copy": uplink()}, retain="1h")).close()
    again = await opened(bench, both, retain="1h")
    assert bench.chain(await again.read("mes", 9)) == [(2, 1), (3, 2), (4, 3)]


async def test_an_uplink_that_is_away_for_long_is_forgotten(bench: Bench) -> None:
    first = await opened(bench, {"mes": uplink(), "copy": uplink()}, retain="1h")
    first.append(events(0, 1))
    await first.quarantine("mes", (await first.read("mes", 1))[0], "no")
    await first.close()
    second = await bench.open("copy", run=False, retain="1h")
    long_ago = time.time_ns() // 1_000_000 - 2 * HOUR
    await second._store.connection.execute("UPDATE cursor SET detached_at = ? WHERE uplink = 'mes'", (long_ago,))
    await second._store.keep_up(HOUR)
    assert list(await second._store.connection.execute_fetchall("SELECT uplink FROM cursor")) == [("copy",)]
    assert list(await second._store.connection.execute_fetchall("SELECT * FROM quarantine")) == []


async def test_a_start_with_the_same_uplinks_needs_no_room_on_the_disk(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon decides while nothing can be stored, and catches up."""
    monkeypatch.setattr("gateway.outbox.opening.BUSY_TIMEOUT_S", 0.05)
    await (await bench.open("mes")).close()
    with closing(sqlite3.connect(bench.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        outbox = await bench.open("mes")
        outbox.append(bench.events(1))
        await outbox.recent(0, 1)
        assert outbox.stats.commit_failures
        other.execute("ROLLBACK")
    await outbox.flush()
    assert bench.chain(await outbox.read("mes", 10)) == [(1, 0)]


async def test_what_is_acknowledged_while_uplinks_change_is_not_delivered_again(bench: Bench) -> None:
    """One that stays: at whatever moment of the change its acknowledgement comes."""
    outbox = await opened(bench, {"mes": uplink()})
    outbox.append(events(*range(1, 101)))
    await outbox.flush()
    given = await outbox.read("mes", 100)
    config = BufferConfig.model_validate({"path": "x", "commit_interval": "10ms"})
    for number in range(60):
        others = {"new": uplink(events=["machine.*"] if number % 2 else ["line.*"])}
        changing = asyncio.ensure_future(outbox.reconfigure(config, {"mes": uplink(), **others}))
        await asyncio.sleep(number * 0.0001)
        outbox.acknowledge("mes", given[number])
        await changing
        following = await outbox.read("mes", 1)
        assert bench.chain(following) == [(given[number + 1].seq, given[number].seq)]
