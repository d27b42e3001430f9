"""How much may be under way to a server at once, so that what it refuses or hangs up over stands alone.

It begins with one message and grows by one with each that is taken. A message larger than all that were taken goes
alone, and nothing follows it until it is answered: no event has then gone out, numbered as its successor, before
a limit of size refuses it.
"""

from __future__ import annotations


class Window:
    """Of one connection."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._most = 1
        self._largest = 0

    def takes(self, size: int, under_way: int, oldest: int) -> bool:
        """Whether a message of `size` bytes may follow those `under_way`, of which the oldest has `oldest` bytes."""
        return not under_way or (under_way < self._most and max(size, oldest) <= self._largest)

    def taken(self, size: int) -> None:
        """A message has arrived."""
        self._most = min(self._most + 1, self._limit)
        self._largest = max(self._largest, size)
