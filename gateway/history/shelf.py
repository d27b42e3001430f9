"""What is kept of one machine, or of the line: rows by kind and id, and packed minutes; the oldest go first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from operator import attrgetter

from gateway.history.minutes import Minutes
from gateway.history.rows import Row

OVERHEAD = 4000
"""Bytes of memory that a shelf needs, about."""
AT_ONCE = 8
"""Where there is no room an eighth of the rows goes: to find the oldest takes as long for one as for many."""


class Shelf:
    """Rows of which the highest revision stands. Times are UTC milliseconds."""

    def __init__(self) -> None:
        self.minutes = Minutes()
        self.gone_until: int | None = None
        """Until when what is gone for want of room lasted."""
        self._gone: dict[str, int] = {}
        """The same by kind: an old revision of what is gone must not come back."""
        self._rows: dict[str, dict[str, Row]] = {}
        self._newest: dict[str, int] = {}
        """Highest seq of each kind: what has nothing new need not be looked through."""
        self._versions: Counter[str] = Counter()
        self._size = OVERHEAD

    @property
    def size(self) -> int:
        """Bytes of memory, about."""
        return self._size + self.minutes.size

    @property
    def is_empty(self) -> bool:
        """Whether it holds nothing."""
        return not len(self.minutes) and not any(self._rows.values())

    def put(self, row: Row) -> None:
        """Take a row over, unless one with a higher revision stands."""
        rows = self._rows.setdefault(row.kind, {})
        before = rows.get(row.key)
        if before is not None:
            if (before.rev, before.seq) >= (row.rev, row.seq):
                return
            self._size -= before.size
        elif row.began < self._gone.get(row.kind, row.began):
            return
        rows[row.key] = row
        self._versions[row.kind] += 1
        self._size += row.size
        self._newest[row.kind] = max(self._newest.get(row.kind, row.seq), row.seq)

    def get(self, kind: str, key: str) -> Row | None:
        """The row with an id."""
        return self._rows.get(kind, {}).get(key)

    def count(self, kind: str) -> int:
        """How many rows of a kind there are."""
        return len(self._rows.get(kind, ()))

    def has_news(self, kinds: Iterable[str], after: int) -> bool:
        """Whether of one of these kinds there is anything behind a number."""
        return any(self._newest.get(kind, after) > after for kind in kinds)

    def all(self, kind: str) -> Iterable[Row]:
        """Rows of a kind, in no order."""
        return self._rows.get(kind, {}).values()

    def rows(self, kind: str, from_ms: int, to_ms: int, after: int | None = None) -> list[Row]:
        """Rows of a kind that overlap a time, with a seq above `after`, by their begin."""
        if after is not None and not self.has_news((kind,), after):
            return []
        found = [
            row
            for row in self._rows.get(kind, {}).values()
            if row.began <= to_ms and (row.ended is None or row.ended >= from_ms) and (after is None or row.seq > after)
        ]
        found.sort(key=attrgetter("began", "key"))
        return found

    def version(self, kind: str) -> int:
        """Another number whenever the rows of a kind are others."""
        return self._versions[kind]

    def drop(self, before: int) -> None:
        """Forget what ended before a time."""
        for kind, rows in self._rows.items():
            old = [key for key, row in rows.items() if row.ended is not None and row.ended < before]
            self._versions[kind] += len(old)
            for key in old:
                self._size -= rows.pop(key).size
        self.minutes.drop(before)

    def make_room(self, kind: str | None = None) -> bool:
        """Forget the oldest of one kind, or of that which takes most; whether there was anything."""
        kind = kind or max(self._rows, key=self._weight, default=None)
        if self.minutes.size > (0 if kind is None else self._weight(kind)):
            self._note(self.minutes.drop_oldest(len(self.minutes) // AT_ONCE + 1))
            return True
        rows = {} if kind is None else self._rows[kind]
        oldest = sorted(rows.values(), key=_age)[: len(rows) // AT_ONCE + 1]
        for row in oldest:
            self._size -= rows.pop(row.key).size
            self._versions[row.kind] += 1
            until = row.began if row.ended is None else row.ended
            self._gone[row.kind] = max(until, self._gone.get(row.kind, until))
            self._note(until)
        return bool(oldest)

    def _note(self, until: int) -> None:
        self.gone_until = max(until, self.gone_until or until)

    def _weight(self, kind: str) -> int:
        return sum(row.size for row in self._rows[kind].values())


def _age(row: Row) -> tuple[bool, int]:
    """What lasts goes last."""
    return row.ended is None, row.began
