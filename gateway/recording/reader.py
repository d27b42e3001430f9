"""Reads a recording's files: every input that is whole, and in words what is not.

A frame counts once its checksum is right; the last frame of a file whose daemon was killed, or still writes, counts as
far as it goes. Behind damage nothing of a file is believed: the next one begins with a checkpoint of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import zstandard

from gateway.inputs import Input
from gateway.recording.files import ENDING
from gateway.recording.header import Header, RecordingError, unpack
from gateway.recording.messages import MAX_MESSAGE, UNREADABLE, Decoder, End

MAGIC = zstandard.FRAME_HEADER
CHUNK = 262_144
MAX_FRAME = 16 * MAX_MESSAGE
"""Bytes of one frame without compression: beyond, the file is not ours."""
WINDOW = 2**27
"""Most memory that a frame may ask for."""


def is_recording(path: Path) -> bool:
    """Whether a file is a recording, as far as its name or its first byte says: JSON lines begin with another. Raises
    OSError."""
    if path.name.endswith(ENDING):
        return True
    with path.open("rb") as file:
        begin = file.read(CHUNK)
    if not begin.startswith(MAGIC):
        return False
    try:
        return zstandard.ZstdDecompressor(max_window_size=WINDOW).decompressobj().decompress(begin)[:1] >= b"\x80"
    except zstandard.ZstdError:
        return True


class RecordedFile:
    """One file."""

    def __init__(self, path: Path) -> None:
        """Reads the header. Raises OSError, or RecordingError for a file that cannot be used at all."""
        self.path = path
        self.size = path.stat().st_size
        self.read = 0
        """Bytes read so far."""
        self.inputs = 0
        """Inputs read so far."""
        self.damaged = ""
        """Why the rest of the file could not be used."""
        self.unfinished = False
        """Whether it ends without its end: the daemon was killed, or still writes."""
        with path.open("rb") as file:
            try:
                data, _ = next(self._frames(file), (b"", False))
            except zstandard.ZstdError as error:
                raise RecordingError(f"its first frame is damaged: {error}", "replay the files after it") from None
        self.header: Header = unpack(data)

    def __iter__(self) -> Iterator[Input]:
        """The inputs, in order."""
        header = self.header
        decoder = Decoder(tuple(device.name for device in header.devices), header.at)
        self.read = self.inputs = 0
        self.damaged, self.unfinished = "", True
        with self.path.open("rb") as file:
            frames = self._frames(file)
            try:
                next(frames)
                for data, is_whole in frames:
                    for given in decoder.feed(data):
                        if isinstance(given, End):
                            self._end(given, is_whole)
                            return
                        self.inputs += 1
                        yield given
            except zstandard.ZstdError as error:
                self.damaged = f"a damaged frame before byte {self.read:,}: {error}"
            except UNREADABLE as error:
                self.damaged = f"what is no message before byte {self.read:,}: {error!r}"

    def _end(self, end: End, is_whole: bool) -> None:
        self.unfinished = not is_whole
        if end.inputs != self.inputs:
            self.damaged = f"{end.inputs:,} inputs were written, {self.inputs:,} are there"

    def _frames(self, file: BinaryIO) -> Iterator[tuple[bytes, bool]]:
        """Each frame's bytes, and whether it is whole. Raises ZstdError."""
        pending, decompressor = b"", zstandard.ZstdDecompressor(max_window_size=WINDOW)
        while pending or (pending := self._more(file)):
            frame, parts, size = decompressor.decompressobj(), [], 0
            while not frame.eof and (pending or (pending := self._more(file))):
                part = frame.decompress(pending)
                pending = b""
                parts.append(part)
                size += len(part)
                if size > MAX_FRAME:
                    raise zstandard.ZstdError(f"a frame of more than {MAX_FRAME:,} bytes")
            pending = frame.unused_data
            yield b"".join(parts), frame.eof

    def _more(self, file: BinaryIO) -> bytes:
        data = file.read(CHUNK)
        self.read += len(data)
        return data
