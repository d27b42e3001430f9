"""Makes a file of its own of the buffer that a daemon sends, and sees that it is whole."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.buffer.snapshot import EVENTS, STATE, original
from gateway.outbox.classes import TABLES
from gateway.outbox.errors import BufferError

Ask = Callable[..., None]
"""Takes a function for each item, the operation's name, and what it is given (`gateway.buffer.asking.answer`)."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copied buffer is: as of `last_seq`."""

    stream: str
    last_seq: int


def copy_buffer(ask: Ask, target: Path, progress: Callable[[str], None]) -> Copied:
    """Ask for the buffer and write it to `target`, which must not exist. Raises ControlError or BufferError."""
    with closing(sqlite3.connect(target, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")  # nothing is lost but the attempt
        head: dict[str, Any] = {}
        written = 0

        def take(item: dict[str, Any]) -> None:
            nonlocal written
            if not head:
                head.update(item)
                _make(db, head)
                return
            rows = [tuple(map(original, row)) for row in item["rows"]]
            marks = ", ".join("?" * len(rows[0]))
            db.executemany(f"INSERT INTO {item['table']} VALUES ({marks})", rows)
            if item["table"] in TABLES:
                written += len(rows)
                progress(f"{written:,} of {head['events']:,} events")

        db.execute("BEGIN")
        ask(take, STATE)
        ask(take, EVENTS, last=head["last_seq"])
        db.execute("COMMIT")
        check(db, target)
        return Copied(head["stream"], head["last_seq"])


def check(db: sqlite3.Connection, path: Path) -> None:
    """Raises BufferError where a copied file is not sound."""
    found = [str(row[0]) for row in db.execute("PRAGMA integrity_check(5)")]
    if found != ["ok"]:
        raise BufferError(f"the copy of the buffer in {path} is damaged: {'; '.join(found)}", "see the disk, try again")


def _make(db: sqlite3.Connection, head: dict[str, Any]) -> None:
    db.execute("COMMIT")
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    db.execute(f"PRAGMA application_id = {int(head['application_id'])}")
    db.execute(f"PRAGMA user_version = {int(head['user_version'])}")
    db.execute("BEGIN")
    for sql in head["schema"]:
        db.execute(sql)
