"""How far each uplink is: cursors by name, and what becomes of them when the configuration names others."""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import aiosqlite
import structlog

from gateway.config.uplinks import UplinkSettings
from gateway.outbox.classes import FIRST, merged
from gateway.outbox.database import atomic, call, fetch
from gateway.outbox.filters import Filter

log = structlog.get_logger("outbox")


@dataclass(slots=True)
class Cursor:
    """`position` is the last event settled or passed over, `delivered` the last delivered: the next one's prevseq.

    Where nothing was delivered yet that is 0, or FIRST in front of events of a former stream.
    """

    position: int
    delivered: int
    detached_at: int | None = None
    """Since when the configuration does not name the uplink, UTC in milliseconds."""
    filter: Filter = field(default_factory=Filter)
    waiting: int = 0
    """Stored events behind `position` that the uplink wants."""
    hand: list[int] = field(default_factory=list)
    """Of these, the numbers that it has been given to deliver, in order."""
    late: list[int] = field(default_factory=list)
    """Those of the hand that had to be dropped meanwhile; the uplink may deliver them all the same."""
    retries: list[int] = field(default_factory=list)
    """Quarantined events that are to be delivered once more, in order; they come before all others."""

    def row(self, uplink: str) -> tuple[str, int, int, int | None]:
        """As it is stored."""
        return uplink, self.position, self.delivered, self.detached_at

    def settle(self, seq: int, last_seq: int) -> None:
        """All up to `seq` is settled. Where nothing else is wanted the position goes to the end."""
        settled = bisect_right(self.hand, seq)
        del self.hand[:settled]
        self.late = [one for one in self.late if one > seq]
        self.waiting -= settled
        self.position = seq
        self.skip(last_seq)

    def skip(self, last_seq: int) -> None:
        """Pass over what is stored where the uplink wants none of it."""
        if not self.waiting:
            self.position = max(self.position, last_seq)

    def gave(self, seqs: list[int]) -> None:
        """These are being delivered; a shorter reading of the same does not take the rest back."""
        if len(seqs) > len(self.hand):
            self.hand = seqs

    def lost(self, seqs: list[int]) -> None:
        """These are not stored any more, and were wanted."""
        gone = set(seqs)
        self.waiting -= len(gone)
        self.late += [seq for seq in self.hand if seq in gone]
        self.hand = [seq for seq in self.hand if seq not in gone]


async def load(connection: aiosqlite.Connection) -> dict[str, Cursor]:
    """All cursors, listed in the configuration or not."""
    return await call(connection, _read)


class Adopted(NamedTuple):
    """What a configuration makes of the cursors."""

    cursors: dict[str, Cursor]
    back: list[str]
    """Who was away and is listed again."""
    renamed: list[tuple[str, str]]
    """The name now and the one before."""
    changed: set[str]


def adopt(
    db: sqlite3.Connection, uplinks: Mapping[str, UplinkSettings], last_seq: int, oldest: int, now_ms: int
) -> Adopted:
    """The cursors of a configuration: new, renamed, detached or back. A commit is to write what has changed."""
    cursors, stored = _read(db), _read(db)
    renamed = []
    for name, settings in uplinks.items():
        before = settings.was
        if before is not None and name not in cursors and before in cursors and before not in uplinks:
            cursors[name] = cursors.pop(before)
            renamed.append((name, before))
        elif name not in cursors:
            cursors[name] = Cursor(last_seq if settings.from_ == "now" else oldest - 1, 0 if oldest > 0 else FIRST)
    back = [name for name in uplinks if cursors[name].detached_at is not None]
    for name, cursor in cursors.items():
        listed = uplinks.get(name)
        if listed is not None:
            cursor.detached_at = None
            cursor.filter = Filter(listed.events, listed.subjects)
        elif cursor.detached_at is None or cursor.detached_at > now_ms:
            cursor.detached_at = now_ms
    changed = {
        name for name, cursor in cursors.items() if name not in stored or stored[name].detached_at != cursor.detached_at
    }
    for name, before in renamed:
        log.info("uplink_renamed", uplink=name, was=before)
    return Adopted(cursors, back, renamed, changed)


def forget(db: sqlite3.Connection, uplink: str) -> None:
    """Delete a cursor, and what was quarantined for its uplink."""
    with atomic(db):
        db.execute("DELETE FROM quarantine WHERE uplink = ?", (uplink,))
        db.execute("DELETE FROM cursor WHERE uplink = ?", (uplink,))


def _read(db: sqlite3.Connection) -> dict[str, Cursor]:
    rows = db.execute("SELECT uplink, position, delivered, detached_at FROM cursor")
    return {uplink: Cursor(*rest) for uplink, *rest in rows}


async def count(connection: aiosqlite.Connection, cursor: Cursor, last_seq: int) -> None:
    """Find out what waits for one uplink, once; from then on it is counted along."""
    arms = " UNION ALL ".join(
        f"SELECT count(*) AS n FROM {table} WHERE seq > :position AND {cursor.filter.condition}"
        for table in cursor.filter.tables
    )
    parameters = {"position": cursor.position, **cursor.filter.parameters}
    ((waiting,),) = await fetch(connection, f"SELECT sum(n) FROM ({arms})", parameters)
    cursor.waiting = int(waiting)
    cursor.skip(last_seq)


async def missing(connection: aiosqlite.Connection, position: int, last_seq: int) -> tuple[int, int, int] | None:
    """First, last and number of the events behind `position` that are not stored any more; None where all are."""
    seqs = merged("seq", "seq > :position")
    neighbours = f"SELECT seq, lag(seq, 1, :position) OVER (ORDER BY seq) AS before FROM ({seqs})"
    holes = f"SELECT min(before) + 1, max(seq) - 1, sum(seq - before - 1) FROM ({neighbours}) WHERE seq > before + 1"
    parameters = {"position": position}
    ((first, last, number),) = await fetch(connection, holes, parameters)
    ((newest,),) = await fetch(connection, f"SELECT max(seq) FROM ({seqs})", parameters)
    newest = position if newest is None else newest
    if newest < last_seq:
        first, last, number = first or newest + 1, last_seq, (number or 0) + last_seq - newest
    return None if first is None else (int(first), int(last), int(number))
