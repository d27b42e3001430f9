"""The file uplink on a real file system: durability, rotation, repair, and everything that can be wrong with a path."""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.uplinks.file.closed import ClosedFiles
from gateway.uplinks.file.config import FileUplink
from gateway.uplinks.file.framing import Lines
from gateway.uplinks.file.journal import Journal
from gateway.uplinks.file.sink import FileSink
from gateway.uplinks.registry import uplink_class
from gateway.uplinks.uplink import Rejected, UplinkContext
from protocols.driver import ConnectFailed, NotConnected


def sink(context: UplinkContext, path: str = "out/events.ndjson", **settings: Any) -> FileSink:
    return FileSink(FileUplink.model_validate({"type": "file", "path": path, **settings}), context)


def seqs(path: Path) -> list[int]:
    return [int(orjson.loads(line)["seq"]) for line in path.read_bytes().splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out" / "events.ndjson"


async def test_one_line_an_event(context: UplinkContext, make_events: Any, path: Path) -> None:
    uplink = sink(context)
    await uplink.connect()
    events = make_events(1, 2, data=b'{"text":"a\\nb"}')
    assert await uplink.write(events) == 2
    assert path.read_bytes() == context.envelope.json(events[0]) + b"\n" + context.envelope.json(events[1]) + b"\n"
    await uplink.close()
    await uplink.close()


async def test_synced_before_it_counts(
    context: UplinkContext, make_events: Any, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uplink = sink(context)
    await uplink.connect()
    synced: list[int] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_size)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    await uplink.write(make_events(1, 2, 3))
    assert synced == [path.stat().st_size]
    await uplink.close()


async def test_a_second_connection_appends(context: UplinkContext, make_events: Any, path: Path) -> None:
    for seq in (1, 2):
        uplink = sink(context)
        await uplink.connect()
        await uplink.write(make_events(seq))
        await uplink.close()
        await closed(uplink)
    assert seqs(path) == [1, 2]


@pytest.mark.parametrize(
    "torn",
    [
        b'{"specversion":"1.0","id"',
        b"\0" * 5000,
        b"x" * 200_000,
        b'{"specversion":"1.0"' + b"\0" * 512 + b'}\n{"seq":"3"}\n',
        b"\0" * 512 + b"\n",
    ],
    ids=["begun", "zeros", "long", "a hole before whole lines", "a hole in front"],
)
async def test_a_torn_line_is_cut_off(context: UplinkContext, make_events: Any, path: Path, torn: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(b'{"seq":"1"}\n' + torn)
    uplink = sink(context)
    await uplink.connect()
    assert path.read_bytes() == b'{"seq":"1"}\n'
    await uplink.write(make_events(2))
    assert seqs(path) == [1, 2]
    await uplink.close()


async def test_a_file_that_is_one_torn_line(context: UplinkContext, path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b'{"seq":"1"')
    uplink = sink(context)
    await uplink.connect()
    assert path.read_bytes() == b""
    await uplink.close()


async def test_rotation_keeps_order_and_the_newest(context: UplinkContext, make_events: Any, path: Path) -> None:
    uplink = sink(context, rotate="2kB", keep=3)
    await uplink.connect()
    for first in range(1, 60, 3):
        assert await uplink.write(make_events(first, first + 1, first + 2)) == 3
    files = sorted(path.parent.iterdir())
    assert files[0].name == "events.ndjson"
    assert len(files) == 4
    assert all(file.stat().st_size <= 2000 for file in files)
    kept = [seq for file in [*files[1:], files[0]] for seq in seqs(file)]
    assert kept == list(range(kept[0], 61))
    assert files[1].name > "events.ndjson.00000001"
    await uplink.close()


@pytest.mark.parametrize("keep", range(1, 13))
def test_as_many_closed_files_stay_as_are_asked_for(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "events.ndjson"
    journal = Journal(path, Lines(), ClosedFiles(path, keep, None), 1000)
    journal.open()
    for closed in range(30):
        journal.append([b"%03d" % closed + b"x" * 896 + b"\n"])
        files = sorted(tmp_path.glob("events.ndjson.*"))
        assert [int(file.suffix[1:]) for file in files] == list(range(max(1, closed - keep + 1), closed + 1))
    journal.close()


async def test_one_write_may_fill_several_files(context: UplinkContext, make_events: Any, path: Path) -> None:
    uplink = sink(context, rotate="1kB", keep=100)
    await uplink.connect()
    assert await uplink.write(make_events(*range(1, 21))) == 20
    large = make_events(21, data=orjson.dumps("x" * 3000))
    assert await uplink.write([*large, *make_events(22)]) == 2
    files = [file for file in sorted(path.parent.iterdir()) if file != path]
    assert [seq for file in files for seq in seqs(file)] == list(range(1, 22))
    assert seqs(files[-1]) == [21], "larger than a file may be, so alone in one"
    assert seqs(path) == [22]
    await uplink.close()


async def test_numbers_go_on_whatever_else_lies_there(context: UplinkContext, make_events: Any, path: Path) -> None:
    path.parent.mkdir()
    for name in ("events.ndjson.99999999", "events.ndjson.gz", "events.ndjson.1.gz", "events.ndjson.²"):
        (path.parent / name).write_text("")
    uplink = sink(context, rotate="1kB", keep=1)
    await uplink.connect()
    await uplink.write(make_events(*range(1, 6)))
    names = {file.name for file in path.parent.iterdir()}
    assert {"events.ndjson", "events.ndjson.gz", "events.ndjson.1.gz", "events.ndjson.²"} < names
    assert "events.ndjson.99999999" not in names
    assert any(int(name.rpartition(".")[2]) > 99_999_999 for name in names if name[-3:].isdecimal())
    await uplink.close()


@pytest.mark.parametrize("how", ["deleted", "renamed"])
async def test_a_file_that_goes_away_takes_nothing_with_it(
    context: UplinkContext, make_events: Any, path: Path, how: str
) -> None:
    uplink = sink(context)
    await uplink.connect()
    await uplink.write(make_events(1))
    if how == "deleted":
        path.unlink()
    else:
        path.rename(path.with_name("moved"))
        path.touch()
    with pytest.raises(NotConnected, match=r"(deleted|replaced) while it was open"):
        await uplink.write(make_events(2))
    await uplink.close()
    again = sink(context)
    await again.connect()
    await again.write(make_events(2))
    assert seqs(path) == [2]
    await again.close()


async def test_two_writers_are_one_too_many(context: UplinkContext, make_events: Any) -> None:
    first, second = sink(context), sink(context)
    await first.connect()
    with pytest.raises(ConnectFailed, match="being written"):
        await second.connect()
    await first.close()
    await closed(first)
    await second.close()
    third = sink(context)
    await third.connect()
    await third.close()


async def test_a_stuck_write_ends_before_another_begins(
    context: UplinkContext, make_events: Any, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uplink = sink(context)
    await uplink.connect()
    release = threading.Event()
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (release.wait(10), fsync(descriptor)))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await uplink.write(make_events(1))
    async with asyncio.timeout(1):
        await uplink.close()
    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(ConnectFailed, match="earlier write"):
        await sink(context).connect()
    release.set()
    await closed(uplink)
    again = sink(context)
    await again.connect()
    await again.write(make_events(1, 2))
    assert seqs(path) == [1, 1, 2]
    await again.close()


async def test_what_is_in_the_way(context: UplinkContext, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "directory").mkdir()
    for path, words in (("file/events", "Not a directory"), ("directory", "Is a directory"), ("/proc/events", "/proc")):
        uplink = sink(context, path)
        with pytest.raises(ConnectFailed, match=words) as failed:
            await uplink.connect()
        assert failed.value.remedy
        await uplink.close()


async def test_an_event_that_cannot_be_written_is_rejected(context: UplinkContext, make_events: Any) -> None:
    uplink = sink(context)
    await uplink.connect()
    (broken,) = make_events(3)
    broken = broken._replace(time=10**18)
    events = [*make_events(1, 2), broken, *make_events(4)]
    assert await uplink.write(events) == 2
    with pytest.raises(Rejected) as rejected:
        await uplink.write(events[2:])
    assert rejected.value.which == 0
    await uplink.close()


def test_a_full_disk_takes_back_what_it_cut(tmp_path: Path) -> None:
    """In a process of its own, whose files may not grow beyond 4000 bytes."""
    script = (
        "import errno, signal, sys; from pathlib import Path; from gateway.uplinks.file.journal import Journal\n"
        "from gateway.uplinks.file.closed import ClosedFiles; from gateway.uplinks.file.framing import Lines\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "path = Path(sys.argv[1])\n"
        "journal = Journal(path, Lines(), ClosedFiles(path, 1, None), 10**9); journal.open()\n"
        "journal.append([b'x' * 2999 + b'\\n'])\n"
        "try: journal.append([b'y' * 800 + b'\\n', b'z' * 800 + b'\\n'])\n"
        "except OSError as error: print(errno.errorcode[error.errno])"
    )
    path = tmp_path / "events.ndjson"
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000)),
    )
    assert done.stdout == "EFBIG\n"
    assert path.stat().st_size == 3000


