"""Keeps a buffer within its bounds: makes room before a commit, and keeps account of all that goes for want of it."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import aiosqlite
import structlog

from gateway.outbox import bounds, cursors, drops, gaps
from gateway.outbox.bounds import Bounds, Space
from gateway.outbox.classes import CLASSES, FIRST, GAP, TABLES, table_of
from gateway.outbox.cursors import Cursor
from gateway.outbox.database import call, fetch
from gateway.outbox.drops import Doomed
from gateway.outbox.gaps import Episode, Key
from gateway.outbox.stats import OutboxStats
from gateway.outbox.transaction import Batch, Quarantined

STEPS = 50
"""Most steps of one commit; a file that has become too large by its configuration is made smaller between commits."""
LONGEST_S = 3600.0
"""An account of what quarantines could not hold is told this long after its begin, since nothing else ends it."""

VACUUM_PAGES = 256
"""Most pages that one step gives back to the file system (1 MB)."""
_PLACES = (bounds.FULL, bounds.SHORT)

log = structlog.get_logger("outbox")


class Room:
    """Drops what has to go in the written order: what everybody has, then trends, production, KPIs, states.

    An account of drops is on the disk from the drop on. It becomes one `gateway.gap` when its episode is over, that is
    when there is room again or something that everybody has, and when the gaps before it are delivered: while nobody
    takes events, accounts grow and not their number.
    """

    def __init__(self, connection: aiosqlite.Connection, path: Path, limits: Bounds, stats: OutboxStats) -> None:
        self.bounds = limits
        self.cursors: Mapping[str, Cursor] = {}
        """Of the uplinks that the configuration lists."""
        self._connection = connection
        self._path = path
        self._stats = stats
        self._accounts: dict[Key, Episode] = {}
        """Of what was dropped from the disk; stored."""
        self._unstored: dict[Key, Episode] = {}
        """Of what was dropped from memory. It ends with the next commit, which tells it."""
        self._refused: dict[str, int] = {}
        """Bytes in each uplink's quarantine."""
        self._refused_number: dict[str, int] = {}
        """How many they are."""
        self._inexact: set[str] = set()
        """Where something left it, by being delivered."""
        self._since = time.monotonic()
        self._most_wanted = 0
        """Pages that the largest commit of a running episode asked for."""
        self._limit = 0
        """What this connection was told to hold to; 0: nothing yet."""

    async def restore(self) -> None:
        """Take over what the file holds."""
        await self._recall()
        self._stats.full = next((why for _, why in self._accounts), "")
        await self.count_refused()

    def rebound(self, limits: Bounds) -> None:
        """Keep to these from now on."""
        self.bounds, self._limit = limits, 0

    def reconnect(self, connection: aiosqlite.Connection) -> None:
        """Go on with another connection to the same buffer."""
        self._connection, self._limit = connection, 0

    def follow(self, listed: Mapping[str, Cursor], now_called: Mapping[str, str]) -> None:
        """The uplinks that the configuration lists now; by their names before, what others are called now."""
        self.cursors = listed
        self._refused = {now_called.get(name, name): size for name, size in self._refused.items()}
        self._refused_number = {now_called.get(name, name): size for name, size in self._refused_number.items()}

    async def count_refused(self) -> None:
        """Find out what quarantines hold; from then on it is counted along."""
        sql = f"SELECT uplink, count(*), sum(length(data) + {bounds.PER_EVENT}) FROM quarantine GROUP BY uplink"
        rows = await fetch(self._connection, sql)
        self._refused = {uplink: size for uplink, _, size in rows}
        self._refused_number = {uplink: number for uplink, number, _ in rows}
        self._inexact.clear()
        self._stats.quarantined = sum(number for _, number, _ in rows)

    def trim(self, pending: Batch, doubtful_bytes: int) -> None:
        """Drop from memory what is too much of it."""
        excess = pending.size + doubtful_bytes - self.bounds.memory
        if excess > 0:
            before = len(pending.events)
            kept = drops.trim(pending.events, excess + self.bounds.memory // 8, self._unstored)
            pending.replace(kept)
            self._lost(before - len(kept), bounds.UNSTORED)

    def is_calm(self, batch: Batch) -> bool:
        """Whether a commit has only to fit in: nothing is to be told, and nothing is set aside."""
        return not (self._accounts or self._unstored or batch.quarantined)

    def fits(self, db: sqlite3.Connection, batch: Batch) -> bool:
        """Whether a commit needs no room to be made; called in the connection's thread."""
        space = self._stands(db)
        want = self._most_wanted = self._want(batch, space)
        return batch.is_empty or not (space.lacks(want) > 0 or space.is_beyond(want))

    async def make(self, batch: Batch) -> None:
        """Let go what has to for a commit to fit in."""
        for uplink in {item.uplink for item in batch.quarantined}:
            await self._make_for_refused(uplink, batch)
        space = await self._look()
        want = self._want(batch, space)
        if space.is_beyond(want):
            self.trim(batch, 0)
            want = self._want(batch, space)
        self._most_wanted = max(want, self._most_wanted) if self._accounts else want
        for _ in range(STEPS):
            lacks = space.lacks(want)
            if lacks <= 0 or not await self._drop((lacks + space.slack) * space.page_bytes, space.why):
                break
            space = await self._look()

    async def give_back(self) -> bool:
        """One step for a file that is larger than it has to be; whether there may be more to do.

        What `max_size` does not allow any more goes first; then free pages go back to the disk.
        """
        space = await self._look()
        too_many = space.used + bounds.HEAD - space.most
        if too_many > 0 and await self._drop(too_many * space.page_bytes, bounds.FULL):
            space = await self._look()
        step = min(VACUUM_PAGES, max(1, self.bounds.log // 4 // space.page_bytes))
        number = min(step, space.free - space.to_keep)
        if number > 0:
            # a script, because `execute` steps once, and each step of this statement gives back one page only
            await self._connection.executescript(f"PRAGMA incremental_vacuum({number})")
        return too_many > 0 or number == step

    async def tell(self, batch: Batch) -> None:
        """Give the batch the gaps that are to be told with it."""
        due = list(self._unstored.values())
        self._unstored = {}
        if self._accounts and await self._gaps_are_delivered():
            has_room = await self._has_room(await self._look())
            waited = time.monotonic() - self._since >= LONGEST_S
            due += [one for one in self._accounts.values() if (has_room if one.why in _PLACES else waited)]
        batch.tell(due)

    def told(self, batch: Batch) -> None:
        """It is committed."""
        self._refused_number = self.refused_after(batch)
        self._inexact |= {uplink for uplink, _ in batch.released}
        for item in batch.quarantined:
            self._refused[item.uplink] = self._refused.get(item.uplink, 0) + _refused_bytes(item)
        for account in batch.told:
            self._accounts.pop(account.key, None)
            log.info("drops_told", **{"class": account.class_, "count": account.count, "why": account.why})
        if batch.told and not self._accounts and not self._unstored:
            self._stats.full = ""

    def refused_after(self, batch: Batch) -> dict[str, int]:
        """How many events each uplink's quarantine has once a batch is committed."""
        numbers = Counter(self._refused_number)
        numbers.update(item.uplink for item in batch.quarantined if not item.again)
        numbers.subtract(uplink for uplink, _ in batch.released)
        return {uplink: number for uplink, number in numbers.items() if number > 0}

    async def untold(self, batch: Batch) -> None:
        """It is not; and what it dropped before may be on the disk or not."""
        for account in batch.untell():
            if account.why == bounds.UNSTORED:
                gaps.add(self._unstored, account)
        await self._recall()

    async def _recall(self) -> None:
        self._accounts = {one.key: one for one in await call(self._connection, gaps.read)}

    def _want(self, batch: Batch, space: Space) -> int:
        return bounds.pages_for(batch.stored_bytes, space.page_bytes)

    async def _look(self) -> Space:
        return await call(self._connection, self._stands)

    def _stands(self, db: sqlite3.Connection) -> Space:
        if not self._limit:
            self.bounds.configure(db)
        space = bounds.look(db, self._path, self.bounds)
        if space.limit != self._limit:  # SQLite itself then holds to it, whatever we reckon
            ((self._limit,),) = db.execute(f"PRAGMA max_page_count = {space.limit}")
        return space

    async def _drop(self, need_bytes: int, why: str) -> bool:
        """One step; False where nothing is left that may go."""
        stored = await cursors.load(self._connection)  # after a crash an uplink goes on from there
        settled = {table: self._settled(table, stored) for table in TABLES}
        if gone := await call(self._connection, partial(drops.drop_settled, settled=settled, need_bytes=need_bytes)):
            self._stats.events_dropped += gone
            return True
        found = await call(self._connection, partial(drops.oldest, need_bytes=need_bytes))
        if found is None:
            return False
        table, doomed = found
        lost = [one for one in doomed if any(_wants(cursor, one) for cursor in self.cursors.values())]
        accounts = [self._account(CLASSES[table], why, lost)] if lost else []
        await call(self._connection, partial(drops.drop, table=table, upto=doomed[-1].seq, accounts=accounts))
        self._accounts.update({one.key: one for one in accounts})
        for cursor in self.cursors.values():  # an acknowledgement may have come meanwhile
            cursor.lost([one.seq for one in doomed if _wants(cursor, one)])
        self._stats.events_dropped += len(doomed) - len(lost)
        self._lost(len(lost), why)
        return True

    async def _make_for_refused(self, uplink: str, batch: Batch) -> None:
        """See that an uplink's quarantine can hold what the commit brings; the oldest goes first."""
        most = self.bounds.quarantine(len(self.cursors))
        new = sum(_refused_bytes(item) for item in batch.quarantined if item.uplink == uplink)
        if uplink in self._inexact and self._refused.get(uplink, 0) + new > most:
            await self.count_refused()
        while (excess := self._refused.get(uplink, 0) + new - most) > 0:
            find = partial(drops.first_refused, uplink=uplink, need_bytes=excess)
            if not (doomed := await call(self._connection, find)):
                break
            why = _full_quarantine(uplink)
            of_class: dict[str, list[Doomed]] = {}
            for one in doomed:
                of_class.setdefault(CLASSES.get(table_of(one.type), GAP), []).append(one)
            accounts = [self._account(class_, why, mine) for class_, mine in of_class.items()]
            seqs = [one.seq for one in doomed]
            await call(self._connection, partial(drops.drop_refused, uplink=uplink, seqs=seqs, accounts=accounts))
            self._accounts.update({one.key: one for one in accounts})
            if (cursor := self.cursors.get(uplink)) is not None:
                cursor.retries = [seq for seq in cursor.retries if seq not in seqs]
            await self.count_refused()
            self._lost(len(doomed), why)

    def _account(self, class_: str, why: str, lost: Sequence[Doomed]) -> Episode:
        """The whole account to which these drops belong."""
        news = drops.account(class_, why, lost)
        before = self._accounts.get(news.key)
        return news if before is None else before.with_(news)

    def _settled(self, table: str, of: Mapping[str, Cursor]) -> int:
        """Up to which number all that want anything of a table have it."""
        wanting = [name for name, cursor in self.cursors.items() if table in cursor.filter.tables]
        return min((of[name].position if name in of else FIRST for name in wanting), default=-FIRST - 1)

    async def _has_room(self, space: Space) -> bool:
        """Whether the next that goes is nobody's loss."""
        if space.is_relieved(self._most_wanted):
            return True
        settled = {name: self._settled(name, self.cursors) for name in TABLES}
        arms = " UNION ALL ".join(f"SELECT min(seq) - {upto} AS n FROM {name}" for name, upto in settled.items())
        ((least,),) = await fetch(self._connection, f"SELECT min(n) FROM ({arms})")
        return least is not None and least <= 0

    async def _gaps_are_delivered(self) -> bool:
        ((newest,),) = await fetch(self._connection, f"SELECT max(seq) FROM {GAP}")
        return newest is None or newest <= self._settled(GAP, self.cursors)

    def _lost(self, number: int, why: str) -> None:
        if not number:
            return
        self._stats.events_lost += number
        if self._stats.full != why:
            self._stats.full = why
            log.warning("events_dropped", why=why, remedy=bounds.remedy(why))


def _wants(cursor: Cursor, one: Doomed) -> bool:
    return one.seq > cursor.position and cursor.filter.passes(one.type, one.subject)


def _refused_bytes(item: Quarantined) -> int:
    return 0 if item.again else len(item.event.data) + bounds.PER_EVENT


def _full_quarantine(uplink: str) -> str:
    return f"the quarantine of the uplink {uplink} holds as much as it may"
