"""Events as newline-delimited CloudEvents in a file; acknowledged when they are on the disk.

The open file has the configured name. At `rotate` bytes it is renamed to the name with the next number
(`events.ndjson.00000001`, `.00000002`), so that the numbers' order is the events' order; the last `keep` stay.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Sequence
from pathlib import Path
from typing import Never

from gateway.config.model import FileUplink
from gateway.events import StoredEvent
from gateway.uplinks.journal import Journal, JournalBusy
from gateway.uplinks.uplink import Rejected, UplinkContext
from protocols.driver import ConnectFailed, NotConnected
from protocols.worker import DaemonWorker

_REMEDIES = {
    errno.ENOSPC: "free space on that disk, or lower `keep` or `rotate`",
    errno.EDQUOT: "free space in that quota, or lower `keep` or `rotate`",
    errno.EROFS: "the file system is read-only: see the system's log for why, and mount it for writing",
    errno.EACCES: "let the daemon's user write there",
    errno.EPERM: "let the daemon's user write there",
    errno.ENOTDIR: "a part of the path is a file: choose another path",
    errno.EISDIR: "the path is a directory: choose another path",
    errno.EIO: "see the system's log: the disk or the share fails",
    errno.ESTALE: "the network share is gone: see that it is mounted",
}


class FileSink:
    """Writes into one file, by a thread of its own."""

    def __init__(self, config: FileUplink, context: UplinkContext) -> None:
        path = context.state_dir / config.path
        self._path = path
        self._envelope = context.envelope
        self._worker = DaemonWorker(f"uplink {context.name}")
        self._journal = Journal(path, config.rotate, config.keep)
        self._closed = False

    async def connect(self) -> None:
        """Open the file, and cut off a line that a power cut left unfinished. Raises ConnectFailed."""
        try:
            await self._worker.call(self._journal.open)
        except JournalBusy as error:
            raise ConnectFailed(
                str(error), "one file takes the events of one uplink; a stuck write ends by itself"
            ) from None
        except OSError as error:
            raise ConnectFailed(_words(self._path, error), _remedy(error)) from None

    async def serve(self) -> Never:
        """Nothing to listen to: a file is silent until it is written."""
        await asyncio.get_running_loop().create_future()
        raise AssertionError("unreachable")

    async def write(self, events: Sequence[StoredEvent]) -> int:
        """Append, and wait until the disk has them all. Raises NotConnected, and then none of them counts."""
        lines = []
        for position, event in enumerate(events):
            try:
                lines.append(self._envelope.json(event) + b"\n")
            except (ValueError, TypeError, OverflowError) as error:
                if lines:
                    break  # those before it first
                raise Rejected(position, f"the event cannot be written as JSON: {error}") from None
        try:
            await self._worker.call(lambda: self._journal.append(lines))
        except OSError as error:
            raise NotConnected(_words(self._path, error), _remedy(error)) from None
        return len(lines)

    async def close(self) -> None:
        """Give the file back, after a write that may still be under way; does not wait for either."""
        if not self._closed:
            self._closed = True
            self._worker.post(self._journal.close)
            self._worker.stop()


def _words(path: Path, error: OSError) -> str:
    return f"{error.filename or path}: {error.strerror or error}"


def _remedy(error: OSError) -> str:
    return _REMEDIES.get(error.errno or 0, "check the path, the disk, and the rights of the daemon's user")
