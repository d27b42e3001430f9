"""What the lock file says of its buffer: how far it was, in case that the buffer itself can no longer say it.

A line of JSON and its checksum, written after each commit and never synced: what it says is true, though after a power
cut it may be of half a minute ago.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson


@dataclass(frozen=True, slots=True)
class Witness:
    """`stream` had numbered `last_seq` events and had stored them."""

    stream: str
    last_seq: int
    cursors: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Position and last delivered of each uplink."""
    damaged: str = ""
    """Why the buffer is to be recovered, though its next opening may not see it."""
    quarantined: Mapping[str, int] = field(default_factory=dict)
    """How many events were set aside for each uplink."""


def encode(pid: int, witness: Witness | None) -> bytes:
    """The lock file's first line."""
    body = orjson.dumps({"pid": pid, "buffer": witness})
    return b"%s %08x\n" % (body, zlib.crc32(body))


def decode(text: bytes) -> tuple[int | None, Witness | None]:
    """The process and the witness of a lock file; None where it does not say. Other versions' say more or less."""
    line = text.partition(b"\n")[0]
    if line.isdigit():
        return int(line), None
    body, _, checksum = line.rpartition(b" ")
    if checksum != b"%08x" % zlib.crc32(body):
        return None, None
    match orjson.loads(body):
        case {
            "pid": int(pid),
            "buffer": {"stream": str(stream), "last_seq": int(last_seq), "cursors": dict(cursors)} as rest,
        }:
            places = {name: (at[0], at[1]) for name, at in cursors.items()}
            return pid, Witness(stream, last_seq, places, rest.get("damaged", ""), rest.get("quarantined", {}))
        case {"pid": int(pid)}:
            return pid, None
    return None, None
