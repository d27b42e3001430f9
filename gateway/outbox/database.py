"""Opens a buffer's SQLite file: settings, schema, identity, and the check after an unclean stop."""

from __future__ import annotations

import os
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

import aiosqlite

from gateway.events import Former
from gateway.outbox.classes import TABLES
from gateway.outbox.errors import BufferError
from gateway.outbox.lock import BufferLock
from gateway.outbox.migrate import check_version, migrate

T = TypeVar("T")
Ended: TypeAlias = Literal["clean", "unclean", "damaged", "missing"]
"""How a run, or a whole buffer, came to its end."""

APPLICATION_ID = 0x4C474154
"""Says that a SQLite file is a buffer of ours: `LGAT`."""
BUSY_TIMEOUT_S = 1.0
JOURNAL_SIZE_LIMIT = 16_000_000

_ASIDE = "move it aside together with its -wal and -shm files; the daemon then begins a new buffer"


@dataclass(frozen=True, slots=True)
class Previous:
    """What the run before left: its stream, the last seq it gave, and how it ended."""

    stream: str
    last_seq: int
    ended: Ended

    @property
    def clean(self) -> bool:
        """Whether it stopped in order."""
        return self.ended == "clean"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a buffer is."""

    stream: str
    last_seq: int = 0
    former: tuple[Former, ...] = ()
    """Buffers before it of which it has events, the youngest first."""
    previous: Previous | None = None


async def connect(path: Path) -> tuple[aiosqlite.Connection, BufferLock]:
    """Lock the buffer, and a connection that begins no transaction by itself. Raises BufferLocked or BufferError.

    All of it happens in aiosqlite's thread, which never keeps the process alive.
    """
    locks: list[BufferLock] = []
    failed: list[Exception] = []

    def connector() -> sqlite3.Connection:
        try:
            locks.append(BufferLock(path))
            _make_file(path)
            return sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_S)
        except (BufferError, sqlite3.Error) as error:
            # aiosqlite abandons its thread when this raises, and the thread then complains about a closed loop
            failed.append(error)
            return sqlite3.connect(":memory:")

    connection = aiosqlite.Connection(connector, iter_chunk_size=64)
    # aiosqlite has no option for it; a test holds this attribute. A statement that hangs on a dead disk must not
    # hold the exit: what it was to store is not committed, and so is decided again after the restart.
    connection._thread.daemon = True
    try:
        await connection
        if failed:
            await connection.close()
            raise failed[0]
    except BaseException:
        for lock in locks:
            lock.release()
        raise
    return connection, locks[0]


async def fetch(
    connection: aiosqlite.Connection, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()
) -> list[Any]:
    """All rows of one statement."""
    return list(await connection.execute_fetchall(sql, parameters))


async def call(connection: aiosqlite.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    """What `work` returns, done in the connection's thread in one go: several statements for the price of one."""
    # aiosqlite has no public name for it; a test holds both attributes
    return await connection._execute(lambda: work(connection._conn))  # type: ignore[no-any-return, no-untyped-call]


@contextmanager
def atomic(db: sqlite3.Connection) -> Iterator[None]:
    """One transaction: all of it or nothing, whatever is raised."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    finally:
        if db.in_transaction:  # else SQLite has undone it by itself
            db.execute("ROLLBACK")


async def prepare(connection: aiosqlite.Connection, path: Path) -> Identity:
    """Make or check the buffer behind `connection`.

    Raises BufferError for a file that is not a buffer, of a newer schema, or damaged.
    """
    try:
        if await _is_empty(connection, path):
            return Identity(await _create(connection, path))
        await _configure(connection, path)
        ((clean,),) = await fetch(connection, "SELECT clean FROM meta")
        if not clean:
            await _check(connection, path)
        await call(connection, migrate)
        return await call(connection, _identify)
    except sqlite3.OperationalError as error:
        raise BufferError(
            f"the buffer {path} cannot be opened: {error}", "check the disk and the file's mode"
        ) from error
    except (sqlite3.DatabaseError, ValueError) as error:
        raise BufferError(f"the buffer {path} is damaged: {error}", _ASIDE) from error


def _identify(db: sqlite3.Connection) -> Identity:
    ((stream, last_seq, clean, *before),) = db.execute(
        "SELECT stream, last_seq, clean, before_stream, before_last_seq, before_ended FROM meta"
    )
    former = tuple(Former(*row) for row in db.execute("SELECT base, stream FROM former ORDER BY base DESC"))
    previous = Previous(stream, last_seq, "clean" if clean else "unclean")
    return Identity(stream, last_seq, former, Previous(*before) if before[0] is not None else previous)


async def oldest_seq(connection: aiosqlite.Connection, last_seq: int) -> int:
    """The first event that is still stored; the next one where none is."""
    arms = " UNION ALL ".join(f"SELECT min(seq) AS seq FROM {table}" for table in TABLES)
    ((seq,),) = await fetch(connection, f"SELECT min(seq) FROM ({arms})")
    return last_seq + 1 if seq is None else int(seq)


async def _is_empty(connection: aiosqlite.Connection, path: Path) -> bool:
    """Whether there is nothing yet, be it that a power cut interrupted the making. Raises BufferError for strangers."""
    ((application_id,),) = await fetch(connection, "PRAGMA application_id")
    ((version,),) = await fetch(connection, "PRAGMA user_version")
    ((tables,),) = await fetch(connection, "SELECT count(*) FROM sqlite_schema")
    if tables == application_id == version == 0:
        return True
    if application_id != APPLICATION_ID:
        raise BufferError(f"{path} is a SQLite file of another program", "give `buffer.path` a name of its own")
    check_version(version, path)
    return False


async def _create(connection: aiosqlite.Connection, path: Path) -> str:
    stream = str(uuid.uuid4())
    await fetch(connection, "PRAGMA auto_vacuum = INCREMENTAL")  # before anything is written, or it has no effect
    await _configure(connection, path)
    made = (
        "INSERT INTO meta (id, stream, last_seq, clean, created_at)"
        f" VALUES (1, '{stream}', 0, 0, {time.time_ns() // 1_000_000});"
        f"PRAGMA application_id = {APPLICATION_ID};"
    )
    await call(connection, lambda db: migrate(db, made))
    return stream


async def _configure(connection: aiosqlite.Connection, path: Path) -> None:
    ((mode,),) = await fetch(connection, "PRAGMA journal_mode = WAL")
    if mode != "wal":
        raise BufferError(f"the file system of {path} cannot hold a write-ahead log", "put the buffer on a local disk")
    await fetch(connection, "PRAGMA synchronous = FULL")
    await fetch(connection, f"PRAGMA journal_size_limit = {JOURNAL_SIZE_LIMIT}")


async def _check(connection: aiosqlite.Connection, path: Path) -> None:
    rows = await fetch(connection, "PRAGMA quick_check(10)")
    if rows != [("ok",)]:
        found = "; ".join(str(row[0]).replace("\n", " ") for row in rows)
        raise BufferError(f"the buffer {path} is damaged: {found}", _ASIDE)


def _make_file(path: Path) -> None:
    """See to the file's name, so that a power cut cannot take it back: SQLite itself syncs only what is inside."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644))
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        remedy = f"the daemon's user needs to write into {path.parent}"
        raise BufferError(f"the buffer {path} cannot be opened: {error.strerror}", remedy) from None
