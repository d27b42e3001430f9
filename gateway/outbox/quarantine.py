"""What is set aside because the other side of an uplink refused it for good: looked at, tried again, thrown away."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.outbox.database import atomic

_COLUMNS = "uplink, seq, why, quarantined_at, retry, type, subject, time, data"


@dataclass(frozen=True, slots=True)
class Entry:
    """One event in one uplink's quarantine; times are UTC in milliseconds, `data` is JSON."""

    uplink: str
    seq: int
    why: str
    quarantined_at: int
    retrying: bool
    """Whether it is to be delivered once more."""
    type: str
    subject: str
    time: int
    data: bytes


def entries(db: sqlite3.Connection, uplink: str | None, after: int, limit: int) -> list[Entry]:
    """By uplink and seq, of one uplink or all; `after` is the last seq seen of that one uplink."""
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM quarantine WHERE (? IS NULL OR uplink = ?) AND seq > ? ORDER BY uplink, seq LIMIT ?",
        (uplink, uplink, after, limit),
    )
    return [Entry(name, seq, why, at, bool(retry), *event) for name, seq, why, at, retry, *event in rows]


def mark(db: sqlite3.Connection, uplink: str, seqs: Sequence[int] | None) -> list[int]:
    """Let these be delivered once more, or all; all that now wait for it, in order."""
    with atomic(db):
        if seqs is None:
            db.execute("UPDATE quarantine SET retry = 1 WHERE uplink = ?", (uplink,))
        else:
            chosen = [(uplink, seq) for seq in seqs]
            db.executemany("UPDATE quarantine SET retry = 1 WHERE uplink = ? AND seq = ?", chosen)
    rows = db.execute("SELECT seq FROM quarantine WHERE uplink = ? AND retry = 1 ORDER BY seq", (uplink,))
    return [seq for (seq,) in rows]


def delete(db: sqlite3.Connection, uplink: str, seqs: Sequence[int] | None) -> int:
    """Throw these away, or all; how many there were."""
    with atomic(db):
        if seqs is None:
            return db.execute("DELETE FROM quarantine WHERE uplink = ?", (uplink,)).rowcount
        chosen = [(uplink, seq) for seq in seqs]
        return db.executemany("DELETE FROM quarantine WHERE uplink = ? AND seq = ?", chosen).rowcount
