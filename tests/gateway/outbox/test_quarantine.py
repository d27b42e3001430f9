"""Quarantine: looked at, tried again in its place in the chain, thrown away; by the daemon, or by a command alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.config.model import BufferConfig
from gateway.outbox.outbox import Outbox
from gateway.runner.buffer import buffer
from gateway.uplinks.file.config import FileUplink

if TYPE_CHECKING:
    from tests.gateway.outbox.conftest import Bench


async def refused(bench: Bench, *seqs: int) -> Outbox:
    """A buffer of six events of which the uplink has three, but for those refused."""
    outbox = await bench.open("mes", "copy")
    outbox.append(bench.events(*range(6)))
    for event in await outbox.read("mes", 3):
        if event.seq in seqs:
            await outbox.quarantine("mes", event, f"no {event.seq}")
        else:
            outbox.acknowledge("mes", event)
    await outbox.flush()
    return outbox


async def test_what_is_set_aside_can_be_looked_at(bench: Bench) -> None:
    outbox = await refused(bench, 1, 3)
    first, second = await outbox.quarantined("mes")
    assert (first.uplink, first.seq, first.why, first.retrying) == ("mes", 1, "no 1", False)
    assert (first.type, first.subject, first.data) == ("machine.state", "filler", b'{"n":0}')
    assert await outbox.quarantined(after=1) == [second]
    assert await outbox.quarantined("copy") == []


async def test_a_retried_event_has_its_place_in_the_chain(bench: Bench) -> None:
    outbox = await refused(bench, 1)
    assert await outbox.retry("mes", [1]) == 1
    assert outbox.backlog("mes") == 4
    (again,) = await outbox.read("mes", 9)
    assert (again.seq, again.prevseq) == (1, 3)
    await bench.crash(outbox)
    outbox = await bench.open("mes", "copy")
    assert await outbox.read("mes", 9) == [again], "the same again, for nobody has acknowledged it"
    outbox.acknowledge("mes", again)
    assert bench.chain(await outbox.read("mes", 9)) == [(4, 1), (5, 4), (6, 5)]
    assert await outbox.quarantined() == []
    assert outbox.stats.quarantined == 0
    await bench.crash(outbox)
    outbox = await bench.open("mes", "copy")
    assert bench.chain(await outbox.read("mes", 1)) == [(4, 1)]


async def test_who_refuses_it_again_has_it_back_in_quarantine(bench: Bench) -> None:
    outbox = await refused(bench, 1, 2)
    assert await outbox.retry("mes") == 2
    first, second = await outbox.read("mes", 9)
    assert bench.chain([first, second]) == [(1, 3), (2, 1)]
    await outbox.quarantine("mes", first, "still no")
    assert outbox.stats.quarantined == 2
    assert bench.chain(await outbox.read("mes", 9)) == [(2, 3)]
    assert [(entry.why, entry.retrying) for entry in await outbox.quarantined()] == [
        ("still no", False),
        ("no 2", True),
    ]


async def test_what_is_thrown_away_is_not_delivered(bench: Bench) -> None:
    outbox = await refused(bench, 1, 2)
    await outbox.retry("mes")
    assert await outbox.discard("mes", [2]) == 1
    assert bench.chain(await outbox.read("mes", 9)) == [(1, 3)]
    assert await outbox.discard("mes") == 1
    assert bench.chain(await outbox.read("mes", 9)) == [(4, 3), (5, 4), (6, 5)]
    assert outbox.stats.quarantined == 0


async def test_a_command_that_has_the_lock_does_the_same(bench: Bench) -> None:
    await (await refused(bench, 1, 2)).close()
    config = BufferConfig.model_validate({"path": "x"})
    uplinks = dict.fromkeys(("mes", "copy"), FileUplink.model_validate({"type": "file", "path": "x"}))
    async with buffer(bench.path, config, uplinks) as command:
        assert [entry.seq for entry in await command.quarantined("mes")] == [1, 2]
        assert await command.retry("mes", [1]) == 1
        assert await command.discard("mes", [2]) == 1
    outbox = await bench.open("mes", "copy")
    assert outbox.previous is not None
    assert outbox.previous.clean
    assert bench.chain(await outbox.read("mes", 9)) == [(1, 3)]


async def test_an_uplink_that_nobody_knows_is_the_callers_mistake(bench: Bench) -> None:
    outbox = await refused(bench, 1)
    with pytest.raises(KeyError):
        await outbox.retry("nobody")
