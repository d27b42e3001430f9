"""Buffers torn, cut, overwritten and gone: the product's own opening goes on, and says exactly what is missing."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import sqlite3
import struct
import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.checkpoint import pack
from gateway.config.model import BufferConfig
from gateway.events import Envelope, Event, StoredEvent
from gateway.outbox.errors import BufferError
from gateway.outbox.gaps import Episode, write
from gateway.outbox.identity import Previous
from gateway.outbox.lock import BufferLock
from gateway.outbox.outbox import Outbox
from gateway.outbox.recovery import KEPT, kept_aside
from gateway.receive.follower import Follower
from gateway.uplinks.file.config import FileUplink

TIME = 1_795_327_200_000
EVENTS = 1200
DELIVERED = {"mes": 700, "copy": 400}
SETTLED = {"mes": 700, "copy": 401}
"""The receiver of `copy` refused one, which is in quarantine."""
KINDS = ("machine.state", "signal.trend", "machine.production", "machine.kpi", "machine.stop", "gateway.gap")
CONFIG = BufferConfig.model_validate({"path": "x", "commit_interval": "10s"})
SECTION = FileUplink.model_validate({"type": "file", "path": "x"})
SECTOR = 512
SOURCE = "/acme/berlin/filling/line-3"
ALL = 1_000_000


class Whole:
    """A buffer whose daemon was killed: its files, and what it held."""

    def __init__(self, files: Mapping[str, bytes], stream: str, truth: Mapping[int, dict[str, Any]]) -> None:
        self.files, self.stream, self.truth = files, stream, truth


def made(number: int) -> Event:
    """Event number such; one in forty is longer than a page."""
    size = 9000 if number % 40 == 7 else number % 200
    return Event(KINDS[number % len(KINDS)], "filler", TIME + number, {"n": number, "text": "x" * size})


async def _fill(path: Path) -> tuple[str, dict[str, bytes]]:
    outbox = await Outbox.open(path, CONFIG, dict.fromkeys(DELIVERED, SECTION))
    outbox.checkpoint = lambda _subjects: {"engine": pack({"at": 1}), "machine/filler": pack({"text": "y" * 6000})}
    task = asyncio.get_running_loop().create_task(outbox.run())
    for begin in range(1, EVENTS + 1, 50):
        outbox.append(map(made, range(begin, begin + 50)))
        await outbox.flush()
    for name, position in DELIVERED.items():
        while outbox.backlog(name) > EVENTS - position:
            read = await outbox.read(name, position - EVENTS + outbox.backlog(name))
            outbox.acknowledge(name, read[-1])
    await outbox.flush()
    await outbox.quarantine("copy", (await outbox.read("copy", 1))[0], "no such column")
    files = {one.name: one.read_bytes() for one in path.parent.iterdir() if not one.name.endswith("-shm")}
    stream = outbox.stream
    await outbox.close()
    await task
    return stream, files


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    path = tmp_path_factory.mktemp("whole") / "buffer.db"
    stream, files = asyncio.run(_fill(path))
    assert len(files["buffer.db-wal"]) > 100_000
    envelope = Envelope(SOURCE, stream)
    truth = {}
    for number in range(1, EVENTS + 1):
        event = made(number)
        stored = StoredEvent(number, 0, event.type, event.subject, event.time, orjson.dumps(event.data))
        truth[number] = orjson.loads(envelope.json(stored))
    return Whole(files, stream, truth)


@dataclass(frozen=True)
class Harm:
    """What happens to a file, somewhere between its begin (0) and its end (1)."""

    file: str
    how: str
    where: float
    length: int
    seed: int = 0

    def do(self, content: bytes) -> bytes:
        at = int(self.where * (len(content) - 1))
        if self.how == "cut":
            return content[:at]
        if self.how in ("zeros", "sectors"):
            at -= at % (4096 if self.how == "zeros" else SECTOR)
        length = self.length if self.how == "bytes" else self.length * (4096 if self.how == "zeros" else SECTOR)
        foreign = bytes(length) if self.how == "zeros" else Random(self.seed).randbytes(length)
        if self.how == "bytes":
            foreign = b"\xa5" * length  # no text, and no number that could be right
        return (content[:at] + foreign + content[at + length :])[: len(content)]


HARM = st.builds(
    Harm,
    st.sampled_from(["buffer.db", "buffer.db", "buffer.db-wal"]),
    st.sampled_from(["cut", "bytes", "zeros", "sectors"]),
    st.floats(0, 1),
    st.integers(1, 12),
    st.integers(0, 2**32),
)


def lay_out(place: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        (place / name).write_bytes(content)
    return place / "buffer.db"


async def go_on(path: Path, whole: Whole, *, listed: tuple[str, ...] = tuple(DELIVERED)) -> Outbox:
    """Open what is left and hold it against the truth; the outbox, closed."""
    outbox = await Outbox.open(path, CONFIG, dict.fromkeys(listed, SECTION))
    task = asyncio.get_running_loop().create_task(outbox.run())
    try:
        envelope = outbox.envelope(SOURCE)
        stored = [orjson.loads(envelope.json(event)) for event in await outbox.recent(-ALL, ALL)]
        keys = [(event["stream"], int(event["seq"])) for event in stored]
        assert len(set(keys)) == len(keys)
        missing = set()
        for event in stored:
            if event["stream"] == whole.stream and int(event["seq"]) in whole.truth:
                truth = whole.truth[int(event["seq"])]
                assert {**event, "prevseq": "0"} == truth
            else:
                missing |= told(event, whole.stream)
        got = {name: await _deliver(outbox, name, envelope, missing, whole) for name in listed}
        if "copy" in listed and SETTLED["copy"] not in got["copy"]:
            is_there = bool(await outbox.quarantined("copy"))
            gone = [event["data"] for event in stored if event["data"].get("class") == "quarantine"]
            assert is_there or [one["count"] for one in gone if "the uplink copy" in one["why"]] in ([1], [None])
        assert missing == {
            seq for seq in range(min(SETTLED.values()) + 1, EVENTS + 1) if (whole.stream, seq) not in keys
        }
        return outbox
    finally:
        await outbox.close(clean=False)
        await task


def told(event: dict[str, Any], stream: str) -> set[int]:
    """Numbers of `stream` that an event says to be missing."""
    data = event["data"]
    assert (event["type"], data["what"]) == ("linegate.gateway.gap.v1", "damaged")
    if data["from"] is None:
        assert data["class"] in ("checkpoint", "quarantine")
        return set()
    assert data["of_stream"] == stream
    numbers = set(range(int(data["from"]), int(data["to"]) + 1))
    assert len(numbers) == data["count"]
    assert data["began"] <= data["ended"]
    return numbers


async def _deliver(outbox: Outbox, name: str, envelope: Envelope, missing: set[int], whole: Whole) -> list[int]:
    """An uplink gets in order, by one chain, all that it had not acknowledged and that is not said to be missing."""
    got: list[int] = []
    receiver = Follower()
    before = {whole.stream: str(DELIVERED[name])}
    while outbox.backlog(name):
        events = await outbox.read(name, 400)
        for event in events:
            one = orjson.loads(envelope.json(event))
            assert one["prevseq"] == before.get(one["stream"], "0")
            before[one["stream"]] = one["seq"]
            receiver.take(one)
            if one["stream"] == whole.stream and int(one["seq"]) <= EVENTS:
                got.append(int(one["seq"]))
        outbox.acknowledge(name, events[-1])
    assert receiver.is_complete
    # where nothing was left of the commit that set one aside, that one is delivered and refused once more
    begin = got[0] if outbox.stream == whole.stream and got[0] == SETTLED[name] else SETTLED[name] + 1
    assert got == [seq for seq in range(begin, EVENTS + 1) if seq not in missing]
    return got


@settings(
    max_examples=int(os.environ.get("TORTURE_EXAMPLES", "60")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(harms=st.lists(HARM, min_size=1, max_size=3))
@example(harms=[Harm("buffer.db", "zeros", 0.0, 1)])
@example(harms=[Harm("buffer.db", "sectors", 0.0, 1)])
@example(harms=[Harm("buffer.db", "cut", 0.0, 1)])
@example(harms=[Harm("buffer.db", "zeros", 0.0, 12)])
@example(harms=[Harm("buffer.db-wal", "cut", 0.0, 1)])
@example(harms=[Harm("buffer.db", "cut", 0.5, 1), Harm("buffer.db-wal", "cut", 0.5, 1)])
def test_damage_costs_what_it_hit_and_nothing_else(harms: list[Harm], whole: Whole) -> None:
    with tempfile.TemporaryDirectory() as place:
        files = dict(whole.files)
        for harm in harms:
            files[harm.file] = harm.do(files[harm.file]) if files[harm.file] else b""
        path = lay_out(Path(place), files)
        outbox = asyncio.run(go_on(path, whole))
        assert outbox.previous is not None
        assert (outbox.previous.stream, outbox.previous.last_seq) == (whole.stream, EVENTS)
        is_new = outbox.stream != whole.stream
        assert outbox.previous.ended in (("damaged", "missing") if is_new else ("unclean",))
        assert len(kept_aside(path)) == is_new


HEADER = Harm("buffer.db", "sectors", 0.0, 1)


def harmed(place: Path, whole: Whole, *harms: Harm) -> Path:
    """The buffer's file alone, with all that was in its log."""
    path = lay_out(place, whole.files)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for harm in harms:
        path.write_bytes(harm.do(path.read_bytes()))
    return path


