"""The files of the ring: an hour or a sixteenth of the room each, the oldest go; blocking, for one thread.

Nothing is synced: a power cut takes what the system had not written yet, and no commit of the buffer waits for it.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gateway.samples.segment import SAMPLES, Names, Segment, frames

ENDING = ".samples"
FILE_MS = 3_600_000
MOST_FILES = 192
"""A week, and a day on top."""
PARTS = 16
"""A file is full at this part of the room."""
_NAME = re.compile(r"\d{8}" + re.escape(ENDING))


@dataclass(frozen=True, slots=True)
class Kept:
    """A file: its first `size` bytes are whole frames, of times between `began` and `ended` (UTC ms)."""

    path: Path
    size: int
    began: int
    ended: int


class Files:
    """A directory of its own. Methods raise OSError; after any the next call may go on."""

    def __init__(self, directory: Path, max_size: int, min_free: int) -> None:
        """`max_size` bytes of all files; `min_free` bytes of the disk are left to others."""
        self.directory = directory
        self.max_size, self.min_free = max_size, min_free
        self.kept: tuple[Kept, ...] = ()
        """Oldest first; replaced as a whole, so that other threads may read it."""
        self._names: Names | None = None
        """Those of the newest file's last segments, as far as this daemon wrote them."""

    def open(self) -> None:
        """See what there is from before; a file of which nothing can be read goes."""
        learned = [_learned(path) for path in _in(self.directory)]
        for one in learned:
            if one.size == 0:
                one.path.unlink(missing_ok=True)
        self.kept = tuple(one for one in learned if one.size)
        self._make_room(0)

    def write(self, segment: Segment) -> None:
        """Append a segment; a frame that got there in part is cut off by the next call."""
        frame, names = segment.frame(), segment.names.frame()
        self._make_room(len(names) + len(frame))
        newest = self._newest(segment)
        if newest is None or newest.size == 0 or self._names is not segment.names:
            frame = names + frame
        if newest is None:
            newest = self._begin(segment)
        with newest.path.open("r+b", buffering=0) as file:
            file.truncate(newest.size)
            os.lseek(file.fileno(), newest.size, os.SEEK_SET)
            view = memoryview(frame)
            while view:
                view = view[os.write(file.fileno(), view) :]
        size = newest.size + len(frame)
        now = Kept(newest.path, size, min(newest.began, segment.began), max(newest.ended, segment.ended))
        self.kept = (*self.kept[:-1], now)
        self._names = segment.names

    def _newest(self, segment: Segment) -> Kept | None:
        """The file that goes on; None where another one is to begin."""
        newest = self.kept[-1] if self.kept else None
        if newest is None or newest.size >= self.max_size // PARTS:
            return None
        if not 0 <= segment.began - newest.began < FILE_MS:
            return None
        with suppress(FileNotFoundError):
            if newest.path.stat().st_size >= newest.size:
                return newest
        return None

    def _begin(self, segment: Segment) -> Kept:
        self.directory.mkdir(parents=True, exist_ok=True)
        number = int(self.kept[-1].path.stem) + 1 if self.kept else 1
        path = self.directory / f"{number:08d}{ENDING}"
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640))
        kept = Kept(path, 0, segment.began, segment.ended)
        self.kept = (*self.kept, kept)
        return kept

    def _make_room(self, size: int) -> None:
        """Remove the oldest files, as many as `size` more bytes and the disk need."""
        taken = sum(one.size for one in self.kept)
        while self.kept and (
            taken + size > self.max_size
            or len(self.kept) >= MOST_FILES
            or (size and self._free() < self.min_free + size)
        ):
            taken -= self.kept[0].size
            self.kept[0].path.unlink(missing_ok=True)
            self.kept = self.kept[1:]
        if size > self.max_size:
            raise OSError(errno.ENOSPC, "`buffer.samples` is less than some seconds of all signals take")
        if size and self._free() < self.min_free + size:
            words = f"less than {self.min_free / 1e6:,.0f} MB of the disk is free, which `buffer.min_free_disk` keeps"
            raise OSError(errno.ENOSPC, words)

    def _free(self) -> int:
        place = self.directory
        while not place.exists() and place != place.parent:
            place = place.parent
        return shutil.disk_usage(place).free


def _in(directory: Path) -> Sequence[Path]:
    try:
        return sorted(path for path in directory.iterdir() if _NAME.fullmatch(path.name))
    except FileNotFoundError:
        return ()


def _learned(path: Path) -> Kept:
    """A file from before: how far it is whole; nothing where it cannot be read."""
    times: list[int] = []
    size = 0
    with suppress(OSError), path.open("rb", buffering=0) as file:
        for frame in frames(file.fileno(), os.fstat(file.fileno()).st_size):
            size = frame.end
            if frame.kind == SAMPLES:
                times += frame.began, frame.ended
    return Kept(path, size, min(times, default=0), max(times, default=0))
