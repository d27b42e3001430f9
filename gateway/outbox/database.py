"""The one connection to a buffer's SQLite file, and how statements go to its thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

from gateway.outbox.classes import TABLES
from gateway.outbox.errors import BufferError
from gateway.outbox.identity import Identity
from gateway.outbox.lock import BufferLock
from gateway.outbox.opening import open_buffer

T = TypeVar("T")


async def connect(
    path: Path, lock: BufferLock | None, uplinks: Collection[str]
) -> tuple[aiosqlite.Connection, BufferLock, Identity]:
    """Lock the buffer where `lock` is not it already, and open it. Raises BufferLocked, BufferError or sqlite3.Error.

    All of it happens in aiosqlite's thread.
    """
    locks = [] if lock is None else [lock]
    identities: list[Identity] = []

    def opener() -> sqlite3.Connection:
        if not locks:
            locks.append(BufferLock(path))
        db, identity = open_buffer(locks[0], uplinks)
        identities.append(identity)
        return db

    try:
        return await connected(opener), locks[0], identities[0]
    except BaseException:
        for one in locks:
            one.release()
        raise


async def connected(opener: Callable[[], sqlite3.Connection]) -> aiosqlite.Connection:
    """What `opener` opens, with aiosqlite's thread, in which it is called and which never keeps the process alive.

    Raises BufferError, sqlite3.Error or OSError of `opener`.
    """
    failed: list[Exception] = []

    def connector() -> sqlite3.Connection:
        try:
            return opener()
        except (BufferError, sqlite3.Error, OSError) as error:
            # aiosqlite abandons its thread when this raises, and the thread then complains about a closed loop
            failed.append(error)
            return sqlite3.connect(":memory:")

    connection = aiosqlite.Connection(connector, iter_chunk_size=64)
    # aiosqlite has no option for it; a test holds this attribute. A statement that hangs on a dead disk must not
    # hold the exit: what it was to store is not committed, and so is decided again after the restart.
    connection._thread.daemon = True
    await connection
    if failed:
        await connection.close()
        raise failed[0]
    return connection


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


async def oldest_seq(connection: aiosqlite.Connection, last_seq: int) -> int:
    """The first event that is still stored; the next one where none is."""
    arms = " UNION ALL ".join(f"SELECT min(seq) AS seq FROM {table}" for table in TABLES)
    ((seq,),) = await fetch(connection, f"SELECT min(seq) FROM ({arms})")
    return last_seq + 1 if seq is None else int(seq)
