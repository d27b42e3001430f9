"""What signals were over a time, as the page draws it: out of all pieces that have a part of it."""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import orjson

from ext.curves import Curve
from ext.samples import BLOCK
from ext.table import DecodeError
from gateway.samples.files import Kept
from gateway.samples.segment import Piece, stored

FASTEST = 1
GZIP = 31
"""zlib's window bits for gzip's format."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked: signals with their units, from `begin` to `end` (UTC ms), at most so many points of each."""

    signals: Mapping[str, str | None]
    begin: int
    end: int
    points: int
    gzip: bool = False
    """Whether who asks takes it compressed."""
    deadline: float = math.inf
    """Monotonic time after which nobody waits any more."""


class TooMuch(Exception):
    """It takes longer than anybody waits."""


def answer(wanted: Wanted, files: Iterable[Kept], later: Sequence[Piece]) -> tuple[bytes, set[str]]:
    """The body of /api/samples, and the signals of which nothing is known. `later` follow on what the files have.

    Raises TooMuch.
    """
    curves = {name: Curve(wanted.begin, wanted.end, wanted.points) for name in wanted.signals}
    for piece, ended in _in_order(wanted, files, later):
        if time.monotonic() > wanted.deadline:
            raise TooMuch
        _add(curves, piece, ended)
    told: list[bytes] = []
    unknown: set[str] = set()
    for name, unit in wanted.signals.items():
        points = curves[name].points()
        if not points:
            unknown.add(name)
        told.append(orjson.dumps(name) + b":" + orjson.dumps({"unit": unit, "points": points}))
        time.sleep(0)  # the loop's turn: this thread shares an interpreter with it
    body = b'{"signals":{' + b",".join(told) + b"}}"
    return zlib.compress(body, FASTEST, GZIP) if wanted.gzip else body, unknown


def _in_order(wanted: Wanted, files: Iterable[Kept], later: Sequence[Piece]) -> Iterator[tuple[Piece, int]]:
    """Pieces and until when each counts: where the clock was set back, what came later holds."""
    pieces: list[Piece] = []
    for file in files:
        if file.began < wanted.end and wanted.begin < file.ended:
            with suppress(OSError):  # it went meanwhile, or cannot be read: a gap
                pieces += [one for one in stored(file.path, file.size) if _overlaps(one, wanted)]
    pieces += [one for one in later if _overlaps(one, wanted)]
    until = wanted.end
    counted = []
    for piece in reversed(pieces):
        if piece.began < until:
            counted.append((piece, min(piece.ended, until)))
        until = min(until, piece.began)
    return reversed(counted)


def _overlaps(piece: Piece, wanted: Wanted) -> bool:
    return piece.began < wanted.end and wanted.begin < piece.ended


def _add(curves: Mapping[str, Curve], piece: Piece, ended: int) -> None:
    numbers = piece.names.numbers
    blocks: dict[int, list[tuple[int, Curve]]] = {}
    for name, curve in curves.items():
        if (number := numbers.get(name)) is not None:
            blocks.setdefault(number // BLOCK, []).append((number % BLOCK, curve))
    with suppress(OSError, DecodeError):  # what of it cannot be read is a gap
        for block, packed in piece.blocks(sorted(blocks)):
            for index, curve in blocks[block]:
                curve.add(packed, index, piece.began, ended)
