"""Writes a recording's files: compressed, each block readable at once; blocking, for a thread of its own.

A file is a row of zstd frames: the header, then the messages. A frame ends every minute with its checksum; a block
within it is flushed, so that a daemon that is killed loses no more than its last block.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import zstandard

from gateway.config.recording import RecordingConfig
from gateway.recording.files import make_room, next_path, recorded

FRAME_S = 60.0
FRAME_BYTES = 4_000_000
"""A frame ends at the latest after so much time, or so many bytes before compression."""
LEVEL = 3


class Writer:
    """One directory. No method raises: after an error the file ends, and what follows is dropped until the next one."""

    def __init__(self, directory: Path, config: RecordingConfig, file_size: int, min_free: int) -> None:
        """`file_size`: most bytes of a file; `min_free`: bytes of the disk that are left to others."""
        self.done = 0
        """Bytes taken from the queue, written or dropped."""
        self.written = 0
        """Bytes on the disk, in all files of this run."""
        self.size = 0
        """Bytes of the open file."""
        self.failed = ""
        """Why nothing can be written; "" while it can."""
        self.lost = 0
        """Inputs that could not be written."""
        self.opened = 0
        """Files begun, whether that worked or not."""
        self.files = 0
        self._directory, self._config = directory, config
        self._file_size, self._min_free = file_size, min_free
        self._descriptor = -1
        self._compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
        self._frame: Any = None
        self._frame_bytes = 0
        self._frame_began = 0.0

    def open(self, header: bytes, utc_ms: int) -> None:
        """Begin a new file, and make room for it."""
        self._give_back()
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            make_room(self._directory, self._config, 2 * self._file_size, self._min_free, time.time())
            path = next_path(self._directory, utc_ms)
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
            self.size = 0
            self._put(self._compressor.compress(header))
            self.files = len(recorded(self._directory))
            self.failed = ""
        except (OSError, ValueError, zstandard.ZstdError) as error:
            self._fail(error)
        self.opened += 1
        self.done += len(header)

    def write(self, block: bytes, inputs: int) -> None:
        """Append messages of so many inputs to the open file."""
        if self._descriptor >= 0:
            self._append(block)
        if self._descriptor < 0:
            self.lost += inputs
        self.done += len(block)

    def _append(self, block: bytes) -> None:
        try:
            if self._frame is None:
                self._frame, self._frame_bytes = self._compressor.compressobj(), 0
                self._frame_began = time.monotonic()
            self._frame_bytes += len(block)
            self._put(self._frame.compress(block) + self._frame.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK))
            if self._frame_bytes >= FRAME_BYTES or time.monotonic() - self._frame_began >= FRAME_S:
                self._end_frame()
        except (OSError, zstandard.ZstdError) as error:
            self._fail(error)

    def close(self) -> None:
        """End the open file in order; idempotent."""
        if self._descriptor < 0:
            return
        try:
            self._end_frame()
            os.fsync(self._descriptor)
        except (OSError, zstandard.ZstdError) as error:
            self._fail(error)
        self._give_back()

    def _end_frame(self) -> None:
        if self._frame is not None:
            frame, self._frame = self._frame, None
            self._put(frame.flush(zstandard.COMPRESSOBJ_FLUSH_FINISH))

    def _put(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            put = os.write(self._descriptor, view)
            view = view[put:]
            self.size += put
            self.written += put

    def _give_back(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._frame = -1, None

    def _fail(self, error: Exception) -> None:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        self.failed = f"{self._directory}: {reason}"
        self._give_back()
