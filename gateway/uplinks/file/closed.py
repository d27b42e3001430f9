"""The closed files of a journal: their numbers, their compression, and which of them stay; blocking."""

from __future__ import annotations

import fcntl
import os
import re
import threading
from contextlib import suppress
from pathlib import Path

import structlog

from gateway.uplinks.compression import ENDINGS, Kind, compress_file

DIGITS = 8
NICE = 10
"""Compressing gives way to everything else on the machine."""

log = structlog.get_logger("uplink")


class ClosedFiles:
    """`events.ndjson.00000001`, `.00000002`, ...: the numbers' order is the events' order."""

    def __init__(self, path: Path, keep: int, compression: Kind | None) -> None:
        self._path = path
        self._keep = keep
        self._compression = compression
        endings = "|".join(map(re.escape, ENDINGS.values()))
        self._name = re.compile(rf"{re.escape(path.name)}\.([0-9]{{{DIGITS},}})({endings})?(\.part)?")
        self._failed = False

    def next_name(self) -> Path:
        """The name of the file that is closed next."""
        return self._path.with_name(f"{self._path.name}.{max(self._all(), default=0) + 1:0{DIGITS}d}")

    def drop_oldest(self) -> None:
        """Delete what is more than is kept. Raises OSError."""
        files = self._all()
        for number in sorted(files)[: max(0, len(files) - self._keep)]:
            for old in files[number].values():
                old.unlink(missing_ok=True)

    def compress(self) -> None:
        """Compress what is closed and is not yet; finish what a crash interrupted. What fails is tried again later."""
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        try:
            for files in self._all().values():
                if self._compression is not None and "" in files:
                    self._compress_one(self._compression, files[""], is_done=len(files) > 1)
            self.drop_oldest()  # one may have been dropped while it was compressed
        except OSError as error:
            if not self._failed:
                log.warning("closed_file_not_compressed", path=str(self._path), why=error.strerror)
            self._failed = True
        else:
            self._failed = False

    def _compress_one(self, kind: Kind, plain: Path, is_done: bool) -> None:
        with suppress(FileNotFoundError), plain.open("rb") as held:  # dropped meanwhile
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return  # another connection's thread is at it
            if not is_done:  # else a crash came between the last two steps
                compress_file(kind, plain)
                sync_directory(plain.parent)
            plain.unlink()

    def _all(self) -> dict[int, dict[str, Path]]:
        """By number, and by ending: "" for the plain file. What is half compressed goes with the plain one."""
        files: dict[int, dict[str, Path]] = {}
        for path in self._path.parent.iterdir():
            if found := self._name.fullmatch(path.name):
                if found[3]:
                    plain = path.with_name(f"{self._path.name}.{found[1]}")
                    if not plain.exists():
                        path.unlink(missing_ok=True)
                else:
                    files.setdefault(int(found[1]), {})[found[2] or ""] = path
        return files


def sync_directory(directory: Path) -> None:
    """Make names durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
