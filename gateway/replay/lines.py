"""Lines of JSON as they are kept: plain, or compressed as uplinks leave their closed files (.gz, .zst)."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from gateway.recording.header import RecordingError
from gateway.recording.reader import MAGIC, WINDOW

GZIP_MAGIC = b"\x1f\x8b"


def lines_of(path: Path) -> Iterator[bytes]:
    """The lines of a file. Raises OSError, or RecordingError where its compression is damaged."""
    try:
        with path.open("rb") as file:
            yield from _opened(file)
    except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
        raise RecordingError(f"{path}: its compression is damaged: {error}", "give it as it was written") from None


def _opened(file: BufferedReader) -> BinaryIO:
    magic = file.peek(len(MAGIC))
    if magic.startswith(GZIP_MAGIC):
        return cast(BinaryIO, gzip.GzipFile(fileobj=file))
    if magic.startswith(MAGIC):
        plain = zstandard.ZstdDecompressor(max_window_size=WINDOW).stream_reader(file, read_across_frames=True)
        return cast(BinaryIO, BufferedReader(cast(BinaryIO, plain)))
    return file
