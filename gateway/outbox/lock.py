"""The lock file beside a buffer: one process at a time, and what the last one knew of its buffer."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from gateway.outbox.errors import BufferError, BufferLocked
from gateway.outbox.witness import Witness, decode, encode

MOST_BYTES = 65_536


class BufferLock:
    """An exclusive flock on `<buffer>.lock`, which the kernel takes back however the process ends.

    The file stays when the lock is released: removing it would let two processes hold two files of one name.
    """

    def __init__(self, path: Path) -> None:
        """Take the lock of the buffer at `path`. Raises BufferLocked, or BufferError where there can be no lock."""
        self.path = Path(os.path.realpath(path))
        """Where the buffer is, whatever links lead to it: there are its lock and its log, for all who come to it."""
        self._descriptor: int | None = _locked(self.path)
        _, self.witness = decode(os.pread(self._descriptor, MOST_BYTES, 0))
        """What is known of the buffer from before, or by this process."""
        self.note(self.witness)

    def renew(self) -> None:
        """Take the lock anew where its file is not there any more. Raises what the first time does."""
        try:
            stat = _name(self.path).stat()
        except OSError:
            stat = None
        if self._descriptor is not None and (stat is None or not os.path.samestat(stat, os.fstat(self._descriptor))):
            fresh = _locked(self.path)
            os.close(self._descriptor)
            self._descriptor = fresh
            self.note(self.witness)

    def note(self, witness: Witness | None) -> None:
        """Write down what is known now; damage stays known. A disk that does not take it has more to say elsewhere."""
        if witness is not None and self.witness is not None and self.witness.damaged:
            witness = replace(witness, damaged=self.witness.damaged)
        self.witness = witness
        if self._descriptor is not None:
            with suppress(OSError):
                os.pwrite(self._descriptor, encode(os.getpid(), witness), 0)

    def note_damage(self, stream: str, last_seq: int, why: str) -> None:
        """Let the next opening recover the buffer, whether it finds the damage or not."""
        self.note(replace(self.witness or Witness(stream, last_seq), damaged=why))

    def release(self) -> None:
        """Give the lock back; idempotent."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _name(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def _locked(path: Path) -> int:
    name = _name(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        remedy = f"the daemon's user needs to write into {path.parent}, and the disk room for a file (df -i)"
        raise BufferError(f"{name} cannot be opened: {error.strerror}", remedy) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid, _ = decode(os.pread(descriptor, MOST_BYTES, 0))
        os.close(descriptor)
        raise BufferLocked(path, pid) from None
    except OSError as error:
        os.close(descriptor)
        remedy = "put the buffer on a local file system"
        raise BufferError(f"{name} cannot be locked: {error.strerror}", remedy) from None
    return descriptor
