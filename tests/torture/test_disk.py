"""The model of a disk that loses its power keeps what was synced, and of the rest anything may be left."""

from __future__ import annotations

from random import Random

from tests.torture.disk import SECTOR, Disk
from tests.torture.layer import Call, Done


def write(name: str, offset: int, data: bytes) -> Done:
    return Done(Call.WRITE, name, "", offset, data)


def done(call: Call, name: str = "", other: str = "", offset: int = 0) -> Done:
    return Done(call, name, other, offset, b"")


def left(disk: Disk, share: float, tries: int = 300) -> set[tuple[tuple[str, bytes], ...]]:
    """All that cuts leave."""
    return {tuple(sorted(disk.left(Random(seed), share).items())) for seed in range(tries)}


def test_what_is_synced_stays() -> None:
    disk = Disk({"db": b"old"})
    for one in (write("db", 0, b"new"), done(Call.SYNC, "db")):
        disk.do(one)
    assert left(disk, 0.5) == {(("db", b"new"),)}


def test_what_is_not_synced_may_be_lost_torn_or_there_in_any_order() -> None:
    disk = Disk({"db": b""})
    first, second = b"1" * SECTOR * 2, b"2" * SECTOR
    disk.do(write("db", 0, first))
    disk.do(write("db", 2 * SECTOR, second))
    assert left(disk, 0.0) == {(("db", b""),)}
    assert left(disk, 1.0) == {(("db", first + second),)}
    found = {files[0][1] for files in left(disk, 0.5)}
    assert {b"", first, first + second, bytes(2 * SECTOR) + second} <= found
    assert b"1" * SECTOR + bytes(SECTOR) + second in found
    assert disk.now() == {"db": first + second}


def test_a_cut_file_may_keep_its_size() -> None:
    disk = Disk({"db": b"abc"})
    disk.do(done(Call.TRUNCATE, "db", offset=1))
    assert left(disk, 0.5) == {(("db", b"a"),), (("db", b"abc"),)}


def test_names_last_from_the_sync_of_the_directory_on() -> None:
    disk = Disk({"a": b"1"})
    disk.do(done(Call.RENAME, "a", "b"))
    disk.do(done(Call.CREATE, "a"))
    disk.do(write("a", 0, b"2"))
    disk.do(done(Call.SYNC, "a"))
    assert left(disk, 0.0) == {(("a", b"1"),)}
    assert left(disk, 0.5) == {(("a", b"1"),), (("b", b"1"),), (("a", b"2"), ("b", b"1"))}
    disk.do(done(Call.SYNC))
    assert left(disk, 0.5) == {(("a", b"2"), ("b", b"1"))}
    disk.do(done(Call.UNLINK, "b"))
    assert left(disk, 0.5) == {(("a", b"2"), ("b", b"1")), (("a", b"2"),)}
