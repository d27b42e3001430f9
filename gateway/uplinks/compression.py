"""gzip and zstd, for bodies and for whole files; blocking, for threads. A library is imported when it is asked for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal, cast

Kind = Literal["gzip", "zstd"]

ENDINGS: dict[Kind, str] = {"gzip": ".gz", "zstd": ".zst"}
PART = ".part"
"""What a file is called that is not whole yet, behind its name."""
GZIP_LEVEL = 6
ZSTD_LEVEL = 3
BLOCK = 262_144
"""Bytes at a time: each time others get their turn."""


def compress(kind: Kind, body: bytes) -> bytes:
    """A body as the content coding of this name (RFC 9110, 8.4.1; RFC 8878)."""
    if kind == "gzip":
        import gzip

        return gzip.compress(body, GZIP_LEVEL, mtime=0)
    import zstandard

    return zstandard.ZstdCompressor(ZSTD_LEVEL).compress(body)


def compress_file(kind: Kind, source: Path) -> Path:
    """Put a compressed file beside `source`, under its name and an ending, whole or not at all. Raises OSError."""
    target = source.with_name(source.name + ENDINGS[kind])
    part = target.with_name(target.name + PART)
    try:
        with source.open("rb") as plain, part.open("wb") as raw:
            with _writer(kind, raw) as packed:
                shutil.copyfileobj(plain, packed, BLOCK)
            raw.flush()
            os.fsync(raw.fileno())
        part.rename(target)
    finally:
        part.unlink(missing_ok=True)
    return target


@contextmanager
def _writer(kind: Kind, raw: BinaryIO) -> Iterator[BinaryIO]:
    if kind == "gzip":
        import gzip

        with gzip.GzipFile("", "wb", GZIP_LEVEL, raw, mtime=0) as packed:
            yield cast("BinaryIO", packed)
        return
    import zstandard

    with zstandard.ZstdCompressor(ZSTD_LEVEL).stream_writer(raw, closefd=False) as stream:
        yield cast("BinaryIO", stream)
