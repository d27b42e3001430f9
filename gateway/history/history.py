"""The last hours of a line in memory: fed with events as they are committed, bounded in time, number and bytes."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from struct import error as StructError

import orjson
import structlog

from gateway.events import Envelope
from gateway.history.rows import GAPS, KINDS, OTHERS, STOPS, Told, event_name, row_of
from gateway.history.shelf import Shelf
from gateway.outbox.encode import EventRow

HOURS = 24
KEPT_MS = HOURS * 3_600_000
MOST_BYTES = 64_000_000
MOST_ROWS = 10_000
"""Of one kind of one machine: what one answer has to look through is bounded."""
TIDY_MS = 1000
TURN_S = 0.005
"""How long events are taken over until others have their turn."""
PRODUCTION = "machine.production"
OF_ALL = ""
"""The shelf of what is no machine's: devices, gaps, the gateway."""
_WRONG = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, StructError)

log = structlog.get_logger("history")


class History:
    """Never raises for what an event holds: one that is not of its type costs only itself."""

    def __init__(self, envelope: Envelope, last_seq: int, now: Callable[[], int], most_bytes: int = MOST_BYTES) -> None:
        """`last_seq` is the newest event's that is stored already; `now` gives UTC in milliseconds."""
        self.envelope = envelope
        self.now = now
        self.last_seq = last_seq
        """Of the newest event that was committed."""
        self.loading = True
        """Whether what was stored before is still being read."""
        self.began: int | None = None
        """Time of the oldest event that the store had, where it did not go back as far as is kept."""
        self.shelves: dict[str, Shelf] = {OF_ALL: Shelf()}
        """By machine, or `line`."""
        self.unreadable = 0
        """Events that were not of their type."""
        self._most_bytes = most_bytes
        self._behind: deque[tuple[int, EventRow]] = deque()
        """Committed, and not taken over yet."""
        self._later: asyncio.Handle | None = None
        self._tidied = 0
        """Rotates through the shelves."""
        self._tidied_at = 0

    @property
    def kept_from(self) -> int:
        """From when on anything is kept."""
        return self.now() - KEPT_MS

    @property
    def size(self) -> int:
        """Bytes of memory, about."""
        return sum(shelf.size for shelf in self.shelves.values())

    def committed(self, first: int, rows: Iterable[EventRow]) -> None:
        """Events are durable since this moment, numbered from `first` on; many at once are taken over in turns."""
        self._behind.extend(enumerate(rows, first))
        self._catch_up()

    def _catch_up(self) -> None:
        until = time.monotonic() + TURN_S
        while self._behind:
            seq, row = self._behind.popleft()
            self.take(seq, row.type, row.subject, row.time, row.data)
            self.last_seq = seq
            if time.monotonic() > until:
                break
        self.tidy()
        if self._behind and self._later is None:
            self._later = asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        self._later = None
        self._catch_up()

    def take(self, seq: int, kind: str, subject: str, at: int, data: bytes) -> None:
        """One stored event, in whatever order they come."""
        if kind not in KINDS and kind != PRODUCTION:
            return
        try:
            self._take(seq, kind, subject, at, data)
        except _WRONG as error:
            if not self.unreadable:
                log.warning("event_not_shown", seq=seq, type=kind, why=repr(error)[:200])
            self.unreadable += 1

    def _take(self, seq: int, kind: str, subject: str, at: int, data: bytes) -> None:
        told = Told(event_name(self.envelope, seq), seq, kind, subject, at, orjson.loads(data))
        if kind == PRODUCTION:
            self._shelf(subject).minutes.add(seq, told.data)
            return
        row = row_of(told)
        shelf = self._shelf(OF_ALL if row.kind in (OTHERS, GAPS) else subject)
        shelf.put(row)
        if shelf.count(row.kind) > MOST_ROWS:
            shelf.make_room(row.kind)

    def _shelf(self, subject: str) -> Shelf:
        if (shelf := self.shelves.get(subject)) is None:
            shelf = self.shelves[subject] = Shelf()
        return shelf

    def newest_of_stop(self, stop: str) -> int | None:
        """The stored number of the event that says most of a stop; None for one that is not kept."""
        rows = (shelf.get(STOPS, stop) for shelf in self.shelves.values())
        return next((row.seq for row in rows if row is not None), None)

    def tidy(self) -> None:
        """Forget of the largest shelves what there is no room for, and now and then of one of them what is too old.

        While old events are read the old ones stay, for they have the last word over their revisions before.
        """
        while self.size > self._most_bytes and max(self.shelves.values(), key=lambda one: one.size).make_room():
            pass
        now = self.now()
        if self.loading or 0 <= now - self._tidied_at < TIDY_MS:
            return
        self._tidied_at = now
        names = list(self.shelves)
        self._tidied = (self._tidied + 1) % len(names)
        name = names[self._tidied]
        shelf = self.shelves[name]
        shelf.drop(self.kept_from)
        is_whole = shelf.gone_until is None or shelf.gone_until < self.kept_from
        if shelf.is_empty and is_whole and name != OF_ALL:
            del self.shelves[name]

    def loaded(self, began: int | None) -> None:
        """All that was stored is there; `began`: when that begins, where it does not go back as far as is kept."""
        self.began = began
        self.loading = False

    def complete_from(self, from_ms: int, to_ms: int, machines: Iterable[str]) -> int | None:
        """From when on all is there of a time of some machines, UTC in milliseconds; None where all of it is.

        `to_ms` where nothing is certain: while it is still being read, or where events of that time are lost.
        """
        if self.loading:
            return to_ms
        shelves = (self.shelves.get(name) for name in (OF_ALL, *machines))
        known = [self.kept_from, self.began, *(shelf.gone_until for shelf in shelves if shelf is not None)]
        known += [gap.ended for gap in self.shelves[OF_ALL].rows(GAPS, from_ms, to_ms)]
        since = max(one for one in known if one is not None)
        return None if since <= from_ms else min(since, to_ms)
