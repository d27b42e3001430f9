"""Opens a buffer's file, whatever has become of it: makes it, checks it, or has it recovered. All of it blocks.

The check has a time: what it did not come to is looked at when it is read, and recovered then. A start is not held for
minutes by a slow disk and a long outage.
"""

from __future__ import annotations

import os
import sqlite3
import time
import uuid
from collections.abc import Collection, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path

import structlog

from gateway.events import Former
from gateway.outbox.errors import BufferError, is_damage, is_passing
from gateway.outbox.identity import APPLICATION_ID, Identity, Previous
from gateway.outbox.lock import BufferLock
from gateway.outbox.migrate import check_version, migrate
from gateway.outbox.recovery import finish, recover, sync_directory
from gateway.outbox.salvage import Salvage, check_numbers, check_rows
from gateway.outbox.witness import Witness

BUSY_TIMEOUT_S = 1.0
JOURNAL_SIZE_LIMIT = 16_000_000
CHECK_S = 5.0
"""Most that the check of a file's pages may take, and that of its rows."""
_NO_INDEX = (sqlite3.SQLITE_IOERR_SHMOPEN, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMMAP)
LIKELY_VERSIONS = 1000
"""A schema beyond is no newer one, but what is left of a header."""

log = structlog.get_logger("outbox")


class Damaged(Exception):
    """The file cannot be gone on with as it is."""


def open_buffer(lock: BufferLock, uplinks: Collection[str]) -> tuple[sqlite3.Connection, Identity]:
    """A connection that begins no transaction by itself, to a buffer that is locked and can be gone on with.

    `uplinks` are those of the configuration. Raises BufferError, or sqlite3.Error or OSError of the disk.
    """
    path, witness = lock.path, lock.witness
    finish(path)
    if witness is not None and witness.damaged and _stream(path) not in (None, witness.stream):
        witness = None  # somebody has put a sound one there since
    why = "" if witness is None else witness.damaged or _missing(path)
    if not why:
        try:
            db, identity = _open(path, witness)
            return db, replace(identity, replaced=_replaced(identity, witness))
        except Damaged as error:
            why = str(error)
    if witness is None:
        _check_ours(path, why)
    recover(path, why, witness, uplinks)
    lock.note(None)  # it knows nothing of the new one
    try:
        return _open(path, None)
    except Damaged as error:
        raise BufferError(f"the recovered buffer {path} is damaged: {error}", "see whether the disk is well") from None


def configured(path: Path) -> sqlite3.Connection:
    """A connection to a buffer that is known to be good."""
    with ExitStack() as opened:
        db = opened.enter_context(closing(sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_S)))
        _configure(db, path)
        opened.pop_all()
        return db


def _replaced(identity: Identity, witness: Witness | None) -> Witness | None:
    """What is known of the buffer in whose place another one was put."""
    if witness is None or witness.stream in (identity.stream, *(one.stream for one in identity.former)):
        return None
    log.warning("buffer_replaced", stream=identity.stream, before=witness.stream, last_seq=witness.last_seq)
    return witness


def _missing(path: Path) -> str:
    if path.exists() and not path.is_file():
        return ""  # as is said where it is opened
    if not path.exists():
        return "its file was not there"
    return "its file was empty" if path.stat().st_size == 0 else ""


def _open(path: Path, witness: Witness | None) -> tuple[sqlite3.Connection, Identity]:
    """Raises Damaged."""
    _make_file(path)
    with ExitStack() as opened:
        try:
            db = opened.enter_context(closing(_connected(path)))
            identity = _prepare(db, path, witness)
        except sqlite3.DatabaseError as error:
            if not is_damage(error) and is_passing(error):
                remedy = "check the disk, its room for files too (df -i), and the file's mode"
                raise BufferError(f"the buffer {path} cannot be opened: {error}", remedy) from error
            raise Damaged(str(error)) from None
        opened.pop_all()
        return db, identity


def _connected(path: Path) -> sqlite3.Connection:
    """A connection whose index of the write-ahead log is a file beside it, or in memory where a full disk has no room.

    In memory the buffer is nobody else's to read, which is why it is not always there.
    """
    for mode in ("NORMAL", "EXCLUSIVE"):
        with ExitStack() as opened:
            db = opened.enter_context(closing(sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_S)))
            db.execute(f"PRAGMA locking_mode = {mode}").close()
            try:
                db.execute("SELECT count(*) FROM sqlite_schema").close()
            except sqlite3.OperationalError as error:
                if mode == "EXCLUSIVE" or error.sqlite_errorcode not in _NO_INDEX:
                    raise
                continue
            opened.pop_all()
            return db
    raise AssertionError("unreachable")


def _prepare(db: sqlite3.Connection, path: Path, witness: Witness | None) -> Identity:
    """Make or check the buffer behind `db`."""
    if _is_empty(db, path, witness):
        return Identity(_create(db, path))
    _configure(db, path)
    _check(db, path)
    identity = _identify(db)
    if witness is not None and witness.stream == identity.stream and witness.last_seq > identity.last_seq:
        raise Damaged(
            f"it ends with event {identity.last_seq}, though event {witness.last_seq} had been stored: "
            "its write-ahead log is damaged or gone, or an old copy was put in its place"
        )
    return identity


