"""Why a buffer cannot be opened or used.

BufferError
└── BufferLocked    another process has it
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

_PASSING = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)


class BufferError(Exception):
    """The buffer cannot be used; `remedy` tells the user what to do."""

    def __init__(self, why: str, remedy: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.remedy = remedy


class BufferLocked(BufferError):
    """Another process uses the buffer; the message has its number where it left one."""

    def __init__(self, path: Path, pid: int | None) -> None:
        holder = f"process {pid}" if pid is not None else "another process"
        super().__init__(
            f"the buffer {path} is in use by {holder}", "one line runs one daemon: stop the other one first"
        )


def is_passing(error: sqlite3.Error) -> bool:
    """Whether the same statement can work later: a full disk, a busy or read-only file, an I/O error."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, sqlite3.OperationalError) and code is not None and code & 0xFF in _PASSING


_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH})


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file itself is to blame: no later attempt can work. What is no UTF-8 has no code of its own."""
    code = getattr(error, "sqlite_errorcode", None)
    return (code is not None and code & 0xFF in _DAMAGE) or str(error).startswith("Could not decode to UTF-8")


def is_full(error: sqlite3.Error) -> bool:
    """Whether there was no room."""
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
