"""An event loop whose time passes only while the computer lets it run: a busy one makes tests late, and not wrong.

A driver waits 100 ms for an answer that a peer on the same loop gives at once. A computer that lets neither of them run
for a second would have the driver's time run out before the peer is even asked; by this loop's time nothing was late.
"""

from __future__ import annotations

import asyncio
import math
import selectors
import time
from collections.abc import Callable
from typing import Any

LONGEST_S = 0.02
"""Time that passes at most while the loop waits once; what is longer, the computer was elsewhere."""


class _Selector(selectors.DefaultSelector):
    """Waits in short pieces, and counts what of each was waiting; else time is what the loop's thread computed."""

    def __init__(self) -> None:
        super().__init__()
        self._waited = time.monotonic() - time.thread_time()

    def time(self) -> float:
        return self._waited + time.thread_time()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        left = math.inf if timeout is None else timeout
        while True:
            piece = min(left, LONGEST_S)
            began, computed = time.monotonic(), time.thread_time()
            found = super().select(piece)
            took = min(time.monotonic() - began, piece) - (time.thread_time() - computed)
            self._waited += max(took, 0.0)
            left -= piece
            if found or left <= 0:
                return found


class PatientLoop(asyncio.SelectorEventLoop):
    """See above."""

    def __init__(self) -> None:
        selector = _Selector()
        super().__init__(selector)
        self.time: Callable[[], float] = selector.time


class PatientPolicy(asyncio.DefaultEventLoopPolicy):
    """Every loop that a test has is a patient one."""

    _loop_factory: Any = PatientLoop
