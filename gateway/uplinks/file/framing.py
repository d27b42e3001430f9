"""Where the last whole event of a file ends, for each format that a file can have; blocking."""

from __future__ import annotations

import os
from typing import Protocol

import msgpack

BLOCK = 65_536
TAIL = 16_000_000
"""What is looked through for holes: more than was ever written without being synced."""


class Framing(Protocol):
    """How events follow one another in a file."""

    END: bytes
    """What follows each event."""
    HOLDS: str
    """What the file holds, in words."""

    def begins(self, first: int) -> bool:
        """Whether an event can begin with this byte."""

    def find_end(self, descriptor: int, size: int) -> int:
        """Offset behind the last event that is whole."""


class Lines:
    """JSON, one event a line."""

    END = b"\n"
    HOLDS = "JSON"

    def begins(self, first: int) -> bool:
        """An object."""
        return first == 0x7B

    def find_end(self, descriptor: int, size: int) -> int:
        """Behind the last line break before a hole: a power cut may leave zeros where data was not written yet."""
        end = _first_zero(descriptor, max(0, size - TAIL), size)
        while end > 0:
            begin = max(0, end - BLOCK)
            found = os.pread(descriptor, end - begin, begin).rfind(b"\n")
            if found >= 0:
                return begin + found + 1
            end = begin
        return 0


class Messages:
    """MessagePack, one map after another."""

    END = b""
    HOLDS = "MessagePack"

    def begins(self, first: int) -> bool:
        """A map, short or long (MessagePack's `fixmap`, `map 16` and `map 32`)."""
        return 0x80 <= first <= 0x8F or first in (0xDE, 0xDF)

    def find_end(self, descriptor: int, size: int) -> int:
        """Behind the last map before a hole: only reading from the beginning on shows where each ends.

        A hole in the middle of a text or a number cannot be told from zeros that were written: JSON tells every one.
        """
        unpacker = msgpack.Unpacker(max_buffer_size=0)
        fed = end = 0
        while end < size:
            first = os.pread(descriptor, 1, end)
            if not self.begins(first[0]):
                break
            try:
                unpacker.skip()
                behind = unpacker.tell()
                if behind > size - TAIL and not _is_whole(os.pread(descriptor, behind - end, end)):
                    break
                end = behind
            except msgpack.OutOfData:
                block = os.pread(descriptor, BLOCK, fed)
                if not block:
                    break
                unpacker.feed(block)
                fed += len(block)
            except ValueError:  # garbled
                break
        return end


def _is_whole(event: bytes) -> bool:
    """Whether every key is a text, as in all that is written; zeros in its place are numbers."""
    try:
        msgpack.unpackb(event)
    except ValueError:
        return False
    return True


def _first_zero(descriptor: int, begin: int, size: int) -> int:
    for at in range(begin, size, BLOCK):
        found = os.pread(descriptor, BLOCK, at).find(b"\0")
        if found >= 0:
            return at + found
    return size
