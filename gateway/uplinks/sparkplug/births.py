"""The number of a session (`bdSeq`), kept over restarts: one more than the last CONNECT's, 0 after 255."""

from __future__ import annotations

import os
from pathlib import Path

import structlog

BD_SEQS = 256

log = structlog.get_logger("uplink")


def next_bd_seq(path: Path) -> int:
    """The number of the CONNECT that follows; it is on the disk before this returns. Blocking; raises OSError."""
    try:
        last = int(path.read_text("ascii"))
        number = (last + 1) % BD_SEQS if 0 <= last < BD_SEQS else 0
    except FileNotFoundError:
        number = 0
    except ValueError:  # no text, or no number
        log.warning(
            "bd_seq_unreadable", file=str(path), why="it has no number", remedy="none is needed: it begins at 0"
        )
        number = 0
    new = path.with_name(path.name + ".new")
    with new.open("w", encoding="ascii") as file:
        file.write(f"{number}\n")
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    return number
