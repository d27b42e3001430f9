"""Whether the wall clock is synchronised, as the kernel knows it: whatever daemon disciplines it."""

from __future__ import annotations

import ctypes

TIME_ERROR = 5
"""adjtimex(2): the clock is not synchronised to a reliable source."""
_TIMEX_BYTES = 512
"""More than struct timex has anywhere; all zero asks and changes nothing."""


def is_synchronised() -> bool | None:
    """None where the kernel may not be asked."""
    timex = ctypes.create_string_buffer(_TIMEX_BYTES)
    try:
        state = int(ctypes.CDLL(None).adjtimex(timex))
    except (AttributeError, OSError):
        return None
    return None if state < 0 else state != TIME_ERROR
