"""Buffers torn, cut, overwritten and gone: the product's own opening goes on, and says exactly what is missing."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.checkpoint import pack
from gateway.config.model import BufferConfig
from gateway.events import Envelope, Event, StoredEvent
from gateway.outbox.outbox import Outbox
from gateway.outbox.recovery import kept_aside
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
        for name in listed:
            await _deliver(outbox, name, envelope, missing, whole)
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
        assert data["class"] == "checkpoint"
        return set()
    assert data["of_stream"] == stream
    numbers = set(range(int(data["from"]), int(data["to"]) + 1))
    assert len(numbers) == data["count"]
    assert data["began"] <= data["ended"]
    return numbers


async def _deliver(outbox: Outbox, name: str, envelope: Envelope, missing: set[int], whole: Whole) -> None:
    """An uplink gets in order, by one chain, all that it had not acknowledged and that is not said to be missing."""
    got: list[int] = []
    before = {outbox.stream: "0", whole.stream: str(DELIVERED[name])}
    while outbox.backlog(name):
        events = await outbox.read(name, 400)
        for event in events:
            one = orjson.loads(envelope.json(event))
            assert one["prevseq"] == before[one["stream"]]
            before[one["stream"]] = one["seq"]
            if one["stream"] == whole.stream and int(one["seq"]) <= EVENTS:
                got.append(int(one["seq"]))
        outbox.acknowledge(name, events[-1])
    if outbox.stream == whole.stream and got[0] == SETTLED[name]:
        del got[0]  # of the commit that set it aside nothing was left: it is delivered and refused once more
    assert got == [seq for seq in range(SETTLED[name] + 1, EVENTS + 1) if seq not in missing]


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
