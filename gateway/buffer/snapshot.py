"""The daemon's part of a backup: its buffer, table by table, as it was at one moment.

What may change is read in one go between two commits, so that checkpoint, cursors and numbers agree. Events follow in
pieces: they never change once they are stored, and those that every uplink has may go meanwhile.
"""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from typing import Any

from gateway.outbox.classes import FIRST, TABLES
from gateway.outbox.outbox import Outbox

Items = AsyncIterator[dict[str, Any]]
Handler = Callable[[Mapping[str, Any]], Items]

ROWS = 500
ITEM_BYTES = 500_000
"""Bytes of rows in one item, at least one row."""
STATE = "backup.state"
EVENTS = "backup.events"


def handlers(outbox: Outbox) -> dict[str, Handler]:
    """The operations by name. What they yield `gateway.backup.copy` takes."""

    async def state(_request: Mapping[str, Any]) -> Items:
        """First the schema and what the file says of itself, then the rows of all tables but the events'."""
        if not outbox.stats.degraded:  # a full disk is no reason to have no backup
            await outbox.flush()
        head, tables = await outbox.inspect(_read_state)
        yield head
        for table, rows in tables.items():
            for piece in _pieces(rows):
                yield {"table": table, "rows": piece}

    async def events(request: Mapping[str, Any]) -> Items:
        """The rows of the events' tables up to seq `last`, in pieces."""
        last = int(request["last"])
        for table in TABLES:
            after = FIRST
            while rows := await outbox.inspect(partial(_read_events, table=table, after=after, last=last)):
                after = rows[-1][0]
                for piece in _pieces(rows):
                    yield {"table": table, "rows": piece}

    return {STATE: state, EVENTS: events}


def _read_state(db: sqlite3.Connection) -> tuple[dict[str, Any], dict[str, list[tuple[Any, ...]]]]:
    made = [(name, sql) for name, sql in db.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")]
    tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    ((stream, last_seq),) = db.execute("SELECT stream, last_seq FROM meta").fetchall()
    counts = [db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES]
    head = {
        "schema": [sql for name, sql in made if not name.startswith("sqlite_")],
        "user_version": db.execute("PRAGMA user_version").fetchone()[0],
        "application_id": db.execute("PRAGMA application_id").fetchone()[0],
        "stream": stream,
        "last_seq": last_seq,
        "events": sum(counts),
    }
    rows = {name: db.execute(f"SELECT * FROM {name}").fetchall() for name in tables}
    return head, {name: found for name, found in rows.items() if name not in TABLES and not name.startswith("sqlite_")}


def _read_events(db: sqlite3.Connection, table: str, after: int, last: int) -> list[tuple[Any, ...]]:
    sql = f"SELECT * FROM {table} WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT {ROWS}"
    return db.execute(sql, (after, last)).fetchall()


def _pieces(rows: list[tuple[Any, ...]]) -> list[list[list[Any]]]:
    """Rows as JSON carries them, in lists of bounded size."""
    pieces: list[list[list[Any]]] = []
    room = 0
    for row in rows:
        plain = [_plain(value) for value in row]
        room -= sum(len(value["b"]) if isinstance(value, dict) else len(str(value)) for value in plain)
        if not pieces or room < 0:
            pieces.append([])
            room = ITEM_BYTES
        pieces[-1].append(plain)
    return pieces


def _plain(value: Any) -> Any:
    return {"b": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def original(value: Any) -> Any:
    """The SQLite value that `_plain` was given."""
    return base64.b64decode(value["b"]) if isinstance(value, dict) else value
