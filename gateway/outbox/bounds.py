"""How much a buffer may take: of the disk, of memory, and by what is set aside."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gateway.config.model import BufferConfig

MOST_LOG_BYTES = 16_000_000
MOST_MEMORY_BYTES = 8_000_000
HEAD = 16
"""Pages below the limit that are left to small things: cursors, accounts of drops, balancing of trees."""
MOST_SLACK = 256
"""Pages that are freed beyond what is needed at once, so that not every commit has to make room."""
PER_EVENT = 60
"""Bytes of an event beside its data: numbers, type, subject, headers."""
CHECKPOINT_PAGES = 1000
"""After how many pages of the write-ahead log they are moved into the file, as SQLite has it by default."""

FULL = "the buffer holds as much as `buffer.max_size` allows"
SHORT = "the disk has no more to give than `buffer.min_free_disk` leaves to others"
UNSTORED = "they could not be stored, and memory holds no more of them"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the configuration allows, in bytes."""

    max_size: int
    """All files together."""
    min_free_disk: int

    @classmethod
    def of(cls, config: BufferConfig) -> Bounds:
        """Those of a configuration."""
        return cls(config.max_size, config.min_free_disk)

    @property
    def log(self) -> int:
        """What the write-ahead log may take of `max_size`."""
        return min(self.max_size // 8, MOST_LOG_BYTES)

    @property
    def memory(self) -> int:
        """What waits in memory while nothing can be stored."""
        return min(self.max_size // 16, MOST_MEMORY_BYTES)

    def quarantine(self, uplinks: int) -> int:
        """What each of so many uplinks may set aside; all together a quarter of the buffer."""
        return self.max_size // 4 // max(4, uplinks)

    def configure(self, db: sqlite3.Connection) -> None:
        """Settings of the connection: the write-ahead log stays small, and what goes costs little."""
        ((page,),) = db.execute("PRAGMA page_size")
        db.execute(f"PRAGMA wal_autocheckpoint = {max(1, min(CHECKPOINT_PAGES, self.log // 4 // page))}")
        db.execute(f"PRAGMA journal_size_limit = {self.log}")
        # Debian's SQLite overwrites what is deleted, which makes dropping as dear as storing
        db.execute("PRAGMA secure_delete = OFF")


@dataclass(frozen=True, slots=True)
class Space:
    """What a buffer's file takes, and may take, in pages."""

    pages: int
    free: int
    """Of these, how many hold nothing."""
    limit: int
    """As many as the file may have now."""
    most: int
    """As many as `max_size` allows."""
    all: int
    """`max_size`, which is for the write-ahead log too."""
    page_bytes: int

    @property
    def is_short(self) -> bool:
        """Whether it is the disk that has no more."""
        return self.limit < self.most

    @property
    def why(self) -> str:
        """What bounds it."""
        return SHORT if self.is_short else FULL

    @property
    def used(self) -> int:
        """Pages that hold something."""
        return self.pages - self.free

    @property
    def slack(self) -> int:
        """What is freed beyond what is needed."""
        return max(1, min(MOST_SLACK, self.most // 64))

    def lacks(self, want: int) -> int:
        """How many pages must be freed so that `want` more fit in; 0 or less where they do.

        A file that is larger than it may be, since then with less in it, has the room that it has.
        """
        return self.used + want + HEAD - max(self.limit, self.pages)

    def is_beyond(self, want: int) -> bool:
        """Whether `want` more pages, in the file and in its log, are more than all files may take."""
        return self.pages + 2 * want > self.all

    def is_relieved(self, want: int) -> bool:
        """Whether some time will pass until something has to go, where a commit takes as much as `want` pages."""
        return self.lacks(self.most // 8 + 2 * want) <= 0

    @property
    def to_keep(self) -> int:
        """Free pages that do not go back to the disk: they are needed again at once, or could not be had again."""
        if self.is_short:
            return self.most // 16
        return 0 if self.used + 4 * self.slack < self.most else 2 * self.slack


def remedy(why: str) -> str:
    """What to do about events that are lost."""
    if why == SHORT:
        return "free space on the disk, or lower `buffer.min_free_disk`"
    return "see to the uplink that does not take its events, or raise `buffer.max_size`"


def pages_for(rows_bytes: int, page_bytes: int) -> int:
    """Most pages that rows of so many bytes can take: a page may have one row that is half as long as the page."""
    return 2 * rows_bytes // page_bytes + 8


def look(db: sqlite3.Connection, path: Path, bounds: Bounds) -> Space:
    """How the buffer stands. While the disk has less than `min_free_disk` the file does not grow.

    It is not made smaller for that either: another program that fills the disk takes nothing from the backlog. A
    sixteenth of `max_size` is the buffer's whatever the disk has, or a small disk would leave it nothing at all.
    """
    ((page,),) = db.execute("PRAGMA page_size")
    ((pages,),) = db.execute("PRAGMA page_count")
    ((free,),) = db.execute("PRAGMA freelist_count")
    most = (bounds.max_size - bounds.log) // page
    limit = most
    left = disk_left(path.parent)
    if left is not None:
        left -= bounds.min_free_disk + max(0, bounds.log - _log_bytes(path))
        limit = min(most, max(pages + max(0, left) // page, most // 16))
    return Space(pages, free, limit, most, bounds.max_size // page, page)


def disk_left(directory: Path) -> int | None:
    """Bytes that the disk has for us; None where it does not say."""
    with suppress(OSError):
        disk = os.statvfs(directory)
        return disk.f_bavail * disk.f_frsize
    return None


def _log_bytes(path: Path) -> int:
    with suppress(OSError):
        return os.stat(f"{path}-wal").st_size
    return 0