async def kept(path: Path) -> list[Path]:
    return await asyncio.to_thread(kept_aside, path)


async def test_a_buffer_that_is_gone_is_named_and_what_was_not_delivered_is_told(whole: Whole, tmp_path: Path) -> None:
    lay_out(tmp_path, {"buffer.db.lock": whole.files["buffer.db.lock"]})
    outbox = await go_on(tmp_path / "buffer.db", whole)
    assert outbox.previous == Previous(whole.stream, EVENTS, "missing")
    assert await kept(tmp_path / "buffer.db") == []


async def test_another_programs_file_in_the_place_of_a_buffer_is_moved_aside(whole: Whole, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "buffer.db")) as theirs:
        theirs.execute("CREATE TABLE theirs (x)")
    lay_out(tmp_path, {"buffer.db.lock": whole.files["buffer.db.lock"]})
    outbox = await go_on(tmp_path / "buffer.db", whole)
    assert outbox.previous == Previous(whole.stream, EVENTS, "damaged")
    (aside,) = await kept(tmp_path / "buffer.db")
    with closing(sqlite3.connect(aside)) as theirs:
        assert theirs.execute("SELECT name FROM sqlite_schema").fetchall() == [("theirs",)]


async def test_an_older_copy_in_the_place_of_a_buffer_numbers_nothing_twice(whole: Whole, tmp_path: Path) -> None:
    """As a person restores it who means well: the log is gone, and the file itself is sound."""
    lay_out(tmp_path, {name: content for name, content in whole.files.items() if not name.endswith("-wal")})
    outbox = await go_on(tmp_path / "buffer.db", whole)
    assert outbox.previous == Previous(whole.stream, EVENTS, "damaged")


