"""Brings a buffer's schema to this version's, one number after another; numbers are SQLite's `user_version`."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from gateway.outbox.errors import BufferError

SCHEMA_VERSION = 3
_FILES = [Path(__file__).with_name(f"schema_{number}.sql") for number in range(1, SCHEMA_VERSION + 1)]


def check_version(version: int, path: Path) -> None:
    """Raises BufferError for a schema that only a newer version knows."""
    if version > SCHEMA_VERSION:
        why = f"the buffer {path} has schema {version}, this version of linegate knows {SCHEMA_VERSION}"
        remedy = "run the version of linegate that made it, or let that one deliver everything and begin a new buffer"
        raise BufferError(why, remedy)


def migrate(db: sqlite3.Connection, begin_with: str = "") -> None:
    """All missing numbers in one transaction: a power cut leaves the schema as it was, or as it should be.

    `begin_with` are statements for a file that is made, after its tables.
    """
    ((version,),) = db.execute("PRAGMA user_version")
    if version == SCHEMA_VERSION:
        return
    steps = [file.read_text(encoding="utf-8") for file in _FILES[version:]]
    db.executescript(
        "\n".join(["BEGIN IMMEDIATE;", *steps, begin_with, f"PRAGMA user_version = {SCHEMA_VERSION};", "COMMIT;"])
    )
