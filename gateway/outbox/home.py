"""Sees that the buffer's files are still where they are looked for at the next start, and puts them back where not.

An open file goes on when its name is taken from it: commits work, and all of them are gone with the process. So the
names are looked at every few seconds, and what is open is written out under its name again.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import aiosqlite
import structlog

from gateway.outbox.database import call, connected
from gateway.outbox.errors import BufferError, BufferLocked, is_damage
from gateway.outbox.lock import BufferLock
from gateway.outbox.opening import configured
from gateway.outbox.recovery import finish, kept_aside, sync_directory
from gateway.outbox.stats import OutboxStats

LOOK_S = 2.0
RETRY_S = 5.0
"""After an attempt that failed: the next one may copy a lot for nothing, too."""
PAGES = 1000
"""Of one step of copying; the watchdog hears of each."""

log = structlog.get_logger("outbox")


class Home:
    """The names of one buffer's files, while it is open."""

    def __init__(self, lock: BufferLock, stats: OutboxStats) -> None:
        self._path, self._lock, self._stats = lock.path, lock, stats
        self._wal = self._path.with_name(self._path.name + "-wal")
        self._file: tuple[int, int] | None = None
        self._log: tuple[int, int] | None = None
        self._look_at = 0.0

    async def begin(self, connection: aiosqlite.Connection) -> None:
        """Learn which files they are."""
        await call(connection, lambda _db: self._learn())

    async def look(self, connection: aiosqlite.Connection, beat: Callable[[], None]) -> aiosqlite.Connection | None:
        """See whether all is there; a new connection where it had to be put back, and the old one is closed.

        `beat` is called while it takes its time. Raises BufferLocked where another daemon took the place meanwhile,
        and sqlite3.Error for what no later attempt can mend.
        """
        if time.monotonic() < self._look_at:
            return None
        self._look_at = time.monotonic() + LOOK_S
        try:
            why = await call(connection, lambda _db: self._lost())
        except BufferLocked:
            raise
        except BufferError as error:
            why = error.why
        if not why:
            self._stats.exposed = ""
            return None
        if not self._stats.exposed:
            log.error("buffer_exposed", why=why, remedy="it is being put back; see who removes the daemon's files")
        self._stats.exposed = why
        try:
            await call(connection, lambda db: self._write_out(db, beat))
        except (sqlite3.Error, OSError) as error:
            if isinstance(error, sqlite3.Error) and is_damage(error):
                raise
            self._stats.exposed = f"{why}, and it cannot be put back: {error}"
            self._look_at = time.monotonic() + RETRY_S
            return None
        await connection.close()
        fresh = await connected(self._reopen)
        self._stats.exposed = ""
        log.info("buffer_put_back", path=str(self._path), size_bytes=self._stats.size_bytes)
        return fresh

    def _lost(self) -> str:
        """What is not where it was; "" where all is."""
        self._stats.aside = tuple(path.name for path in kept_aside(self._path))
        self._lock.renew()
        file, wal = _identity(self._path), _identity(self._wal)
        if file != self._file:
            return f"{self._path} was {'deleted' if file is None else 'replaced'}"
        return f"{self._wal} was {'deleted' if wal is None else 'replaced'}" if wal != self._log else ""

    def _write_out(self, db: sqlite3.Connection, beat: Callable[[], None]) -> None:
        """All that is committed becomes a file that the next start goes on with, whatever becomes of this process."""
        if _identity(self._path) == self._file:
            ((is_busy, _, _),) = db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            if is_busy:
                raise sqlite3.OperationalError("the write-ahead log is in use")
            return
        new = self._path.with_name(self._path.name + ".new")
        new.parent.mkdir(parents=True, exist_ok=True)
        new.unlink(missing_ok=True)
        with closing(sqlite3.connect(new)) as copy:
            db.backup(copy, pages=PAGES, progress=lambda *_: beat())
        with new.open("rb") as file:
            os.fsync(file.fileno())
        new.rename(self._path.with_name(self._path.name + ".recovered"))
        sync_directory(self._path.parent)

    def _reopen(self) -> sqlite3.Connection:
        if _identity(self._wal) == self._log:
            self._wal.unlink(
                missing_ok=True
            )  # SQLite leaves it where its file was moved, and all of it is in the new one
        finish(self._path)
        db = configured(self._path)
        self._learn()
        return db

    def _learn(self) -> None:
        self._file, self._log = _identity(self._path), _identity(self._wal)
        self._look_at = time.monotonic() + LOOK_S
        self._stats.aside = tuple(path.name for path in kept_aside(self._path))


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino
