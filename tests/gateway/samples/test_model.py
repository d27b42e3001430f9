"""The ring against a list of all that happened: what comes back through packing, files and decimation."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from ext.samples import BLOCK, Sampler
from ext.table import Kind, SignalTable
from gateway.samples.curves import Wanted, answer
from gateway.samples.files import Files
from gateway.samples.segment import Live, Names, Piece, Segment

BEGIN = 1_795_413_600_000
SIGNALS = BLOCK + 6
WATCHED = (0, 1, 2, 3, 4, BLOCK - 1, BLOCK, SIGNALS - 1)
KINDS = (Kind.FLOAT, Kind.INT, Kind.BOOL, Kind.TEXT, Kind.UINT)
VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.FLOAT: st.floats(allow_nan=False, allow_infinity=False),
    Kind.INT: st.integers(-(2**63), 2**63 - 1),
    Kind.UINT: st.integers(0, 2**64 - 1),
    Kind.BOOL: st.booleans(),
    Kind.TEXT: st.text(max_size=4).map(lambda text: text.rstrip("\0 ")),
}
ENOUGH = 2000
"""Points: one for each millisecond of what happens here."""


def kind_of(signal: int) -> Kind:
    return KINDS[signal % len(KINDS)]


class Life:
    """A table, what is noticed of it, its files, and the list of all changes that should have been noticed."""

    def __init__(self, directory: Path) -> None:
        self.table = SignalTable([f"s{number}" for number in range(SIGNALS)])
        for number in range(SIGNALS):
            self.table.define(number, kind_of(number), length=40, encoding="utf-8")
        self.directory = directory
        self.files = Files(directory, 10_000_000, 0)
        self.waiting: list[Segment] = []
        self.now = BEGIN
        self.seen: dict[int, list[tuple[int, Any, int]]] = {signal: [] for signal in WATCHED}
        self._begin()
        self.now += 1

    def _begin(self) -> None:
        self.sampler = Sampler({"d": self.table}, self.now)
        self.names = Names(self.sampler.log.names)
        for signal in WATCHED:
            self._see(signal)

    def _see(self, signal: int) -> None:
        _, value, quality, _, _ = self.table.read(signal)
        self.seen[signal].append((self.now, value, quality))

    def set(self, signal: int, value: Any, uncertain: bool, fed: bool) -> None:
        if value is None:
            self.table.fail(signal, "broken")
        else:
            self.table.put(signal, value, uncertain="old" if uncertain else None)
        if fed:
            self.sampler.feed("d", [self.table.read(signal)], self.now)
            self._see(signal)

    def look(self) -> None:
        self.sampler.sample(self.now)
        for signal in WATCHED:
            self._see(signal)

    def turn(self, began: int | None = None) -> None:
        """A piece ends; the next one begins elsewhere where the clock is set."""
        self.waiting.append(Segment.of(self.names, self.sampler.turn(self.now, self.now if began is None else began)))
        if began is None:
            return
        before, self.now = self.now, began
        for signal, seen in self.seen.items():
            if began > before:
                seen.append((before, None, 0))
            self.seen[signal] = kept = [one for one in seen if one[0] < began]
            kept.append((began, *seen[-2 if began > before else -1][1:]))

    def write(self) -> None:
        while self.waiting:
            self.files.write(self.waiting.pop(0))

    def restart(self, off_ms: int) -> None:
        """All was written; then nobody looked for a while."""
        self.look()
        self.turn()
        self.write()
        self.files = Files(self.directory, 10_000_000, 0)
        self.files.open()
        if off_ms:
            for seen in self.seen.values():
                seen.append((self.now, None, 0))
        self.now += off_ms
        self._begin()

    def asked(self, begin: int, end: int, points: int) -> dict[int, list[list[Any]]]:
        self.sampler.sample(self.now)
        log = self.sampler.log
        later: list[Piece] = [*self.waiting, Live(self.names, log, log.began, log.ended)]
        wanted = Wanted({f"d.s{signal}": None for signal in WATCHED}, begin, end, points)
        body, _ = answer(wanted, self.files.kept, later)
        told = orjson.loads(body)["signals"]
        return {signal: told[f"d.s{signal}"]["points"] for signal in WATCHED}


def plain(points: Sequence[Sequence[Any]]) -> list[tuple[int, str]]:
    """What it became, and when: the last word of each millisecond, without those that change nothing."""
    last = {point[0]: repr(tuple(point[1:])) for point in points}
    told = sorted(last.items())
    return [one for number, one in enumerate(told) if number == 0 or told[number - 1][1] != one[1]]


def as_points(seen: Sequence[tuple[int, Any, int]]) -> list[tuple[Any, ...]]:
    return [(at, value, "uncertain") if quality == 1 else (at, value) for at, value, quality in seen]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(("set", "set", "set", "fail", "look", "turn", "write", "restart", "step")),
        st.integers(0, 50),
        st.sampled_from(WATCHED).flatmap(lambda signal: st.tuples(st.just(signal), VALUES[kind_of(signal)])),
        st.booleans(),
        st.booleans(),
    ),
    max_size=20,
)


def lived(life: Life, steps: Sequence[tuple[str, int, tuple[int, Any], bool, bool]]) -> None:
    for what, passed, (signal, value), uncertain, fed in steps:
        life.now += passed
        if what in ("set", "fail"):
            life.set(signal, value if what == "set" else None, uncertain, fed)
        elif what == "look":
            life.look()
        elif what == "turn":
            life.turn()
        elif what == "write":
            life.write()
        elif what == "restart":
            life.restart(passed)
        elif what == "step":
            life.look()
            life.turn(max(BEGIN + 1, life.now + 2 * (passed - 25)))
    life.now += 1
    life.look()


@settings(deadline=None)
@given(STEPS)
def test_what_was_noticed_is_told(steps: Any) -> None:
    """Each change at its millisecond, with type and quality; gaps; where the clock was set back, the later word."""
    with tempfile.TemporaryDirectory() as directory:
        life = Life(Path(directory))
        lived(life, steps)
        end = max(life.now, max(seen[-1][0] for seen in life.seen.values()))
        for signal, points in life.asked(BEGIN, end, ENOUGH).items():
            assert [point[0] for point in points] == sorted(point[0] for point in points)
            assert plain(points) == plain(as_points(life.seen[signal])), signal
            if points[-1][1] is not None:
                assert points[-1][0] == life.now, "it holds"


def number_of(value: Any) -> float:
    return math.nan if value is None or isinstance(value, str) else float(value)


@settings(deadline=None)
@given(STEPS, st.integers(10, 16), st.integers(0, 400), st.integers(1, 800))
def test_few_points_keep_extremes_and_gaps(steps: Any, most: int, after: int, length: int) -> None:
    """Of any part of it, against all points of that part."""
    with tempfile.TemporaryDirectory() as directory:
        life = Life(Path(directory))
        lived(life, steps)
        begin, end = BEGIN + after, BEGIN + after + length
        whole = life.asked(begin, end, ENOUGH)
        for signal, few in life.asked(begin, end, most).items():
            all_of_it = whole[signal]
            assert len(few) <= most
            assert all(begin <= point[0] <= end for point in few)
            assert [point[0] for point in few] == sorted(point[0] for point in few)
            assert {tuple(point) for point in few} <= {tuple(point) for point in all_of_it}
            if not all_of_it:
                continue
            assert (few[0], few[-1]) == (all_of_it[0], all_of_it[-1])
            numbers = [number_of(point[1]) for point in all_of_it if not math.isnan(number_of(point[1]))]
            kept = [number_of(point[1]) for point in few if not math.isnan(number_of(point[1]))]
            assert (min(kept, default=None), max(kept, default=None)) == (
                min(numbers, default=None),
                max(numbers, default=None),
            )
            assert (None in [point[1] for point in few]) == (None in [point[1] for point in all_of_it])
