"""Making, opening and locking a buffer, and what it says of the run before."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import orjson
import pytest

from gateway.outbox.identity import APPLICATION_ID
from gateway.outbox.migrate import SCHEMA_VERSION
from gateway.outbox.outbox import BufferError, BufferLocked, Previous

if TYPE_CHECKING:
    from tests.gateway.outbox.conftest import Bench


async def test_a_new_buffer(bench: Bench) -> None:
    outbox = await bench.open("mes")
    assert outbox.previous is None
    assert (outbox.last_seq, outbox.backlog("mes")) == (0, 0)
    assert len(outbox.stream) == 36
    assert await outbox.load_checkpoint() == {}
    assert outbox.stats.size_bytes > 0
    await outbox.close()
    with closing(sqlite3.connect(bench.path)) as file:
        for pragma, value in (
            ("application_id", APPLICATION_ID),
            ("user_version", SCHEMA_VERSION),
            ("journal_mode", "wal"),
            ("auto_vacuum", 2),
        ):
            assert file.execute(f"PRAGMA {pragma}").fetchone() == (value,)


async def test_what_guards_against_power_cuts_is_on(bench: Bench) -> None:
    outbox = await bench.open()
    rows = await outbox._store.connection.execute_fetchall("PRAGMA synchronous")
    assert list(rows) == [(2,)]


async def test_the_run_before_is_named(bench: Bench) -> None:
    first = await bench.open()
    first.append(bench.events(1, 2))
    await first.close()
    second = await bench.open()
    assert second.previous == Previous(first.stream, 2, "clean")
    assert second.stream == first.stream
    await bench.crash(second)
    third = await bench.open()
    assert third.previous == Previous(first.stream, 2, "unclean")


async def test_a_stop_that_is_not_clean_is_remembered(bench: Bench) -> None:
    first = await bench.open()
    await first.close(clean=False)
    second = await bench.open()
    assert second.previous is not None
    assert not second.previous.clean


async def test_a_second_opener_is_told_who_has_it(bench: Bench) -> None:
    outbox = await bench.open()
    with pytest.raises(BufferLocked, match=f"process {os.getpid()}") as refused:
        await bench.open()
    assert refused.value.remedy
    await outbox.close()
    await bench.open()


async def test_another_process_is_refused_and_told_the_pid(bench: Bench) -> None:
    await bench.open()
    script = (
        "import sys; from pathlib import Path; from gateway.outbox.lock import BufferLock\n"
        "try: BufferLock(Path(sys.argv[1]))\n"
        "except Exception as error: print(error)"
    )
    command = [sys.executable, "-c", script, str(bench.path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)  # noqa: ASYNC221
    assert f"is in use by process {os.getpid()}" in done.stdout


async def test_a_newer_schema_is_refused_in_words(bench: Bench) -> None:
    await (await bench.open()).close()
    with closing(sqlite3.connect(bench.path)) as file:
        file.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(BufferError, match=f"has schema {SCHEMA_VERSION + 1}.* knows {SCHEMA_VERSION}") as refused:
        await bench.open()
    assert "version" in refused.value.remedy


async def test_a_file_of_another_program_is_left_alone(bench: Bench) -> None:
    bench.path.parent.mkdir()
    with closing(sqlite3.connect(bench.path)) as file:
        file.execute("CREATE TABLE theirs (x)")
    before = bench.path.read_bytes()
    with pytest.raises(BufferError, match="another program"):
        await bench.open()
    assert bench.path.read_bytes() == before


async def test_a_file_that_is_no_database_is_refused(bench: Bench) -> None:
    bench.path.parent.mkdir()
    bench.path.write_bytes(b"not a database, by any measure. " * 100)
    with pytest.raises(BufferError, match="no buffer: file is not a database") as refused:
        await bench.open()
    assert "move" in refused.value.remedy


async def test_a_making_cut_short_is_begun_again(bench: Bench) -> None:
    bench.path.parent.mkdir()
    bench.path.touch()
    outbox = await bench.open()
    assert outbox.previous is None


async def test_a_directory_that_cannot_be_is_said(bench: Bench) -> None:
    bench.path.parent.write_text("a file where the directory should be")
    with pytest.raises(BufferError, match=r"buffer\.db\.lock cannot be opened") as refused:
        await bench.open()
    assert str(bench.path.parent) in refused.value.remedy


async def test_a_refused_open_gives_everything_back(bench: Bench) -> None:
    bench.path.parent.mkdir()
    bench.path.write_bytes(b"not a database, by any measure. " * 100)
    for _ in range(3):
        with pytest.raises(BufferError, match="not a database"):
            await bench.open()
    threads = [thread for thread in threading.enumerate() if "worker_thread" in thread.name]
    for thread in threads:
        thread.join(5)
    assert not any(thread.is_alive() for thread in threads)


async def test_the_worker_thread_never_holds_the_exit(bench: Bench) -> None:
    """Guards the place where aiosqlite's thread is made a daemon."""
    outbox = await bench.open()
    assert outbox._store.connection._thread.is_alive()
    assert outbox._store.connection._thread.daemon


async def test_a_buffer_that_was_put_in_anothers_place_tells_what_went_with_that(bench: Bench) -> None:
    first = await bench.open("mes", "copy", begin="oldest")
    first.append(bench.events(*range(1, 11)))
    first.acknowledge("mes", (await first.read("mes", 4))[-1])
    first.acknowledge("copy", (await first.read("copy", 7))[-1])
    await first.close()
    path = bench.path.with_name("other.db")
    other = await bench.open("mes", begin="oldest", path=path)
    other.append(bench.events(1))
    await other.close()
    path.replace(bench.path)
    for _ in range(2):  # and tells it once
        outbox = await bench.open("mes", begin="oldest")
        assert outbox.stream == other.stream
        told = [orjson.loads(event.data) for event in await outbox.recent(0, 99) if event.type == "gateway.gap"]
        assert [(one["of_stream"], one["from"], one["to"], one["count"]) for one in told] == [
            (first.stream, "5", "10", 6)
        ]
        await outbox.close()


async def test_a_link_leads_to_one_buffer_with_one_lock(bench: Bench) -> None:
    real = bench.path.with_name("disk") / "line.db"
    bench.path.parent.mkdir()
    bench.path.symlink_to(real)
    outbox = await bench.open("mes", begin="oldest")
    outbox.append(bench.events(1))
    await outbox.flush()
    with pytest.raises(BufferLocked):
        await bench.open("mes", path=real)
    assert {one.name for one in real.parent.iterdir()} >= {"line.db", "line.db-wal", "line.db.lock"}
    assert [one.name for one in bench.path.parent.iterdir() if one.name.startswith("buffer")] == ["buffer.db"]
    await bench.crash(outbox)
    real.write_bytes(bytes(100) + real.read_bytes()[100:])
    again = await bench.open("mes", begin="oldest")
    assert [orjson.loads(event.data)["n"] for event in await again.read("mes", 9)] == [1], "its log was found"
    assert bench.path.is_symlink()


async def test_what_is_no_file_is_refused_in_words(bench: Bench) -> None:
    bench.path.mkdir(parents=True)
    with pytest.raises(BufferError, match=r"buffer.db is no file") as refused:
        await bench.open("mes")
    assert "move it away" in refused.value.remedy