def _identify(db: sqlite3.Connection) -> Identity:
    rows = db.execute("SELECT stream, last_seq, clean, before_stream, before_last_seq, before_ended FROM meta")
    if (row := rows.fetchone()) is None:
        raise Damaged("it does not say any more which stream it is")
    stream, last_seq, clean, *before = row
    former = tuple(Former(*row) for row in db.execute("SELECT base, stream FROM former ORDER BY base DESC"))
    previous = Previous(stream, last_seq, "clean" if clean else "unclean")
    return Identity(stream, last_seq, former, Previous(*before) if before[0] is not None else previous)


def _is_empty(db: sqlite3.Connection, path: Path, witness: Witness | None) -> bool:
    """Whether there is nothing yet, be it that a power cut interrupted the making.

    Raises BufferError for strangers, Damaged for one that sits where a buffer was.
    """
    ((application_id,),) = db.execute("PRAGMA application_id")
    ((version,),) = db.execute("PRAGMA user_version")
    ((tables,),) = db.execute("SELECT count(*) FROM sqlite_schema")
    if tables == application_id == version == 0 and witness is None:
        return True
    if application_id != APPLICATION_ID:
        if witness is not None:
            raise Damaged("another file was put in its place, or its header is damaged")
        raise BufferError(f"{path} is a SQLite file of another program", "give `buffer.path` a name of its own")
    if not 0 < version < LIKELY_VERSIONS:
        raise Damaged(f"its schema cannot be {version}")
    check_version(version, path)
    return False


def _create(db: sqlite3.Connection, path: Path) -> str:
    stream = str(uuid.uuid4())
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # before anything is written, or it has no effect
    _configure(db, path)
    made = (
        "INSERT INTO meta (id, stream, last_seq, clean, created_at)"
        f" VALUES (1, '{stream}', 0, 0, {time.time_ns() // 1_000_000});"
        f"PRAGMA application_id = {APPLICATION_ID};"
    )
    migrate(db, made)
    return stream


def _configure(db: sqlite3.Connection, path: Path) -> None:
    ((mode,),) = db.execute("PRAGMA journal_mode = WAL")
    if mode != "wal":
        raise BufferError(f"the file system of {path} cannot hold a write-ahead log", "put the buffer on a local disk")
    db.execute("PRAGMA synchronous = FULL").close()
    db.execute(f"PRAGMA journal_size_limit = {JOURNAL_SIZE_LIMIT}").close()


def _check(db: sqlite3.Connection, path: Path) -> None:
    """Raises Damaged for what is found in time in the pages, and after an unclean stop in their rows.

    In between is the migration.
    """
    with _in_time(db, path, "pages"):
        found = [str(row).replace("\n", " ") for (row,) in db.execute("PRAGMA quick_check(10)")]
        if found != ["ok"]:
            raise Damaged("; ".join(found))
    migrate(db)
    if why := check_numbers(db):
        raise Damaged(why)
    if db.execute("SELECT 1 FROM meta WHERE clean = 1").fetchone():
        return
    with _in_time(db, path, "rows"):
        if why := check_rows(db):
            raise Damaged(why)


@contextmanager
def _in_time(db: sqlite3.Connection, path: Path, what: str) -> Iterator[None]:
    until = time.monotonic() + CHECK_S
    db.set_progress_handler(lambda: time.monotonic() > until, 1000)
    try:
        yield
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_INTERRUPT:
            raise
        log.info("buffer_check_cut_short", path=str(path), what=what, seconds=CHECK_S)
    finally:
        db.set_progress_handler(None, 0)


def _stream(path: Path) -> str | None:
    """Whose file it is, as far as it says."""
    with closing(Salvage(path)) as salvage:
        return salvage.saved.stream


def _check_ours(path: Path, why: str) -> None:
    """A file of which nothing says that it was a buffer is not touched. Raises BufferError."""
    with closing(Salvage(path)) as salvage:
        is_ours = salvage.saved.stream is not None or next(salvage.events(), None) is not None
    if not is_ours:
        remedy = "give `buffer.path` a name of its own, or move the file away"
        raise BufferError(f"{path} is no buffer: {why}", remedy)


def _make_file(path: Path) -> None:
    """See to the file's name, so that a power cut cannot take it back: SQLite itself syncs only what is inside."""
    if path.exists() and not path.is_file():
        raise BufferError(f"{path} is no file", "move it away, or give `buffer.path` another name")
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644))
        sync_directory(path.parent)
    except OSError as error:
        remedy = f"the daemon's user needs to write into {path.parent}, and the disk room for a file (df -i)"
        raise BufferError(f"the buffer {path} cannot be opened: {error.strerror}", remedy) from None
