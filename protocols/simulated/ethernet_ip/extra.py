"""Many tags that change every 100 ms, for load tests: DINT and REAL in turn, and one array of REAL."""

from __future__ import annotations

import struct
from collections.abc import Callable

from protocols.simulated.ethernet_ip.datatypes import DINT, REAL
from protocols.simulated.ethernet_ip.project import Project
from protocols.simulated.registers import EXTRA_STEP_MS, extra_value

ARRAY = "Extra_Array"
_PERIOD = 997
"""After so many steps, or at so many places further on, `extra_value` is what it was."""


def name_of(index: int) -> str:
    """The tag of an index."""
    return f"Extra_{index:04}"


def extra_tag_value(index: int, ms: int) -> int | float:
    """What tag `index` holds at a simulated time: a DINT at even places, a REAL at odd ones."""
    return extra_value(index, ms) if index % 2 else (index * 1_000 + ms // EXTRA_STEP_MS) % (1 << 31)


def extra_array_value(index: int, ms: int) -> float:
    """What the array's element `index` holds at a simulated time."""
    return extra_value(index, ms)


def declare(project: Project, count: int, now_ms: Callable[[], int]) -> None:
    """Declares `count` tags, and the array with as many elements.

    REALs walk through one periodic table made beforehand, of which any array is a slice: reading costs next to nothing.
    """
    if not count:
        return
    table = struct.pack(f"<{count + _PERIOD}f", *(extra_value(place, 0) for place in range(count + _PERIOD)))

    def reals(index: int, elements: int) -> bytes:
        begin = 4 * (now_ms() // EXTRA_STEP_MS % _PERIOD + index)
        return table[begin : begin + 4 * elements]

    for index in range(count):
        if index % 2:
            project.tag(name_of(index), REAL, lambda index=index: reals(index, 1))
        else:
            project.tag(name_of(index), DINT, lambda index=index: extra_tag_value(index, now_ms()))
    project.tag(ARRAY, REAL, lambda: reals(0, count), count)
