"""The lock file beside a buffer: one process at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from gateway.outbox.errors import BufferError, BufferLocked


class BufferLock:
    """An exclusive flock on `<buffer>.lock`, which the kernel takes back however the process ends.

    The file stays when the lock is released: removing it would let two processes hold two files of one name.
    """

    def __init__(self, path: Path) -> None:
        """Take the lock of the buffer at `path`. Raises BufferLocked, or BufferError where there can be no lock."""
        name = path.with_name(path.name + ".lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            remedy = f"the daemon's user needs to write into {path.parent}"
            raise BufferError(f"{name} cannot be opened: {error.strerror}", remedy) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = _read_pid(descriptor)
            os.close(descriptor)
            raise BufferLocked(path, pid) from None
        except OSError as error:
            os.close(descriptor)
            remedy = "put the buffer on a local file system"
            raise BufferError(f"{name} cannot be locked: {error.strerror}", remedy) from None
        self._descriptor: int | None = descriptor
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError:
            pass  # a full disk: the lock holds without the number, which is only for people

    def release(self) -> None:
        """Give the lock back; idempotent."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _read_pid(descriptor: int) -> int | None:
    text = os.pread(descriptor, 32, 0).strip()
    return int(text) if text.isdigit() else None
