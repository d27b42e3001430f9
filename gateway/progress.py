"""Says on standard error how far a long task has come: one line that changes, or a line now and then."""

from __future__ import annotations

import time
from typing import TextIO

from protocols.discovery import shown_line

EVERY_S = 5.0
"""Between two lines where no person watches."""


class Progress:
    """Where lines of progress go."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._is_watched = out.isatty()
        self._next = time.monotonic() + EVERY_S

    def __call__(self, line: str) -> None:
        """How far it is."""
        if self._is_watched:
            self._out.write(f"\r\x1b[K{shown_line(line, 78)}")
            self._out.flush()
        elif time.monotonic() >= self._next:
            self._next = time.monotonic() + EVERY_S
            self._out.write(f"{shown_line(line)}\n")

    def done(self) -> None:
        """Nothing more is said."""
        if self._is_watched:
            self._out.write("\r\x1b[K")
            self._out.flush()
