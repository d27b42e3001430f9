"""Texts from registers against Python's strict decoders, over every boundary of each encoding and of the padding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Literal

import pytest

from ext.registers import RegisterPlan
from ext.table import SignalTable

BYTES = ("latin-1", "ascii", "utf-8", "cp1252")
WIDE = ("utf-16-be", "utf-16-le")


class Text:
    """A text of `length` bytes."""

    def __init__(self, encoding: str, length: int) -> None:
        self._encoding, self._length = encoding, length
        self._table = SignalTable(["text"])
        self._plan = RegisterPlan(self._table, (length + 1) // 2, 1)
        self._plan.add(0, 0, "string", length=length, encoding=encoding)

    def check(self, raw: bytes) -> None:
        """The registers hold `raw`; the text ends at a NUL, and spaces before that are padding."""
        self._plan.decode(raw.ljust(self._plan.size, b"\0"))
        step = 2 if self._encoding in WIDE else 1
        mine = raw[: self._length]
        units = [mine[at : at + step] for at in range(0, len(mine), step)]
        if bytes(step) in units:
            del units[units.index(bytes(step)) :]
        while units and units[-1] == " ".encode(self._encoding):
            units.pop()
        try:
            value = b"".join(units).decode(self._encoding)
        except UnicodeDecodeError:
            value = None
        assert self._table.read(0)[1] == value, (self._encoding, raw.hex(" "))


def check_all(encoding: str, length: int, raws: Iterable[bytes]) -> None:
    text = Text(encoding, length)
    for raw in raws:
        text.check(raw)


@pytest.mark.parametrize("encoding", BYTES)
def test_every_byte_alone_and_at_every_place(encoding: str) -> None:
    check_all(encoding, 2, (bytes((byte,)) for byte in range(256)))
    check_all(encoding, 20, (b"a" * at + bytes((byte,)) + b"b" * (19 - at) for at in range(20) for byte in range(256)))


def utf_8() -> Iterator[bytes]:
    """Each first byte with the bytes on either side of every limit behind it (RFC 3629, section 4)."""
    limits = bytes.fromhex("61 7f 80 8f 90 9f a0 bf c0 ff")
    for lead in range(0x80, 0x100):
        for rest in product(limits, repeat=3):
            yield bytes((lead, *rest))


@pytest.mark.parametrize("before", [b"", b"a", b"abcde", b"abcdefgh"])
def test_utf_8_to_its_limits(before: bytes) -> None:
    check_all("utf-8", 16, (before + raw for raw in utf_8()))


@pytest.mark.parametrize("encoding", BYTES)
def test_a_character_that_the_length_cuts(encoding: str) -> None:
    """The rest of it lies in the same register, and is no part of the text."""
    for text in ("aé", "é", "a日", "日", "ab😀", "a😀", "😀"):
        for length in range(1, 6):
            check_all(encoding, length, [text.encode().ljust(6, b"a")[: length + length % 2]])


@pytest.mark.parametrize("encoding", WIDE)
def test_utf_16_to_its_limits(encoding: str) -> None:
    """Units on either side of every limit of the surrogates (RFC 2781, 2.2), also as the last of the text."""
    order: Literal["big", "little"] = "big" if encoding == "utf-16-be" else "little"
    limits = (0x61, 0xD7FF, 0xD800, 0xD801, 0xDBFE, 0xDBFF, 0xDC00, 0xDC01, 0xDFFE, 0xDFFF, 0xE000, 0xFFFF, 0xFEFF)
    for length in (2, 4, 6):
        raws = (b"".join(unit.to_bytes(2, order) for unit in units) for units in product(limits, repeat=length // 2))
        check_all(encoding, length, raws)


@pytest.mark.parametrize("encoding", BYTES)
def test_padding_of_bytes(encoding: str) -> None:
    for length in (1, 2, 3, 4, 5):
        check_all(encoding, length, map(bytes, product(b"\0 a\x80", repeat=length)))


@pytest.mark.parametrize("encoding", WIDE)
def test_padding_of_wide_characters(encoding: str) -> None:
    """Half a space and half a NUL are none."""
    units = [bytes.fromhex(unit) for unit in ("0000", "0020", "2000", "0061", "6100", "2020")]
    for count in (1, 2, 3, 4):
        check_all(encoding, 2 * count, (b"".join(raw) for raw in product(units, repeat=count)))