async def test_a_disk_that_fails_is_a_lost_connection(
    context: UplinkContext, make_events: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    uplink = sink(context)
    await uplink.connect()

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(NotConnected, match=r"events\.ndjson: No space left") as lost:
        await uplink.write(make_events(1))
    assert "free space" in lost.value.remedy
    await uplink.close()


async def test_the_registry_knows_it() -> None:
    assert uplink_class(FileUplink.model_validate({"type": "file", "path": "x"})) is FileSink


async def closed(uplink: FileSink) -> None:
    """Wait until its thread has given the file back."""
    thread = uplink._worker._thread
    assert thread is not None
    thread.join(5)
    assert not thread.is_alive()


def test_a_journal_may_be_closed_twice(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "x", Lines(), ClosedFiles(tmp_path / "x", 1, None), 1000)
    journal.open()
    journal.close()
    journal.close()


async def test_somebody_who_writes_there_too_is_noticed(context: UplinkContext, make_events: Any, path: Path) -> None:
    """On a share that has no locks a second gateway of the line may."""
    uplink = sink(context)
    await uplink.connect()
    await uplink.write(make_events(1))
    with path.open("ab") as others:
        others.write(b'{"seq":"1"}\n')
    with pytest.raises(NotConnected, match="somebody else writes into the file") as told:
        await uplink.write(make_events(2))
    assert "second gateway" in told.value.remedy
    await uplink.close()
    await closed(uplink)
    again = sink(context)
    await again.connect()
    assert await again.write(make_events(2, 3)) == 2
    await again.close()
