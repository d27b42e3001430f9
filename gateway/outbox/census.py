"""What a buffer holds and takes, for people: counted from its file, a bounded stretch at a time."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from gateway.events import rfc3339
from gateway.outbox.classes import CLASSES, GAP, TABLES

STRETCH = 20_000
"""Numbers of one stretch: some ten milliseconds."""


def space(db: sqlite3.Connection) -> dict[str, int]:
    """Bytes of the file, of that what is free, and of its write-ahead log."""
    ((page,),) = db.execute("PRAGMA page_size")
    ((pages,),) = db.execute("PRAGMA page_count")
    ((free,),) = db.execute("PRAGMA freelist_count")
    _, _, path = next(db.execute("PRAGMA database_list"))
    log = Path(path + "-wal")
    return {
        "size_bytes": pages * page,
        "free_bytes": free * page,
        "log_bytes": log.stat().st_size if log.exists() else 0,
    }


def cursors(db: sqlite3.Connection) -> dict[str, dict[str, Any]]:
    """By uplink: the last event settled, and since when the configuration does not name it (null while it does)."""
    rows = db.execute("SELECT uplink, position, detached_at FROM cursor ORDER BY uplink")
    return {
        uplink: {"position": position, "detached": None if at is None else rfc3339(at)} for uplink, position, at in rows
    }


def classes(db: sqlite3.Connection, after: int, upto: int) -> dict[str, dict[str, int]]:
    """Events and bytes of their data by class, of those with a number above `after` up to `upto`."""
    found = {}
    for table in TABLES:
        sql = f"SELECT count(*), coalesce(sum(length(data)), 0) FROM {table} WHERE seq > ? AND seq <= ?"
        ((events, size),) = db.execute(sql, (after, upto))
        found["gaps" if table == GAP else CLASSES[table]] = {"events": events, "data_bytes": size}
    return found
