"""Numbers in a buffer that nobody gave: it is recovered before anything follows from them, and says what is gone."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import orjson
import pytest

from gateway.outbox.outbox import Outbox

if TYPE_CHECKING:
    from tests.gateway.outbox.conftest import Bench

ALL = list(range(1, 11))
WITHOUT_3 = [number for number in ALL if number != 3]


async def filled(bench: Bench, *uplinks: str) -> str:
    """Ten events, a stop in order; the stream."""
    outbox = await bench.open(*uplinks, begin="oldest")
    outbox.append(bench.events(*ALL))
    await outbox.close()
    return outbox.stream


async def taken(outbox: Outbox, uplink: str) -> tuple[list[int], list[dict[str, object]]]:
    """What an uplink gets: the events' own numbers, and the gaps."""
    found = []
    while outbox.backlog(uplink):
        found += await outbox.read(uplink, 100)
        outbox.acknowledge(uplink, found[-1])
    assert [event.prevseq for event in found[1:]] == [event.seq for event in found[:-1]]
    for event in found:
        outbox.envelope("/acme").json(event)
    told = [orjson.loads(event.data) for event in found]
    return [one["n"] for one in told if "n" in one], [one for one in told if "what" in one]


@pytest.mark.parametrize(
    ("tampering", "why", "kept"),
    [
        ("UPDATE event SET seq = -5 WHERE seq = 3", "it has an event -5, and its events are those from 1", WITHOUT_3),
        (f"UPDATE event SET seq = {2**63 - 1} WHERE seq = 3", "it has an event 9223372036854775807", WITHOUT_3),
        (f"UPDATE meta SET last_seq = {2**63 - 1}", "its last event cannot be 9223372036854775807", ALL),
        ("UPDATE meta SET last_seq = -3", "its last event cannot be -3", ALL),
        ("UPDATE meta SET last_seq = 4", "it has an event 10, and its events are those from 1 to 4", ALL),
        ("UPDATE meta SET stream = 'x'", "it does not say any more which stream it is", ALL),
        (f"UPDATE cursor SET position = {2**63 - 1}", "the place of the uplink mes cannot be", ALL),
        ("UPDATE cursor SET position = 11", "the place of the uplink mes cannot be", ALL),
        ("UPDATE cursor SET delivered = 'all'", "the place of the uplink mes cannot be", ALL),
        ("DROP TABLE cursor", "its table cursor is not there any more", ALL),
    ],
)  # fmt: skip
async def test_what_cannot_be_is_not_gone_on_with(bench: Bench, tampering: str, why: str, kept: list[int]) -> None:
    stream = await filled(bench, "mes")
    with closing(sqlite3.connect(bench.path, isolation_level=None)) as db:
        db.execute(tampering)
    outbox = await bench.open("mes", begin="oldest")
    assert outbox.previous is not None
    assert (outbox.previous.stream, outbox.previous.ended) == (stream, "damaged")
    outbox.append(bench.events(11))
    await outbox.flush()
    numbers, gaps = await taken(outbox, "mes")
    assert numbers == [*kept, 11]
    assert [(gap["from"], gap["to"]) for gap in gaps if gap["from"]] == ([("3", "3")] if kept == WITHOUT_3 else [])
    assert all(why in str(gap["why"]) for gap in gaps)


async def test_a_buffer_may_be_damaged_again_before_an_uplink_has_got_anything(bench: Bench) -> None:
    """Its cursor then stands before every number, from which nothing can be taken away."""
    await filled(bench, "mes")
    for number in (11, 12):
        bench.path.write_bytes(bytes(100) + bench.path.read_bytes()[100:])
        outbox = await bench.open("mes", "copy", begin="oldest")
        outbox.append(bench.events(number))
        await outbox.close()
    again = await bench.open("mes", "copy", begin="oldest")
    for uplink in ("mes", "copy"):
        assert await taken(again, uplink) == ([*ALL, 11, 12], [])
