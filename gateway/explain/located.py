"""Where a configuration's values stand, as a process of its own has found it out."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path

from gateway.apart import output_of
from gateway.explain.places import Where

LOAD_S = 60.0


@dataclass(frozen=True, slots=True)
class Located:
    """A configuration's file as it was when it was read."""

    digest: str
    where: Where
    stamps: tuple[tuple[Path, int], ...]
    """Its files, and when each was changed last (nanoseconds)."""

    def is_fresh(self) -> bool:
        """Whether no file was written since. Blocking."""
        return all(stamp_of(file) == stamp for file, stamp in self.stamps)


async def located(file: Path) -> Located:
    """What the file says now. Raises ApartError where it does not load."""
    packed = await output_of("gateway.explain.apart", str(file), seconds=LOAD_S)
    return Located(*pickle.loads(packed))  # written by ourselves, over a pipe that nobody else has


def stamp_of(file: Path) -> int:
    """When a file was changed last, in nanoseconds; 0 where there is none."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0
