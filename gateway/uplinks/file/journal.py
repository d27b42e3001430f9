"""An append-only file of events that rotates; blocking, for a thread of its own."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from gateway.uplinks.file.closed import ClosedFiles, sync_directory
from gateway.uplinks.file.framing import Framing


class JournalBusy(OSError):
    """Somebody else writes into the file."""


class JournalForeign(OSError):
    """The file holds something else than what is to be written into it."""


class Journal:
    """One file and the closed ones beside it. Methods raise OSError; after one the journal is only closed.

    `every` is in seconds; `on_closed` is called in the same thread when a file was closed.
    """

    def __init__(
        self,
        path: Path,
        framing: Framing,
        closed: ClosedFiles,
        rotate: int,
        every: float | None = None,
        on_closed: Callable[[], None] = lambda: None,
    ) -> None:
        self._path = path
        self._framing = framing
        self._closed = closed
        self._rotate = rotate
        self._every = every
        self._on_closed = on_closed
        self._descriptor = -1
        self._size = 0
        """Bytes that are known to be on the disk."""
        self._period = 0
        """In which stretch of `every` seconds, by the UTC clock, the file was written last."""

    def open(self) -> None:
        """Open or make the file, its directories too.

        Raises JournalBusy while another one writes into it, JournalForeign where it is of another format.
        """
        _make_directories(self._path.parent)
        self._begin()

    def append(self, events: Sequence[bytes]) -> None:
        """Write whole events; they are on the disk on return. After an error those of this call are taken back."""
        self.rotate_by_age()
        for chunk in self._chunks(events):
            if self._size and self._size + len(chunk) > self._rotate:
                self._close_file()
            try:
                _write(self._descriptor, chunk)
                os.fsync(self._descriptor)
            except OSError:
                # A failed fsync may have dropped what it could not write, and the next one would not say so.
                with suppress(OSError):
                    os.ftruncate(self._descriptor, self._size)
                raise
            self._size += len(chunk)
            self._period = self._period_of(time.time())
        self._check_name()

    def rotate_by_age(self) -> None:
        """Close a file whose time is over; an empty one stays open."""
        if self._size and self._period != self._period_of(time.time()):
            self._close_file()

    def close(self) -> None:
        """Give the file back; idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _begin(self) -> None:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise JournalBusy(f"{self._path} is being written by another process or an earlier write") from None
            self._period = self._period_of(os.fstat(descriptor).st_mtime)
            self._size = self._repair(descriptor)
            sync_directory(self._path.parent)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def _repair(self, descriptor: int) -> int:
        """Cut off what follows the last whole event: one that a power cut left unfinished, and that is sent again."""
        size = os.fstat(descriptor).st_size
        first = os.pread(descriptor, 1, 0)
        if first and first != b"\0" and not self._framing.begins(first[0]):
            raise JournalForeign(f"{self._path} does not hold {self._framing.HOLDS}")
        end = self._framing.find_end(descriptor, size)
        if end < size:
            os.ftruncate(descriptor, end)
        os.fsync(descriptor)
        return end

    def _chunks(self, events: Sequence[bytes]) -> Iterator[bytes]:
        """Events joined as far as they fit into what is left of a file: each chunk costs one fsync."""
        chunk: list[bytes] = []
        size = self._size
        for event in events:
            if size and size + len(event) > self._rotate:
                if chunk:
                    yield b"".join(chunk)
                chunk, size = [], 0
            chunk.append(event)
            size += len(event)
        if chunk:
            yield b"".join(chunk)

    def _close_file(self) -> None:
        """Rename the file to the next number and begin a new one; the oldest go."""
        self._path.rename(self._closed.next_name())
        sync_directory(self._path.parent)
        self.close()
        self._begin()
        self._closed.drop_oldest()
        self._on_closed()

    def _period_of(self, utc_s: float) -> int:
        return 0 if self._every is None else int(utc_s // self._every)

    def _check_name(self) -> None:
        """What was written must be what others see under the name: a deleted file takes all and keeps nothing.

        On a share without locks somebody else may write into it, and cut off what we wrote.
        """
        ours = os.fstat(self._descriptor)
        if ours.st_size != self._size:
            raise OSError(errno.EBUSY, "somebody else writes into the file", str(self._path))
        try:
            named = self._path.stat()
        except FileNotFoundError:
            raise OSError(errno.ENOENT, "the file was moved or deleted while it was open", str(self._path)) from None
        if (ours.st_dev, ours.st_ino) != (named.st_dev, named.st_ino):
            raise OSError(errno.ENOENT, "the file was replaced while it was open", str(self._path))


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _make_directories(directory: Path) -> None:
    if not directory.is_dir():
        _make_directories(directory.parent)
        with suppress(FileExistsError):
            directory.mkdir()
        sync_directory(directory.parent)
