"""What is due when: the engine's deadlines in order of time, and of their owners where times are equal."""

from __future__ import annotations

import heapq
from collections.abc import Iterable


def earliest(moments: Iterable[int | None]) -> int | None:
    """The first moment of those that are known."""
    found: int | None = None
    for moment in moments:
        if moment is not None and (found is None or moment < found):
            found = moment
    return found


class Deadlines:
    """At most one deadline an owner; owners are numbers, and the lower one comes first at the same time."""

    def __init__(self) -> None:
        self._due: dict[int, int] = {}
        self._heap: list[tuple[int, int]] = []

    def set(self, owner: int, due: int | None) -> None:
        """What an owner waits for now, in engine time; None for nothing."""
        if due is None:
            self._due.pop(owner, None)
        elif self._due.get(owner) != due:
            self._due[owner] = due
            heapq.heappush(self._heap, (due, owner))

    def next(self) -> int | None:
        """The nearest deadline."""
        heap = self._heap
        while heap and self._due.get(heap[0][1]) != heap[0][0]:
            heapq.heappop(heap)  # it was moved or given up
        return heap[0][0] if heap else None

    def take(self, until: int) -> tuple[int, int] | None:
        """The first deadline that is due by `until` with its owner, who has none any more; None where none is."""
        due = self.next()
        if due is None or due > until:
            return None
        _, owner = heapq.heappop(self._heap)
        del self._due[owner]
        return due, owner
