"""Rotation by age, compression of closed files, formats, and a crash at every step of all that."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gzip
import io
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import orjson
import pytest
import zstandard

from gateway.uplinks.compression import Kind
from gateway.uplinks.file.closed import ClosedFiles
from gateway.uplinks.file.config import FileUplink
from gateway.uplinks.file.framing import Lines, Messages
from gateway.uplinks.file.journal import Journal
from gateway.uplinks.file.sink import FileSink
from gateway.uplinks.uplink import UplinkContext
from protocols.driver import ConfigError, NotConnected

HOUR = 3_600.0


def content(path: Path) -> bytes:
    """What is in a file, whatever its name says."""
    packed = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(packed)
    return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(packed)).read() if path.suffix == ".zst" else packed


def sink(context: UplinkContext, **settings: Any) -> FileSink:
    return FileSink(FileUplink.model_validate({"type": "file", "path": "events", **settings}), context)


async def until(what: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not what():  # noqa: ASYNC110 - a file tells nobody that it is there
            await asyncio.sleep(0.005)


def journal(path: Path, *, keep: int = 3, kind: Kind | None = None, every: float | None = None) -> Journal:
    closed = ClosedFiles(path, keep, kind)
    one = Journal(path, Lines(), closed, 100, every, on_closed=closed.compress if kind else lambda: None)
    one.open()
    return one


def test_a_file_holds_what_was_written_in_one_period(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [10 * HOUR + 1]
    monkeypatch.setattr(time, "time", lambda: now[0])
    path = tmp_path / "events"
    one = journal(path, every=HOUR, keep=9)
    one.append([b"{10\n"])
    now[0] += HOUR - 2
    one.append([b"{10 too\n"])
    one.rotate_by_age()
    now[0] += 1
    one.append([b"{11\n"])
    now[0] += 5 * HOUR
    one.rotate_by_age()
    one.rotate_by_age()
    assert [file.read_text() for file in sorted(tmp_path.iterdir())] == ["", "{10\n{10 too\n", "{11\n"]
    one.close()


def test_a_file_of_an_earlier_run_is_as_old_as_its_last_write(tmp_path: Path) -> None:
    path = tmp_path / "events"
    path.write_bytes(b"{old\n")
    os.utime(path, (time.time() - 2 * HOUR,) * 2)
    one = journal(path, every=HOUR)
    one.append([b"{new\n"])
    assert path.read_bytes() == b"{new\n"
    assert path.with_name("events.00000001").read_bytes() == b"{old\n"
    one.close()


async def test_a_quiet_file_is_closed_in_time(
    context: UplinkContext, make_events: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uplink = sink(context, rotate_every="1min")
    uplink._every = uplink._journal._every = 0.2
    await uplink.connect()
    serving = asyncio.ensure_future(uplink.serve())
    await uplink.write(make_events(1))
    await until(lambda: {file.name for file in tmp_path.iterdir()} == {"events", "events.00000001"})
    assert not (tmp_path / "events").read_bytes()
    assert not serving.done()

    def fail(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gateway.uplinks.file.journal.sync_directory", fail)
    with contextlib.suppress(NotConnected):  # where the time is over just then
        await uplink.write(make_events(2))
    with pytest.raises(NotConnected, match=r"No space left|No such file"):
        await asyncio.wait_for(serving, 5)
    await uplink.close()


@pytest.mark.parametrize(("kind", "ending"), [("gzip", ".gz"), ("zstd", ".zst")])
async def test_closed_files_are_compressed(
    context: UplinkContext, make_events: Any, tmp_path: Path, kind: str, ending: str
) -> None:
    uplink = sink(context, rotate="2kB", keep=3, compression=kind)
    await uplink.connect()
    for first in range(1, 60, 3):
        await uplink.write(make_events(first, first + 1, first + 2))
    await until(lambda: {file.suffix for file in tmp_path.iterdir()} == {ending, ""})
    files = sorted(tmp_path.iterdir())
    assert len(files) == 4
    lines = b"".join(content(file) for file in [*files[1:], files[0]]).splitlines()
    seqs = [int(orjson.loads(line)["seq"]) for line in lines]
    assert seqs == list(range(seqs[0], 61))
    await uplink.close()


async def test_what_was_left_uncompressed_is_compressed_at_the_next_start(
    context: UplinkContext, tmp_path: Path
) -> None:
    (tmp_path / "events.00000001").write_bytes(b"a\n")
    (tmp_path / "events.00000001.gz.part").write_bytes(b"half")
    (tmp_path / "events.00000002").write_bytes(b"b\n")
    (tmp_path / "events.00000002.gz").write_bytes(gzip.compress(b"b\n"))
    (tmp_path / "events.00000003.gz.part").write_bytes(b"of a file that was dropped")
    uplink = sink(context, compression="gzip")
    await uplink.connect()
    names = {"events", "events.00000001.gz", "events.00000002.gz"}
    await until(lambda: {file.name for file in tmp_path.iterdir()} == names)
    assert content(tmp_path / "events.00000001.gz") == b"a\n"
    await uplink.close()


def test_two_compress_one_file_once(tmp_path: Path) -> None:
    plain = tmp_path / "events.00000001"
    plain.write_bytes(b"a\n")
    with plain.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        ClosedFiles(tmp_path / "events", 3, "zstd").compress()
        assert [file.name for file in tmp_path.iterdir()] == ["events.00000001"]
    ClosedFiles(tmp_path / "events", 3, "zstd").compress()
    assert [file.name for file in tmp_path.iterdir()] == ["events.00000001.zst"]


def test_a_disk_without_room_for_the_compressed_file_keeps_the_plain_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "events.00000001").write_bytes(b"a\n")
    monkeypatch.setattr(os, "fsync", fail)
    ClosedFiles(tmp_path / "events", 3, "gzip").compress()
    assert [file.name for file in tmp_path.iterdir()] == ["events.00000001"]


class Crash(BaseException):
    """The power fails."""


@pytest.mark.parametrize("kind", [None, "gzip", "zstd"])
def test_a_crash_at_any_step_loses_and_tears_nothing(
    tmp_path: Path, kind: Kind | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every call to the system in turn; what was acknowledged is there once, in order, in whole lines."""
    steps = 0
    for crash_at in range(1, 1000):
        place = tmp_path / str(crash_at)
        place.mkdir()
        path = place / "events"
        count = [0]
        with monkeypatch.context() as patch:
            for owner, name in ((os, "write"), (os, "fsync"), (os, "ftruncate"), (os, "close"), (Path, "rename"),
                                (Path, "unlink"), (shutil, "copyfileobj")):  # fmt: skip
                patch.setattr(owner, name, _counted(getattr(owner, name), count, crash_at))
            acknowledged = _write_until_the_crash(path, kind)
        steps = max(steps, count[0])
        one = journal(path, keep=99, kind=kind)
        one.append([b"{after\n"])
        one.close()
        if kind is not None:
            ClosedFiles(path, 99, kind).compress()
        files = sorted(place.iterdir())
        lines = b"".join(content(file) for file in [*files[1:], files[0]]).split(b"\n")
        assert lines.pop() == b""
        assert lines.pop() == b"{after"
        assert not [file for file in files if file.suffix == ".part"]
        numbers = [int(line[1:5]) for line in lines]
        assert all(len(line) == 41 for line in lines)
        assert numbers == list(range(len(numbers)))
        assert len(numbers) >= acknowledged
        if count[0] < crash_at:
            break
    assert 15 < steps < 1000


