"""The ring's files: torn anywhere, full disks, bounds; what is lost is what was damaged, and no more."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import gateway.samples.files as files_module
from ext.samples import BLOCK, Sampler
from ext.table import Kind, SignalTable
from gateway.samples.curves import Wanted, answer
from gateway.samples.files import MOST_FILES, Files
from gateway.samples.segment import MAGIC, Names, Segment

BEGIN = 1_795_413_600_000
PIECE = 30_000
SIGNALS = BLOCK + 1
PIECES = 6
ROOM = 10_000_000


def pieces(count: int, *, noise: int = 0) -> list[Segment]:
    """Half minutes in which each signal is the number of the piece; or that many changes that hardly compress."""
    table = SignalTable([f"s{number}" for number in range(SIGNALS)])
    for number in range(SIGNALS):
        table.define(number, Kind.INT)
    found = []
    sampler = Sampler({"d": table}, BEGIN)
    names = Names(sampler.log.names)
    for piece in range(count):
        for number in range(SIGNALS):
            table.put(number, piece)
        at = BEGIN + piece * PIECE
        sampler.sample(at + 1)
        for number in range(noise):
            table.put(0, int.from_bytes(os.urandom(7)))
            sampler.sample(at + 2 + number)
        found.append(Segment.of(names, sampler.turn(at + PIECE, at + PIECE)))
    return found


def written(directory: Path, segments: Sequence[Segment], max_size: int = ROOM, min_free: int = 0) -> Files:
    files = Files(directory, max_size, min_free)
    files.open()
    for segment in segments:
        files.write(segment)
    return files


def told(directory: Path) -> dict[str, list[tuple[int, int | None]]]:
    """What another start finds: points of the first signals of both blocks."""
    files = Files(directory, ROOM, 0)
    files.open()
    names = ("d.s0", f"d.s{BLOCK}")
    wanted = Wanted(dict.fromkeys(names), BEGIN, BEGIN + 100 * PIECE, 2000)
    signals = orjson.loads(answer(wanted, files.kept, ())[0])["signals"]
    return {name: [tuple(point) for point in signals[name]["points"]] for name in names}


def held(points: Sequence[tuple[int, int | None]]) -> set[int]:
    """Pieces that are there: in each the signal changes once."""
    return {value for at, value in points if value is not None and at == BEGIN + value * PIECE + 1}


WHOLE = pieces(PIECES)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list[int]]:
    """A file, and where each piece ends in it."""
    directory = tmp_path_factory.mktemp("whole")
    files = Files(directory, ROOM, 0)
    ends = []
    for segment in WHOLE:
        files.write(segment)
        ends.append(files.kept[-1].size)
    return files.kept[-1].path.read_bytes(), ends


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.floats(0, 1), st.sampled_from(("cut", "zeros", "noise")), st.booleans())
@example(1.0, "cut", True)
def test_a_torn_tail_costs_only_itself(
    whole: tuple[bytes, list[int]], tmp_path_factory: pytest.TempPathFactory, where: float, tail: str, goes_on: bool
) -> None:
    """Cut anywhere, or with something else behind the cut; what is written afterwards is there too."""
    data, ends = whole
    at = round(where * len(data))
    directory = tmp_path_factory.mktemp("torn")
    rest = {"cut": b"", "zeros": bytes(len(data) - at), "noise": (MAGIC + b"\1\0\0\0") * ((len(data) - at) // 8)}[tail]
    (directory / "00000001.samples").write_bytes(data[:at] + rest)
    expected = {number for number, end in enumerate(ends) if end <= at}
    if goes_on:
        files = Files(directory, ROOM, 0)
        files.open()
        files.write(WHOLE[-1])
        expected.add(PIECES - 1)
        assert files.kept[-1].path.stat().st_size == files.kept[-1].size
    cut = set() if tail == "cut" else {len([end for end in ends if end <= at])}  # a block of it may be whole
    for points in told(directory).values():
        assert expected <= held(points) <= expected | cut
        assert [point[0] for point in points] == sorted(point[0] for point in points)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), min_size=1, max_size=3))
def test_damage_costs_what_it_hits(
    whole: tuple[bytes, list[int]], tmp_path_factory: pytest.TempPathFactory, flips: list[tuple[float, int]]
) -> None:
    """Bytes that are otherwise cost the block or the piece that they are in, and in names what goes by these."""
    data, ends = whole
    broken = bytearray(data)
    hit = set()
    for where, other in flips:
        at = min(round(where * len(data)), len(data) - 1)
        broken[at] ^= other
        hit.add(next(number for number, end in enumerate(ends) if at < end))
    directory = tmp_path_factory.mktemp("flipped")
    (directory / "00000001.samples").write_bytes(broken)
    names_hit = broken[:200] != data[:200]
    for points in told(directory).values():
        assert held(points) >= (set() if names_hit else set(range(PIECES)) - hit)
        assert held(points) <= set(range(PIECES)), "nothing that never was"


def test_files_are_full_after_an_hour_or_a_sixteenth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = written(tmp_path, pieces(130))
    assert [one.path.name for one in files.kept] == ["00000001.samples", "00000002.samples"]
    assert files.kept[0].ended == BEGIN + 120 * PIECE
    small = written(tmp_path / "small", pieces(40, noise=200), max_size=100_000)
    assert 8 <= len(small.kept) <= 17
    assert sum(path.stat().st_size for path in small.directory.iterdir()) <= 100_000
    assert held(told(tmp_path / "small")["d.s0"]) > {39}, "the newest stay"
    monkeypatch.setattr(files_module, "FILE_MS", PIECE)
    many = written(tmp_path / "many", pieces(MOST_FILES + 5))
    assert len(many.kept) == len(list(many.directory.iterdir())) == MOST_FILES


def test_a_file_of_before_goes_on(tmp_path: Path) -> None:
    """Restarts make no files; one that was taken away is followed by another."""
    for number in range(4):
        written(tmp_path, WHOLE[number : number + 1])
    assert [path.name for path in tmp_path.iterdir()] == ["00000001.samples"]
    assert held(told(tmp_path)["d.s0"]) == {0, 1, 2, 3}
    files = Files(tmp_path, ROOM, 0)
    files.open()
    files.kept[0].path.unlink()
    files.write(WHOLE[4])
    assert [path.name for path in tmp_path.iterdir()] == ["00000002.samples"]
    assert held(told(tmp_path)["d.s0"]) == {4}


def test_where_others_need_the_disk_the_oldest_go_and_nothing_is_written(tmp_path: Path) -> None:
    files = written(tmp_path, WHOLE[:3])
    files.min_free = 10**18
    with pytest.raises(OSError, match="min_free_disk"):
        files.write(WHOLE[3])
    assert not list(tmp_path.iterdir()), "what matters more gets the room"
    files.min_free = 0
    files.write(WHOLE[4])
    assert held(told(tmp_path)["d.s0"]) == {4}


def test_a_file_whose_begin_did_not_get_there_begins_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the names, for nothing can be read without them."""
    files = written(tmp_path, WHOLE[:2])
    monkeypatch.setattr(files_module, "FILE_MS", PIECE)
    with files_of_at_most(100), pytest.raises(OSError, match="File too large"):
        files.write(WHOLE[2])
    for segment in WHOLE[2:]:
        files.write(segment)
    assert held(told(tmp_path)["d.s0"]) == set(range(PIECES))


def test_what_holds_nothing_goes(tmp_path: Path) -> None:
    (tmp_path / "00000001.samples").write_bytes(os.urandom(5000))
    (tmp_path / "00000002.samples").touch()
    (tmp_path / "notes.txt").write_text("somebody's")
    files = written(tmp_path, WHOLE[:1])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000001.samples", "notes.txt"]
    assert held(told(tmp_path)["d.s0"]) == {0}
    assert files.kept[0].path.stat().st_size == files.kept[0].size


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The system then writes as far as that, and refuses the rest: as a disk that is full does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("more", [1, 40, 100])
def test_what_got_there_in_part_is_cut_off(tmp_path: Path, more: int) -> None:
    """A write that fails in the middle leaves what was there, and what is written later follows on that."""
    files = written(tmp_path, WHOLE[:2])
    size = files.kept[-1].size
    with files_of_at_most(size + more), pytest.raises(OSError, match="File too large"):
        files.write(WHOLE[2])
    assert files.kept[-1].path.stat().st_size == size + more
    assert held(told(tmp_path)["d.s0"]) == {0, 1}
    files.write(WHOLE[3])
    assert held(told(tmp_path)["d.s0"]) == {0, 1, 3}
