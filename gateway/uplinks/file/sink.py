"""Events in a file, acknowledged when they are on the disk.

The open file has the configured name. When it is full or its time is over it is renamed to the name with the next
number (`events.ndjson.00000001`, `.00000002`), so that the numbers' order is the events' order; the last `keep` stay.
Closed files are compressed beside the writing, and get their ending (`.gz`, `.zst`) when they are whole.
"""

from __future__ import annotations

import asyncio
import errno
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Never

from gateway.events import StoredEvent
from gateway.uplinks.encoding import Encoding, Unencodable
from gateway.uplinks.file.closed import ClosedFiles
from gateway.uplinks.file.config import FileUplink
from gateway.uplinks.file.framing import Lines, Messages
from gateway.uplinks.file.journal import Journal, JournalBusy, JournalForeign
from gateway.uplinks.uplink import Rejected, UplinkContext
from protocols.driver import ConfigError, ConnectFailed, NotConnected
from protocols.worker import DaemonWorker

_REMEDIES = {
    errno.ENOSPC: "free space on that disk, or lower `keep` or `rotate`",
    errno.EDQUOT: "free space in that quota, or lower `keep` or `rotate`",
    errno.EROFS: "the file system is read-only: see the system's log for why, and mount it for writing",
    errno.EACCES: "let the daemon's user write there",
    errno.EPERM: "let the daemon's user write there",
    errno.ENOTDIR: "a part of the path is a file: choose another path",
    errno.EISDIR: "the path is a directory: choose another path",
    errno.EBUSY: "see which process does, and whether a second gateway of this line runs",
    errno.EIO: "see the system's log: the disk or the share fails",
    errno.ESTALE: "the network share is gone: see that it is mounted",
}


class FileSink:
    """Writes into one file, by a thread of its own; each closed file is compressed by another."""

    def __init__(self, config: FileUplink, context: UplinkContext) -> None:
        path = context.state_dir / config.path
        self._path = path
        self._encoding = Encoding(context.envelope, config)
        self._framing = Lines() if config.format == "json" else Messages()
        self._every = None if config.rotate_every is None else config.rotate_every / 1000
        self._worker = DaemonWorker(f"uplink {context.name}")
        self._compression = None if config.compression == "none" else config.compression
        self._closed_files = ClosedFiles(path, config.keep, self._compression)
        self._journal = Journal(
            path, self._framing, self._closed_files, config.rotate, self._every, on_closed=self._compress
        )
        self._is_trial = context.trial
        self._closed = False

    async def connect(self) -> None:
        """Open the file, and cut off an event that a power cut left unfinished. Raises ConnectFailed or ConfigError."""
        try:
            await self._worker.call(self._journal.open)
        except JournalBusy as error:
            if self._is_trial:
                return  # the daemon that runs has it open
            raise ConnectFailed(
                str(error),
                "one file takes the events of one uplink: see whether a second gateway of this line writes there; "
                "a stuck write ends by itself",
            ) from None
        except JournalForeign as error:
            raise ConfigError(str(error), "move it away, or choose another path") from None
        except OSError as error:
            raise ConnectFailed(_words(self._path, error), _remedy(error)) from None
        self._compress()

    async def serve(self) -> Never:
        """Close the file when its time is over, though nothing is written. Raises NotConnected."""
        while self._every is not None:
            await asyncio.sleep(self._every - time.time() % self._every)
            try:
                await self._worker.call(self._journal.rotate_by_age)
            except OSError as error:
                raise self._lost(error) from None
        await asyncio.get_running_loop().create_future()
        raise AssertionError("unreachable")

    async def write(self, events: Sequence[StoredEvent]) -> int:
        """Append, and wait until the disk has them all. Raises NotConnected, and then none of them counts."""
        written = []
        for position, event in enumerate(events):
            try:
                written.append(self._encoding.event(event) + self._framing.END)
            except Unencodable as error:
                if written:
                    break  # those before it first
                raise Rejected(position, str(error)) from None
        try:
            await self._worker.call(lambda: self._journal.append(written))
        except OSError as error:
            raise self._lost(error) from None
        return len(written)

    async def close(self) -> None:
        """Give the file back, after a write that may still be under way; does not wait for either."""
        if not self._closed:
            self._closed = True
            self._worker.post(self._journal.close)
            self._worker.stop()

    def _compress(self) -> None:
        if self._compression is not None:
            threading.Thread(target=self._closed_files.compress, name="compression", daemon=True).start()

    def _lost(self, error: OSError) -> NotConnected:
        return NotConnected(_words(self._path, error), _remedy(error))


def _words(path: Path, error: OSError) -> str:
    return f"{error.filename or path}: {error.strerror or error}"


def _remedy(error: OSError) -> str:
    return _REMEDIES.get(error.errno or 0, "check the path, the disk, and the rights of the daemon's user")
