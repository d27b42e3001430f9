"""Looks into a buffer that no daemon has: under its lock, without writing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from gateway.events import Envelope, Former, StoredEvent
from gateway.outbox.errors import BufferError
from gateway.outbox.identity import APPLICATION_ID
from gateway.outbox.lock import BufferLock
from gateway.outbox.migrate import check_version


def look(
    path: Path, source: str, after: int, limit: int, kind: str | None, subject: str | None
) -> tuple[Envelope, list[StoredEvent]]:
    """Whose it is, of the line `source`, and events behind `after` as `Outbox.recent` gives them. Blocking.

    Raises BufferLocked while a daemon has the buffer, BufferError where there is none.
    """
    if not path.exists():
        raise BufferError(f"there is no buffer {path}", "give the state directory with --state-dir")
    lock = BufferLock(path)
    try:
        with closing(sqlite3.connect(f"file:{quote(str(lock.path))}?mode=ro", uri=True)) as connection:
            if connection.execute("PRAGMA application_id").fetchone() != (APPLICATION_ID,):
                raise BufferError(f"{path} is a file of another program", "give the daemon's state directory")
            ((version,),) = connection.execute("PRAGMA user_version").fetchall()
            check_version(version, path)
            table = "event" if version == 1 else "stored"
            ((stream,),) = connection.execute("SELECT stream FROM meta").fetchall()
            former = connection.execute("SELECT base, stream FROM former ORDER BY base DESC") if version > 2 else ()
            envelope = Envelope(source, stream, tuple(Former(*one) for one in former))
            rows = connection.execute(
                f"SELECT seq, type, subject, time, data FROM {table} WHERE seq > ? AND (? IS NULL OR type = ?) "
                "AND (? IS NULL OR subject = ?) ORDER BY seq LIMIT ?",
                (after, kind, kind, subject, subject, limit),
            ).fetchall()
    except sqlite3.Error as error:
        raise BufferError(f"the buffer {path} cannot be read: {error}", "check the file's mode and the disk") from None
    finally:
        lock.release()
    return envelope, [StoredEvent(seq, seq - 1, kind_, about, at, data) for seq, kind_, about, at, data in rows]
