"""Our own reader of SQLite files against SQLite: the same rows of sound files and of logs cut or spoilt anywhere."""

from __future__ import annotations

import shutil
import sqlite3
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway.outbox.lock import BufferLock
from gateway.outbox.pages import Pages, Unbelievable, record
from gateway.outbox.witness import Witness

FRAME = 24 + 4096


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database whose log has ten commits, and of an eleventh half; values of every kind, some in overflow pages."""
    place = tmp_path_factory.mktemp("logged")
    with closing(sqlite3.connect(place / "live.db", isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE rows (n INTEGER PRIMARY KEY, a, b, c)")
        db.execute("CREATE TABLE named (name TEXT PRIMARY KEY, body) WITHOUT ROWID")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for commit in range(10):
            db.execute("BEGIN")
            for n in range(commit * 30, commit * 30 + 30):
                values = [None, 0, 1, -1, 2**62 + n, -(2**40), 1.5, "ä" * (n % 40), b"x" * (n * 50), 300, 70_000]
                row = (n - 100, values[n % 11], values[n % 7], values[(n * 3) % 11])
                db.execute("INSERT INTO rows VALUES (?, ?, ?, ?)", row)
                db.execute("INSERT OR REPLACE INTO named VALUES (?, ?)", (f"name {n % 50}", b"y" * (n * 10)))
            db.execute("COMMIT")
        for end in ("", "-wal"):
            shutil.copyfile(place / f"live.db{end}", place / f"file.db{end}")
    path = place / "file.db"
    with (place / "file.db-wal").open("r+b") as log:
        log.truncate(32 + (log.seek(0, 2) // FRAME - 2) * FRAME)
    return path


def by_sqlite(path: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as db:
        named = db.execute("SELECT name, body FROM named ORDER BY name").fetchall()
        return [*db.execute("SELECT n, a, b, c FROM rows ORDER BY n"), *named]


def by_us(path: Path) -> list[tuple[Any, ...]]:
    with closing(Pages(path)) as pages:
        schema = pages.tree(1)
        roots = {row.values[1]: row.values[3] for row in schema}
        found: list[tuple[Any, ...]] = []
        for name in ("rows", "named"):
            root = roots[name]
            assert isinstance(root, int)
            tree = pages.tree(root)
            rows = ((row.key, *row.values[1:]) if row.key is not None else row.values for row in tree)
            found += sorted(rows, key=lambda row: row[0])
            assert tree.is_whole
        return found


@pytest.mark.parametrize("spoilt", [None, 5, 20, 32 + 3, 32 + 30, 32 + 7 * FRAME + 9, 32 + 40 * FRAME + 2000])
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.3, 0.5, 0.77, 1.0])
def test_the_same_rows_as_sqlite(logged: Path, tmp_path: Path, spoilt: int | None, kept: float) -> None:
    path = tmp_path / "file.db"
    shutil.copyfile(logged, path)
    log = bytearray(logged.with_name("file.db-wal").read_bytes())
    if spoilt is not None:
        log[spoilt] ^= 0x40
    path.with_name("file.db-wal").write_bytes(log[: int(len(log) * kept)])
    ours = by_us(path)
    assert ours == by_sqlite(path)
    if spoilt is None and kept == 1.0:
        assert len(ours) == 9 * 30 + 50


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x02",
        b"\x02\x01",
        b"\x02\x01\x05\x00",
        b"\x03\x01\x05",
        b"\x02\x0a",
        b"\x02\x0f",
        b"\x02\x0b\x00",
        b"\x80",
    ],
)
def test_what_is_no_record_is_not_believed(payload: bytes) -> None:
    with pytest.raises(Unbelievable):
        record(payload)


def test_damage_stays_known_though_something_was_stored_after_it(tmp_path: Path) -> None:
    path = tmp_path / "buffer.db"
    lock = BufferLock(path)
    lock.note_damage("0192f0c4-6b7e-4d0e-9a52-6c1a8d2f4f10", 7, "malformed")
    lock.note(Witness("0192f0c4-6b7e-4d0e-9a52-6c1a8d2f4f10", 8, {"mes": (1, 1)}))
    lock.release()
    again = BufferLock(path)
    assert again.witness == Witness("0192f0c4-6b7e-4d0e-9a52-6c1a8d2f4f10", 8, {"mes": (1, 1)}, "malformed")
    again.note(None)
    again.release()
    last = BufferLock(path)
    assert last.witness is None
    last.release()


@pytest.mark.parametrize(
    ("body", "last_seq"),
    [
        (b"[]", None),
        (b'{"pid":7,"buffer":{"stream":5}}', None),
        (b'{"pid":7,"buffer":{"stream":"s","last_seq":3,"cursors":{"mes":[2,1]},"damaged":""}}', 3),
        (b'{"pid":7,"buffer":{"stream":"s","last_seq":3,"cursors":{"mes":[2,1,9]},"damaged":"","later":{}}}', 3),
    ],
)
def test_a_lock_file_of_another_version_is_read_as_far_as_it_says_what_it_must(
    tmp_path: Path, body: bytes, last_seq: int | None
) -> None:
    (tmp_path / "buffer.db.lock").write_bytes(b"%s %08x\n" % (body, zlib.crc32(body)))
    lock = BufferLock(tmp_path / "buffer.db")
    assert (lock.witness and lock.witness.last_seq) == last_seq
    assert lock.witness is None or lock.witness.cursors == {"mes": (2, 1)}
    lock.release()