def _counted(call: Callable[..., Any], count: list[int], crash_at: int) -> Callable[..., Any]:
    def counted(*arguments: Any, **named: Any) -> Any:
        count[0] += 1
        if count[0] == crash_at and call.__name__ != "close":
            if call.__name__ == "write":
                call(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
            raise Crash
        return call(*arguments, **named)

    return counted


def _write_until_the_crash(path: Path, kind: Kind | None) -> int:
    acknowledged = 0
    one: Journal | None = None
    try:
        one = journal(path, keep=99, kind=kind)
        for number in range(5):
            one.append([b"{%04d%s\n" % (number, b"x" * 36)])
            acknowledged = number + 1
    except Crash:
        pass
    if one is not None:
        one.close()
    return acknowledged


@pytest.mark.parametrize("torn", [b"\x8a\xa4", b"\0" * 5000, b"\xc1", b'{"a":1}\n'])
async def test_messagepack_is_repaired_behind_the_last_whole_event(
    context: UplinkContext, make_events: Any, tmp_path: Path, torn: bytes
) -> None:
    path = tmp_path / "events"
    for seq in (1, 2):
        uplink = sink(context, format="msgpack")
        await uplink.connect()
        await uplink.write(make_events(seq, seq + 10, data=orjson.dumps({"zeros": "\0" * 100_000})))
        await uplink.close()
        thread = uplink._worker._thread
        assert thread is not None
        await asyncio.get_running_loop().run_in_executor(None, thread.join)
        with path.open("ab") as file:
            file.write(torn)
    framing, data = Messages(), path.read_bytes()
    with path.open("rb") as file:
        assert framing.find_end(file.fileno(), len(data)) == len(data) - len(torn)
    events = list(msgpack.Unpacker(io.BytesIO(data[: -len(torn)])))
    assert [event["seq"] for event in events] == ["1", "11", "2", "12"]


async def test_a_hole_in_messagepack_is_cut_out_with_what_follows(
    context: UplinkContext, make_events: Any, tmp_path: Path
) -> None:
    """Zeros read as numbers, so that the map still ends somewhere: but no event has a number as a key."""
    path = tmp_path / "events"
    whole = msgpack.packb({"seq": "1", "data": {"n": 0}})
    torn = msgpack.packb({"seq": "2", "data": {f"field{n}": n for n in range(400)}})
    begin = torn.index(b"field100") - 1
    holed = torn[:begin] + bytes(600) + whole
    unpacker = msgpack.Unpacker(max_buffer_size=0)
    unpacker.feed(holed)
    unpacker.skip()  # as if nothing were wrong
    path.write_bytes(whole + holed)
    uplink = sink(context, format="msgpack")
    await uplink.connect()
    assert path.read_bytes() == whole
    await uplink.close()


async def test_a_hole_that_a_power_cut_left_is_cut_out_with_what_follows(
    context: UplinkContext, make_events: Any, tmp_path: Path
) -> None:
    """Behind the hole nothing was acknowledged: a write counts when all of it is on the disk."""
    path = tmp_path / "events"
    path.write_bytes(b'{"seq":"1"}\n{"seq":"2"' + b"\0" * 4096 + b'}\n{"seq":"3"}\n')
    uplink = sink(context)
    await uplink.connect()
    assert path.read_bytes() == b'{"seq":"1"}\n'
    await uplink.close()


@pytest.mark.parametrize(("format", "held"), [("json", b"\x82\xa1a\x01\xa1b\x02"), ("msgpack", b'{"seq":"1"}\n')])
async def test_a_file_of_the_other_format_is_left_alone(
    context: UplinkContext, tmp_path: Path, format: str, held: bytes
) -> None:
    path = tmp_path / "events"
    path.write_bytes(held)
    uplink = sink(context, format=format)
    with pytest.raises(ConfigError, match="does not hold"):
        await uplink.connect()
    assert path.read_bytes() == held
    await uplink.close()