async def test_a_damaged_buffer_of_a_version_that_left_no_witness_is_known_by_its_rows(
    whole: Whole, tmp_path: Path
) -> None:
    path = harmed(tmp_path, whole, HEADER)
    lay_out(tmp_path, {"buffer.db.lock": b"1234\n"})
    outbox = await go_on(path, whole)
    assert outbox.previous == Previous(whole.stream, EVENTS, "damaged")


@pytest.mark.parametrize("step", range(1, 4))
async def test_a_recovery_that_is_cut_short_goes_on_where_it_was(
    whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    wal = Harm("buffer.db-wal", "cut", 0.5, 1)
    path = lay_out(tmp_path, {**whole.files, wal.file: wal.do(whole.files[wal.file])})
    steps = 0
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        nonlocal steps
        steps += 1
        if steps == step:
            raise OSError(errno.EIO, "the power fails")
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", failing)
        with pytest.raises(BufferError, match="the power fails"):
            await Outbox.open(path, CONFIG, dict.fromkeys(DELIVERED, SECTION))
    outbox = await go_on(path, whole)
    assert outbox.previous == Previous(whole.stream, EVENTS, "damaged")
    assert len(await kept(path)) == 1


async def test_streams_before_the_one_before_keep_their_names_and_few_files_are_kept(
    whole: Whole, tmp_path: Path
) -> None:
    path = harmed(tmp_path, whole, HEADER, Harm("buffer.db", "zeros", 0.6, 2))
    clock = itertools.count(1)
    streams = []
    for _ in range(KEPT + 1):
        outbox = await Outbox.open(path, CONFIG, dict.fromkeys(DELIVERED, SECTION))
        streams.append(outbox.stream)
        await outbox.close(clean=False)
        path.write_bytes(HEADER.do(path.read_bytes()))
        for aside in await kept(path):  # as if it had been an hour ago
            aside.rename(aside.with_name(f"{path.name}.aside-2026010{next(clock)}T000000Z"))
    outbox = await go_on(path, whole)
    assert outbox.previous == Previous(streams[-1], 0, "damaged")
    assert len(await kept(path)) == KEPT


async def test_a_disk_with_little_room_gets_what_is_not_delivered(
    whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = harmed(tmp_path, whole, HEADER)
    pages = 0

    def connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
        db: sqlite3.Connection = sqlite3.connect(*arguments, **options)
        db.execute(f"PRAGMA max_page_count = {pages}")
        return db

    with monkeypatch.context() as patch:
        patch.setattr("gateway.outbox.recovery.sqlite3", SimpleNamespace(**{**vars(sqlite3), "connect": connect}))
        pages = 20
        with pytest.raises(BufferError, match="no room") as refused:
            await Outbox.open(path, CONFIG, dict.fromkeys(DELIVERED, SECTION))
        assert "untouched" in refused.value.remedy
        assert await kept(path) == []
        pages = 120
        outbox = await Outbox.open(path, CONFIG, dict.fromkeys(DELIVERED, SECTION))
        await outbox.close(clean=False)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM stored").fetchone() == (EVENTS - SETTLED["copy"],)
    await go_on(path, whole)


async def test_damage_that_is_met_while_running_ends_the_store_and_is_recovered_by_the_next(
    whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check has no time here: nobody finds the damage before it is read."""
    monkeypatch.setattr("gateway.outbox.opening.CHECK_S", -1.0)
    path = harmed(tmp_path, whole)
    outbox = await Outbox.open(path, CONFIG, dict.fromkeys(DELIVERED, SECTION))
    await outbox.close(clean=False)
    content = path.read_bytes()
    root = next(at for at in range(3 * 4096, len(content), 4096) if content[at] == 5)  # an inner page of `event`
    children = struct.unpack_from(">H", content, root + 3)[0]
    (cell,) = struct.unpack_from(">H", content, root + 12 + 2 * (children - 1))
    child = int.from_bytes(content[root + cell : root + cell + 4], "big")
    path.write_bytes(content[: (child - 1) * 4096] + bytes(4096) + content[child * 4096 :])
    outbox = await Outbox.open(path, CONFIG, dict.fromkeys(DELIVERED, SECTION))
    if outbox.stream == whole.stream:  # opening it did not come across the page
        task = asyncio.get_running_loop().create_task(outbox.run())
        with pytest.raises(BufferError, match="malformed"):
            await outbox.recent(0, ALL)
        with pytest.raises(sqlite3.DatabaseError, match="malformed"):
            await task
    await outbox.close(clean=False)
    outbox = await go_on(path, whole)
    assert outbox.previous is not None
    assert outbox.previous.ended == "damaged"


def test_drops_that_no_gap_has_told_yet_are_told_by_the_new_buffer(whole: Whole, tmp_path: Path) -> None:
    path = harmed(tmp_path, whole)
    with closing(sqlite3.connect(path)) as db:
        write(db, Episode("trends", "no room", 3, 10, 14, TIME, TIME + 1))
        db.commit()
    path.write_bytes(HEADER.do(path.read_bytes()))

    async def once() -> None:
        await (await Outbox.open(path, CONFIG, dict.fromkeys(DELIVERED, SECTION))).close(clean=False)

    asyncio.run(once())
    with closing(sqlite3.connect(path)) as db:
        ((data,),) = db.execute("SELECT data FROM gap WHERE seq > 0")
    told = orjson.loads(data)
    assert (told["what"], told["class"], told["count"]) == ("dropped", "trends", 3)
    assert (told["of_stream"], told["from"], told["to"]) == (whole.stream, "10", "14")


def test_without_a_word_of_how_far_it_was_all_that_is_there_is_delivered(whole: Whole, tmp_path: Path) -> None:
    """Identity, cursors, quarantine and the roots of events and checkpoint are gone, and no witness is there."""
    path = harmed(tmp_path, whole)
    lay_out(tmp_path, {"buffer.db.lock": b"1234\n"})
    content = path.read_bytes()
    path.write_bytes(content[: 2 * 4096] + bytes(5 * 4096) + content[7 * 4096 :])

    async def look() -> None:
        outbox = await Outbox.open(path, CONFIG, dict.fromkeys(DELIVERED, SECTION))
        assert outbox.previous is not None
        assert (outbox.previous.last_seq, outbox.previous.ended) == (EVENTS, "damaged")
        assert await outbox.load_checkpoint() == {}
        told = outbox.last_seq
        task = asyncio.get_running_loop().create_task(outbox.run())
        first = (await outbox.read("mes", 1))[0]
        assert orjson.loads(outbox.envelope(SOURCE).json(first))["prevseq"] == "0"
        numbers = [orjson.loads(event.data).get("n") for event in await outbox.recent(-ALL, ALL)]
        assert outbox.backlog("mes") == outbox.backlog("copy") == len(numbers)
        assert numbers[:-told] == sorted(numbers[:-told])
        assert len(numbers) - told > EVENTS * 9 // 10
        await outbox.close(clean=False)
        await task

    asyncio.run(look())


def test_what_the_engine_knew_goes_on_whole_or_not_at_all(whole: Whole, tmp_path: Path) -> None:
    path = harmed(tmp_path, whole)
    with closing(sqlite3.connect(path)) as db:
        db.execute("DELETE FROM checkpoint WHERE name = 'engine'")
        db.commit()
    path.write_bytes(HEADER.do(path.read_bytes()))

    async def look() -> None:
        outbox = await Outbox.open(path, CONFIG, dict.fromkeys(DELIVERED, SECTION))
        assert await outbox.load_checkpoint() == {}
        await outbox.close(clean=False)

    asyncio.run(look())


def test_a_sound_buffer_in_the_place_of_one_known_to_be_damaged_is_gone_on_with(whole: Whole, tmp_path: Path) -> None:
    """As `linegate restore` puts it there."""
    path = harmed(tmp_path, whole)
    other = tmp_path / "other.db"

    async def once(place: Path) -> Outbox:
        outbox = await Outbox.open(place, CONFIG, dict.fromkeys(DELIVERED, SECTION))
        await outbox.close()
        return outbox

    lock = BufferLock(path)
    lock.note_damage(whole.stream, EVENTS, "malformed")
    lock.release()
    stream = asyncio.run(once(other)).stream
    other.rename(path)
    found = asyncio.run(once(path))
    assert (found.stream, found.previous) == (stream, Previous(stream, 0, "clean"))
    assert kept_aside(path) == []


@pytest.mark.parametrize("end", range(3000, 4097, 200))
async def test_tables_that_the_schema_no_longer_names_are_found(whole: Whole, tmp_path: Path, end: int) -> None:
    path = harmed(tmp_path, whole)
    content = path.read_bytes()
    path.write_bytes(content[: end - 200] + b"\xa5" * 200 + content[end:])
    await go_on(path, whole)


async def test_an_event_that_is_no_json_any_more_is_missing(whole: Whole, tmp_path: Path) -> None:
    """Its page is sound, and SQLite finds nothing."""
    path = harmed(tmp_path, whole)
    content = path.read_bytes()
    assert content.count(b'{"n":1000,') == 1
    path.write_bytes(content.replace(b'{"n":1000,', b'{"n":10\xa50,'))
    outbox = await go_on(path, whole)
    assert outbox.stream != whole.stream
    assert outbox.last_seq == 1
