"""A restored buffer: what was not delivered keeps its stream and number, what is new begins a stream of its own."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.backup.archive import BackupError
from gateway.backup.copy import copy_buffer
from gateway.backup.rebirth import last_readings, rebirth
from gateway.buffer.snapshot import handlers
from gateway.checkpoint import pack, unpack
from gateway.config.model import BufferConfig
from gateway.events import Event, StoredEvent
from gateway.kpi.parts import UNBOUNDED
from gateway.outbox.errors import BufferError
from gateway.outbox.outbox import Outbox
from gateway.runner.buffer import buffer
from gateway.uplinks.file.config import FileUplink

TIME = 1_795_327_200_000
SETTINGS = BufferConfig.model_validate({"path": "x", "commit_interval": "10ms"})
FILE = FileUplink.model_validate({"type": "file", "path": "x", "from": "oldest"})


@asynccontextmanager
async def opened(path: Path, *names: str) -> AsyncIterator[Outbox]:
    async with buffer(path, SETTINGS, dict.fromkeys(names, FILE)) as outbox:
        yield outbox


def events(*kinds: str) -> list[Event]:
    return [Event(kind, "filler", TIME + number, {"n": number}) for number, kind in enumerate(kinds)]


async def copied(outbox: Outbox, target: Path) -> None:
    """As `linegate backup` makes it, here of an outbox of this process."""
    items: dict[str, list[dict[str, Any]]] = {}
    for name, handler in handlers(outbox).items():
        items[name] = [json.loads(json.dumps(item)) async for item in handler({"last": outbox.last_seq})]

    def ask(take: Any, do: str, **_given: Any) -> None:
        for item in items[do]:
            take(item)

    done = await asyncio.to_thread(copy_buffer, ask, target, lambda _line: None)
    assert (done.stream, done.last_seq) == (outbox.stream, outbox.last_seq)


async def reborn(copy: Path, target: Path) -> str:
    return await asyncio.to_thread(rebirth, copy, target, moved=True, readings={})


def numbers(outbox: Outbox, got: list[StoredEvent]) -> list[tuple[str, str, str]]:
    made = map(outbox.envelope("/line").attributes, got)
    return [(one["stream"], one["seq"], one["prevseq"]) for one in made]


async def test_undelivered_events_keep_their_names_and_the_chain_goes_on_in_a_new_stream(tmp_path: Path) -> None:
    old, copy, new = tmp_path / "old.db", tmp_path / "copy.db", tmp_path / "new.db"
    async with opened(old, "ahead", "behind") as outbox:
        outbox.append(events("machine.state", "machine.production", "signal.trend", "machine.kpi", "gateway.gap"))
        await outbox.flush()
        first = outbox.stream
        ahead, behind = await outbox.read("ahead", 9), await outbox.read("behind", 9)
        outbox.acknowledge("ahead", ahead[4])
        outbox.acknowledge("behind", behind[1])
        await outbox.quarantine("behind", behind[2], "no such column")
        await copied(outbox, copy)
        before = numbers(outbox, await outbox.recent(-(2**62), 99))
    second = await reborn(copy, new)
    async with opened(new, "ahead", "behind", "new") as outbox:
        assert outbox.stream == second != first
        assert outbox.previous is not None
        assert (outbox.previous.stream, outbox.previous.last_seq, outbox.previous.ended) == (first, 5, "restored")
        assert numbers(outbox, await outbox.recent(-(2**62), 99)) == before
        outbox.append(events("machine.state", "machine.stop"))
        await outbox.flush()
        assert numbers(outbox, await outbox.read("ahead", 9)) == [(second, "1", "0"), (second, "2", "1")]
        got = await outbox.read("behind", 9)
        assert numbers(outbox, got) == [(first, "4", "2"), (first, "5", "4"), (second, "1", "0"), (second, "2", "1")]
        assert numbers(outbox, await outbox.read("new", 2)) == [(first, "1", "0"), (first, "2", "1")]
        outbox.acknowledge("behind", got[-1])
        (entry,) = await outbox.quarantined()
        await outbox.retry("behind")
        assert numbers(outbox, await outbox.read("behind", 9))[0][:2] == (first, "3")
        assert entry.why == "no such column"

        again, third = tmp_path / "again.db", tmp_path / "third.db"
        await copied(outbox, again)
    await reborn(again, third)
    async with opened(third, "new") as outbox:
        streams = [stream for stream, _, _ in numbers(outbox, await outbox.read("new", 9))]
        assert streams == [first] * 5 + [second] * 2  # twice restored, and each event is still what it was


async def test_pieces_are_bounded_and_nothing_is_missing(tmp_path: Path) -> None:
    async with opened(tmp_path / "old.db", "ahead") as outbox:
        outbox.append([Event("machine.state", "filler", TIME, {"text": "x" * 3000, "n": n}) for n in range(1200)])
        await outbox.flush()
        sizes = [len(json.dumps(item)) async for item in handlers(outbox)["backup.events"]({"last": 1200})]
        assert max(sizes) < 1_000_000
        assert len(sizes) > 5
        await copied(outbox, tmp_path / "copy.db")
    with closing(sqlite3.connect(tmp_path / "copy.db")) as db:
        assert [n for (n,) in db.execute("SELECT seq FROM event")] == list(range(1, 1201))
        assert db.execute("PRAGMA auto_vacuum").fetchone() == (2,)


async def test_a_copy_of_a_newer_schema_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path / "old.db", "ahead") as outbox:
        await copied(outbox, tmp_path / "copy.db")
    with closing(sqlite3.connect(tmp_path / "copy.db")) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(BufferError, match="has schema 99"):
        await reborn(tmp_path / "copy.db", tmp_path / "new.db")


def production(seq: int, counter: dict[str, int | None], stream: str = "a", subject: str = "filler") -> bytes:
    event = {"stream": stream, "seq": str(seq), "type": "linegate.machine.production.v1", "subject": subject}
    return json.dumps({**event, "data": {"counter": counter}}).encode()


def test_the_newest_readings_of_a_stream() -> None:
    lines = [
        production(9, {"plc.bottles": 140, "plc.rejects": None}),
        production(7, {"plc.bottles": 120}),
        production(12, {"plc.bottles": 999}, stream="b"),
        production(4, {"plc.caps": 1}, subject="capper"),  # in the backup already
        b"{cut off",
        b'{"stream": "a", "seq": "11", "type": "linegate.machine.state.v1", "subject": "filler", "data": {}}',
    ]
    assert last_readings(lines, "a", 5) == {"filler": {"plc.bottles": 140}}
    with pytest.raises(BackupError, match="no event in it is of the stream c"):
        last_readings(lines, "c", 5)


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.booleans()), min_size=1, max_size=4),
)
def test_whatever_was_delivered_each_receiver_gets_the_rest_once_and_in_its_chain(
    steps: list[tuple[int, int, bool]],
) -> None:
    """Events come, some are delivered, some refused; then the line is restored elsewhere, again and again."""
    asyncio.run(_restored_again_and_again(steps))


async def _restored_again_and_again(steps: list[tuple[int, int, bool]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        path, made, got = Path(place) / "0.db", list[tuple[str, str]](), list[tuple[str, str, str]]()
        refused = set()
        for number, (events_made, delivered, refuses) in enumerate([*steps, (1, 99, False)]):
            async with opened(path, "behind") as outbox:
                outbox.append([Event("machine.state", "filler", TIME, {"n": n}) for n in range(events_made)])
                await outbox.flush()
                made += [(outbox.stream, str(seq)) for seq in range(1, outbox.last_seq + 1)]
                while delivered and outbox.backlog("behind"):
                    events = (await outbox.read("behind", 99))[:delivered]
                    if refuses:
                        refused.add(numbers(outbox, events)[0][:2])
                        await outbox.quarantine("behind", events[0], "no")
                        refuses, delivered = False, delivered - 1
                        continue
                    got += numbers(outbox, events)
                    outbox.acknowledge("behind", events[-1])
                    delivered -= len(events)
                await outbox.flush()
                await copied(outbox, Path(place) / f"copy-{number}")
            path = Path(place) / f"{number + 1}.db"
            await reborn(Path(place) / f"copy-{number}", path)
    assert [one[:2] for one in got] == [one for one in made if one not in refused]
    last: dict[str, str] = {}
    for stream, seq, prevseq in got:
        assert prevseq == last.get(stream, "0")
        last[stream] = seq


def counter(base: int | None, **other: Any) -> dict[str, Any]:
    plain = {"highest": 65535, "base": base, "outage_from": None, "pending": None, "doubts": 0, "shift_parts": 7}
    return plain | other


@pytest.mark.parametrize("moved", [True, False])
async def test_counters_go_on_where_it_is_known_from_what(tmp_path: Path, moved: bool) -> None:
    counters = {"plc.a": counter(100), "plc.b": counter(5, outage_from=3, pending={"at": 1}, doubts=1)}
    rows = {
        "machine/filler": pack(
            {"at": 7, "parts": {"minute": [1, 2], "doubts": 4, "missing": [1, 0, 0], "counters": counters}}
        ),
        "machine/robot": pack({"at": 7, "parts": None}),
    }
    async with opened(tmp_path / "old.db", "ahead") as outbox:
        outbox.checkpoint = lambda _subjects: rows
        await outbox.flush()
        outbox.checkpoint = lambda _subjects: {}
        await copied(outbox, tmp_path / "copy.db")
    readings = {"filler": {"plc.a": 140}}
    await asyncio.to_thread(rebirth, tmp_path / "copy.db", tmp_path / "new.db", moved=moved, readings=readings)
    async with opened(tmp_path / "new.db", "ahead") as outbox:
        found = unpack(await outbox.load_checkpoint())
    before = unpack(rows)
    if moved:
        assert found == before
        return
    assert found["machine/filler"]["parts"] == {
        "minute": None,
        "doubts": 5,
        "missing": [UNBOUNDED + 1, UNBOUNDED, UNBOUNDED],
        "counters": {"plc.a": counter(140), "plc.b": counter(None)},
    }
    assert found["machine/robot"] == before["machine/robot"]
