"""The layer between a daemon and its disk: builds it, switches it on, and reads what it logged."""

from __future__ import annotations

import enum
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.peers.toolchain import compile_with

SOURCE = Path(__file__).with_name("layer.c")
_RECORD = struct.Struct("=IIIIq")


class Call(enum.IntEnum):
    """What was done to a file."""

    CREATE = 1
    WRITE = 2
    TRUNCATE = 3
    SYNC = 4
    """Of a file, or of the directory, whose name is "": from then on names last."""
    RENAME = 5
    UNLINK = 6


@dataclass(frozen=True, slots=True)
class Done:
    """One call that succeeded; names are relative to the watched directory."""

    call: Call
    name: str
    other: str
    """The new name of a renamed file."""
    offset: int
    """Where a write began, or the size that a file was cut to."""
    data: bytes

    @property
    def is_journal(self) -> bool:
        """Whether it was done to the file uplink's file, or one that it closed."""
        return ".ndjson" in self.name


def build(place: Path) -> Path:
    """The library, in `place`. RuntimeError, saying what to install, where it cannot be made."""
    return compile_with(SOURCE, place / "layer.so", "-shared", "-fPIC", "-ldl")


def environment(
    library: Path, directory: Path, *, log: Path | None = None, kill: str = "", port: int = 0, fail: Path | None = None
) -> dict[str, str]:
    """What a process needs in its environment to run above the layer; see layer.c."""
    chosen = {"LD_PRELOAD": str(library), "LAYER_DIRECTORY": str(directory)}
    if log is not None:
        chosen["LAYER_LOG"] = str(log)
    if kill:
        chosen["LAYER_KILL"] = kill
    if fail is not None:
        chosen["LAYER_FAIL"] = str(fail)
    if port:
        chosen["LAYER_PORT"] = str(port)
    return chosen


def read_log(path: Path) -> Iterator[Done]:
    """The calls in the order in which they were done."""
    content = path.read_bytes()
    at = 0
    while at < len(content):
        call, name_size, other_size, data_size, offset = _RECORD.unpack_from(content, at)
        at += _RECORD.size
        parts = []
        for size in (name_size, other_size, data_size):
            parts.append(content[at : at + size])
            at += size
        yield Done(Call(call), os.fsdecode(parts[0]), os.fsdecode(parts[1]), offset, parts[2])
