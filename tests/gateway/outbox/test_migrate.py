"""Buffers of every older schema, as their versions left them, go on in this one."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import pytest

from gateway.outbox.errors import BufferError
from gateway.outbox.look import look
from gateway.outbox.migrate import SCHEMA_VERSION, migrate

if TYPE_CHECKING:
    from tests.gateway.outbox.conftest import Bench

STORED = Path(__file__).parent / "stored"


def shape(path: Path) -> list[tuple[str, ...]]:
    """Every column of every table."""
    with closing(sqlite3.connect(path)) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')")]
        return sorted(
            (table, *map(str, row[1:])) for table in tables for row in db.execute(f"PRAGMA table_info({table})")
        )


def test_there_is_a_file_of_every_older_version() -> None:
    assert {path.name for path in STORED.iterdir()} == {f"schema-{n}.db" for n in range(1, SCHEMA_VERSION)}


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
async def test_an_older_buffer_goes_on(bench: Bench, version: int) -> None:
    bench.path.parent.mkdir()
    shutil.copyfile(STORED / f"schema-{version}.db", bench.path)
    _, seen = await asyncio.to_thread(look, bench.path, "/acme", 0, 99, None, None)
    assert [event.seq for event in seen] == list(range(1, 13))
    outbox = await bench.open("mes", "copy")
    assert outbox.previous is not None
    assert (outbox.stream, outbox.last_seq) == (outbox.previous.stream, 12)
    events = await outbox.recent(0, 99)
    assert [(event.seq, orjson.loads(event.data)["n"]) for event in events] == [(n, n) for n in range(1, 13)]
    assert bench.chain(await outbox.read("mes", 3)) == [(5, 3), (6, 5), (7, 6)]
    assert bench.chain(await outbox.read("copy", 2)) == [(7, 6), (8, 7)]
    assert set(await outbox.load_checkpoint()) == {"engine", "machine/filler"}
    assert outbox.stats.quarantined == 1
    outbox.append(bench.events(13))
    await outbox.close()
    await (await bench.open(path=bench.path.with_name("new.db"))).close()
    assert shape(bench.path) == shape(bench.path.with_name("new.db"))


def test_a_migration_that_is_cut_short_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "buffer.db"
    shutil.copyfile(STORED / "schema-1.db", path)
    broken = tmp_path / "broken.sql"
    broken.write_text("CREATE TABLE trend (x); CREATE TABLE event (x);")
    before = shape(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        monkeypatch.setattr("gateway.outbox.migrate._FILES", [broken, broken])
        with pytest.raises(sqlite3.OperationalError, match="already exists"):
            migrate(db)
    assert shape(path) == before


def test_looking_into_a_newer_buffer_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "buffer.db"
    shutil.copyfile(STORED / "schema-1.db", path)
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(BufferError, match="has schema"):
        look(path, "/acme", 0, 9, None, None)
