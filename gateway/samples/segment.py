"""Some seconds of all signals as one piece: in memory, or as a frame of a file that can be read block by block.

A frame is a head, the lengths of its blocks, a CRC-32 of both, and the blocks, each zlib (which has a checksum of its
own). One of names comes before those whose signals it numbers. Integers are little-endian.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Protocol

from ext.samples import Log

MAGIC = b"LGs1"
NAMES, SAMPLES = 0, 1
LEVEL = 1
MOST_BLOCKS = 1 << 20
MOST_UNPACKED = 256_000_000
"""Bytes of a block; more is damage."""
_HEAD = struct.Struct("<4sIIqq")
"""Magic, kind, number of blocks, UTC ms from which and until which."""
_CRC = struct.Struct("<I")
_LOOK = 65_536


class Damaged(Exception):
    """A block is not what was written."""


class Names:
    """The signals (`device.signal`) of a configuration, in the order in which segments number them."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """By name."""
        return {name: number for number, name in enumerate(self.names)}

    def frame(self) -> bytes:
        """As a file has them."""
        return _frame(NAMES, 0, 0, [zlib.compress("\n".join(self.names).encode(), LEVEL)])


class Piece(Protocol):
    """All signals from `began` to `ended` (UTC ms)."""

    @property
    def names(self) -> Names: ...
    @property
    def began(self) -> int: ...
    @property
    def ended(self) -> int: ...
    def blocks(self, numbers: Iterable[int]) -> Iterator[tuple[int, bytes]]:
        """What `ext.curves` reads, of each block that can still be read."""


@dataclass(frozen=True, slots=True)
class Live:
    """What is noticed at this moment, or waits to be packed."""

    names: Names
    log: Log
    began: int
    ended: int

    def blocks(self, numbers: Iterable[int]) -> Iterator[tuple[int, bytes]]:
        """As Piece."""
        yield from self.log.packed(numbers)


@dataclass(frozen=True, slots=True)
class Segment:
    """Packed, and in memory: what is not on the disk yet."""

    names: Names
    began: int
    ended: int
    packed: tuple[bytes, ...]
    samples: int
    """How many changes it has."""

    @classmethod
    def of(cls, names: Names, log: Log) -> Segment:
        """A log that nothing is added to any more."""
        packed = tuple(zlib.compress(block, LEVEL) for _, block in log.packed())
        return cls(names, log.began, log.ended, packed, log.samples)

    @property
    def size(self) -> int:
        """Bytes, about."""
        return sum(map(len, self.packed))

    def blocks(self, numbers: Iterable[int]) -> Iterator[tuple[int, bytes]]:
        """As Piece."""
        for number in numbers:
            yield number, _unpacked(self.packed[number])

    def frame(self) -> bytes:
        """As a file has it."""
        return _frame(SAMPLES, self.began, self.ended, self.packed)


@dataclass(frozen=True, slots=True)
class Stored:
    """In a file."""

    names: Names
    began: int
    ended: int
    path: Path
    at: int
    """Where the first block is."""
    lengths: bytes

    def blocks(self, numbers: Iterable[int]) -> Iterator[tuple[int, bytes]]:
        """As Piece. Raises OSError."""
        places = list(accumulate(_numbers(self.lengths), initial=self.at))
        with self.path.open("rb", buffering=0) as file:
            for number in numbers:
                data = os.pread(file.fileno(), places[number + 1] - places[number], places[number])
                try:
                    yield number, _unpacked(data)
                except Damaged:
                    continue


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame's head, whose checksum is right."""

    kind: int
    began: int
    ended: int
    at: int
    """Where its blocks begin."""
    lengths: bytes
    """Of each block, as the file has them: there are many frames."""
    end: int
    """Where the next one begins."""


def frames(descriptor: int, end: int) -> Iterator[Frame]:
    """The frames of a file that are whole before byte `end`, over what is damaged. Raises OSError."""
    at = 0
    while at < end:
        frame = _frame_at(descriptor, at, end)
        if frame is None:
            at = _next_magic(descriptor, at + 1, end)
        else:
            yield frame
            at = frame.end


def stored(path: Path, end: int) -> Iterator[Stored]:
    """The segments of a file up to byte `end`. Raises OSError."""
    names: Names | None = None
    with path.open("rb", buffering=0) as file:
        for frame in frames(file.fileno(), end):
            if frame.kind == NAMES:
                try:
                    names = _named(os.pread(file.fileno(), frame.end - frame.at, frame.at))
                except (Damaged, UnicodeDecodeError):
                    names = None
            elif names is not None:
                yield Stored(names, frame.began, frame.ended, path, frame.at, frame.lengths)


def _frame(kind: int, began: int, ended: int, blocks: Sequence[bytes]) -> bytes:
    head = _HEAD.pack(MAGIC, kind, len(blocks), began, ended)
    head += struct.pack(f"<{len(blocks)}I", *map(len, blocks))
    return b"".join((head, _CRC.pack(zlib.crc32(head)), *blocks))


def _frame_at(descriptor: int, at: int, end: int) -> Frame | None:
    head = os.pread(descriptor, _HEAD.size, at)
    if len(head) < _HEAD.size or not head.startswith(MAGIC):
        return None
    _, kind, blocks, began, ended = _HEAD.unpack(head)
    size = 4 * blocks + _CRC.size
    if kind not in (NAMES, SAMPLES) or blocks > MOST_BLOCKS or at + _HEAD.size + size > end:
        return None
    rest = os.pread(descriptor, size, at + _HEAD.size)
    if len(rest) < size or zlib.crc32(head + rest[:-4]) != _CRC.unpack(rest[-4:])[0]:
        return None
    first = at + _HEAD.size + size
    frame = Frame(kind, began, ended, first, rest[:-4], first + sum(_numbers(rest[:-4])))
    return frame if frame.end <= end else None


def _numbers(packed: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(packed) // 4}I", packed)


@lru_cache(maxsize=2)
def _named(packed: bytes) -> Names:
    """They are the same in one file after the other, and making a dict of thousands takes its time."""
    return Names(_unpacked(packed).decode().split("\n"))


def _next_magic(descriptor: int, at: int, end: int) -> int:
    while at < end:
        data = os.pread(descriptor, _LOOK, at)
        if (place := data.find(MAGIC)) >= 0:
            return at + place
        if len(data) < len(MAGIC):
            return end
        at += len(data) - len(MAGIC) + 1
    return end


def _unpacked(data: bytes) -> bytes:
    inflating = zlib.decompressobj()
    try:
        block = inflating.decompress(data, MOST_UNPACKED)
    except zlib.error as error:
        raise Damaged(str(error)) from error
    if not inflating.eof:
        raise Damaged("a block is cut")
    return block
