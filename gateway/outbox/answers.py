"""What the store task answers to others between two commits: events, quarantine, the checkpoint."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.events import StoredEvent
from gateway.outbox import quarantine, transaction
from gateway.outbox.classes import merged
from gateway.outbox.cursors import Cursor
from gateway.outbox.database import call, fetch
from gateway.outbox.store import Store

SEARCHED = 20_000
"""Numbers that one search looks at: the store task has more to do."""
READ_BYTES = 1_000_000
"""Data of one reading, but for its last event: what uplinks hold in memory is bounded."""
_COLUMNS = "seq, type, subject, time, data"
_SEARCH = (
    merged(
        _COLUMNS,
        "seq > :after AND seq <= :last AND (:type IS NULL OR type = :type) "
        "AND (:subject IS NULL OR subject = :subject)",
    )
    + " LIMIT :limit"
)


class Answers:
    """Answers from one store; one at a time, like all that it does."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def next_events(self, uplink: str, limit: int) -> list[StoredEvent] | None:
        """What the uplink is to deliver next, with its own prevseq: retried events alone, else those behind its cursor.

        It looks at SEARCHED numbers at most and passes over those that it does not want; None where it found nothing.
        """
        cursor = self._store.cursors[uplink]
        if cursor.retries:
            wanted = cursor.retries[:limit]
            marks = ", ".join("?" * len(wanted))
            sql = f"SELECT {_COLUMNS} FROM quarantine WHERE uplink = ? AND seq IN ({marks}) ORDER BY seq"
            stored_as = dict(self._store.pending.renamed).get(uplink, uplink)
            return await self._chained(sql, (stored_as, *wanted), cursor)
        last = min(self._store.last_seq, cursor.position + SEARCHED)
        sql = merged(_COLUMNS, f"seq > :position AND seq <= :last AND {cursor.filter.condition}", cursor.filter.tables)
        parameters = {"position": cursor.position, "last": last, "limit": limit, **cursor.filter.parameters}
        events = await self._chained(f"{sql} LIMIT :limit", parameters, cursor)
        if not events:
            cursor.position = last
            self._store.pending.cursors.add(uplink)
            return None
        cursor.gave([event.seq for event in events])
        return events

    async def _chained(
        self, sql: str, parameters: Sequence[Any] | Mapping[str, Any], cursor: Cursor
    ) -> list[StoredEvent]:
        """Events as an uplink is to deliver them, made in the connection's thread."""
        before = cursor.delivered

        def read(db: sqlite3.Connection) -> list[StoredEvent]:
            return transaction.chain(db.execute(sql, parameters), before, READ_BYTES)

        return await call(self._store.connection, read)

    async def events_after(
        self, after: int, limit: int, kind: str | None = None, subject: str | None = None
    ) -> list[StoredEvent]:
        """Committed events whatever the cursors say, of one type or subject where given; prevseq is seq - 1.

        Among those of one type or subject it looks at the next SEARCHED numbers alone.
        """
        last = self._store.last_seq if kind is None and subject is None else min(self._store.last_seq, after + SEARCHED)
        parameters = {"after": after, "last": last, "type": kind, "subject": subject, "limit": limit}
        rows = await fetch(self._store.connection, _SEARCH, parameters)
        return [StoredEvent(seq, seq - 1, type_, subject, at, data) for seq, type_, subject, at, data in rows]

    async def quarantined(self, uplink: str | None, after: int, limit: int) -> list[quarantine.Entry]:
        """What is set aside."""
        return await call(self._store.connection, lambda db: quarantine.entries(db, uplink, after, limit))

    async def retry(self, uplink: str, seqs: Sequence[int] | None) -> int:
        """Let events leave quarantine by being delivered; how many wait for that."""
        found = await call(self._store.connection, lambda db: quarantine.mark(db, uplink, seqs))
        released = {seq for name, seq in self._store.pending.released if name == uplink}
        self._store.cursors[uplink].retries = [seq for seq in found if seq not in released]
        self._store.count_backlogs()
        return len(found)

    async def discard(self, uplink: str, seqs: Sequence[int] | None) -> int:
        """Throw quarantined events away; how many there were."""
        gone = await call(self._store.connection, lambda db: quarantine.delete(db, uplink, seqs))
        if (cursor := self._store.cursors.get(uplink)) is not None:
            cursor.retries = [] if seqs is None else [seq for seq in cursor.retries if seq not in seqs]
        await self._store.room.count_refused()
        return gone

    async def checkpoint_rows(self) -> dict[str, bytes]:
        """The checkpoint as committed."""
        return dict(await fetch(self._store.connection, "SELECT name, body FROM checkpoint"))
