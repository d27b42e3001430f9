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
    """Another process uses the buffer; `pid` is its number where it left one."""

    def __init__(self, path: Path, pid: int | None) -> None:
        holder = f"process {pid}" if pid is not None else "another process"
        super().__init__(
            f"the buffer {path} is in use by {holder}", "one line runs one daemon: stop the other one first"
        )
        self.pid = pid


def is_passing(error: sqlite3.Error) -> bool:
    """Whether the same statement can work later: a full disk, a busy or read-only file, an I/O error."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, sqlite3.OperationalError) and code is not None and code & 0xFF in _PASSING
