"""An append-only file of lines that rotates; blocking, for a thread of its own."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

DIGITS = 8
BLOCK = 65_536


class JournalBusy(OSError):
    """Somebody else writes into the file."""


class Journal:
    """One file and the closed ones beside it. Methods raise OSError; after one the journal is only closed."""

    def __init__(self, path: Path, rotate: int, keep: int) -> None:
        self._path = path
        self._rotate = rotate
        self._keep = keep
        self._descriptor = -1
        self._size = 0
        """Bytes that are known to be on the disk."""

    def open(self) -> None:
        """Open or make the file, its directories too. Raises JournalBusy while another one writes into it."""
        _make_directories(self._path.parent)
        self._begin()

    def append(self, lines: Sequence[bytes]) -> None:
        """Write whole lines; they are on the disk on return. After an error those of this call are taken back."""
        for chunk in self._chunks(lines):
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
        self._check_name()

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
            self._size = _repair(descriptor)
            _sync_directory(self._path.parent)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def _chunks(self, lines: Sequence[bytes]) -> Iterator[bytes]:
        """Lines joined as far as they fit into what is left of a file: each chunk costs one fsync."""
        chunk: list[bytes] = []
        size = self._size
        for line in lines:
            if size and size + len(line) > self._rotate:
                if chunk:
                    yield b"".join(chunk)
                chunk, size = [], 0
            chunk.append(line)
            size += len(line)
        if chunk:
            yield b"".join(chunk)

    def _close_file(self) -> None:
        """Rename the full file to the next number and begin a new one; the oldest go."""
        closed = self._closed_files()
        number = max(closed, default=0) + 1
        os.rename(self._path, f"{self._path}.{number:0{DIGITS}d}")
        _sync_directory(self._path.parent)
        self.close()
        self._begin()
        for old in sorted(closed)[: max(0, len(closed) + 1 - self._keep)]:
            with suppress(FileNotFoundError):
                os.unlink(closed[old])

    def _closed_files(self) -> dict[int, Path]:
        prefix = self._path.name + "."
        endings = {path: path.name.removeprefix(prefix) for path in self._path.parent.iterdir()}
        return {int(end): path for path, end in endings.items() if end.isdecimal() and path.name.startswith(prefix)}

    def _check_name(self) -> None:
        """What was written must be what others see under the name: a deleted file takes all and keeps nothing."""
        ours = os.fstat(self._descriptor)
        try:
            named = os.stat(self._path)
        except FileNotFoundError:
            raise OSError(errno.ENOENT, "the file was moved or deleted while it was open", str(self._path)) from None
        if (ours.st_dev, ours.st_ino) != (named.st_dev, named.st_ino):
            raise OSError(errno.ENOENT, "the file was replaced while it was open", str(self._path))


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _repair(descriptor: int) -> int:
    """Cut off what follows the last line break: a line that a power cut left unfinished, and that is sent again."""
    end = size = os.fstat(descriptor).st_size
    while end > 0:
        begin = max(0, end - BLOCK)
        found = os.pread(descriptor, end - begin, begin).rfind(b"\n")
        if found >= 0:
            end = begin + found + 1
            break
        end = begin
    if end < size:
        os.ftruncate(descriptor, end)
    os.fsync(descriptor)
    return end


def _make_directories(directory: Path) -> None:
    if not directory.is_dir():
        _make_directories(directory.parent)
        with suppress(FileExistsError):
            directory.mkdir()
        _sync_directory(directory.parent)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
