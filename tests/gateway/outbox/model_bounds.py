"""A small buffer's model: what is stored is looked at after each step, and what went is held against the written order.

Which event goes when is the outbox's business, as pages fill; that it was that one's turn, that each is told exactly
once, and that the files are never larger than they may be, is held here.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import orjson
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.config.model import BufferConfig
from gateway.config.uplinks import UplinkSettings
from gateway.events import Event, StoredEvent
from gateway.outbox import bounds
from gateway.outbox.classes import CLASSES, GAP, TABLES, table_of
from gateway.outbox.filters import Filter
from gateway.outbox.outbox import Outbox
from gateway.uplinks.file.config import FileUplink
from tests.torture.simulated_time import SimulatedTime

T = TypeVar("T")

BEGIN = 1_795_417_200_000
MAX_SIZE = 1_000_000
MEMORY = MAX_SIZE // 16
QUARANTINE = MAX_SIZE // 16
ALL = 1_000_000
PATIENCE_S = 10
KINDS = ("signal.trend", "signal.trend", "machine.production", "machine.kpi", "machine.state")
WANTS: tuple[tuple[str, ...], ...] = ((), (), ("machine.*",), ("signal.*", "gateway.*"), ("machine.state",))
names = st.sampled_from(["mes", "copy", "plant"])
listings = st.dictionaries(names, st.sampled_from(WANTS))


@dataclass(slots=True)
class Place:
    """An uplink's cursor in the model."""

    position: int
    delivered: int = 0


@dataclass(frozen=True, slots=True)
class Made:
    """A committed event; `n` is its own number, 0 for a gap."""

    seq: int
    type: str
    n: int
    size: int

    @property
    def rank(self) -> int:
        """When its class goes."""
        return TABLES.index(table_of(self.type))


class BoundsModel(RuleBasedStateMachine):
    """`stored` is what was last seen of the file; a place has a durable twin."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.patch = pytest.MonkeyPatch()
        self.time = SimulatedTime(BEGIN).install(self.patch)
        self.patch.setattr("gateway.outbox.turns.CHECKPOINT_S", 1e9)
        self.disk_left = 10**12
        self.patch.setattr(bounds, "disk_left", lambda _directory: self.disk_left)
        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name) / "buffer.db"
        self.last = 0
        self.pending: list[tuple[int, str]] = []
        self.made: dict[int, Made] = {}
        self.stored: dict[int, Made] = {}
        self.listed: dict[str, tuple[str, ...]] = {"mes": (), "copy": ("machine.*",)}
        self.places = {name: Place(0) for name in self.listed}
        self.durable = {name: Place(0) for name in self.listed}
        self.known: dict[str, Filter] = {name: Filter(events) for name, events in self.listed.items()}
        """What each uplink wanted when it was last listed."""
        self.read: dict[str, list[StoredEvent]] = {}
        self.aside: dict[str, dict[int, int]] = {}
        self.lost: Counter[str] = Counter()
        self.told: Counter[str] = Counter()
        self.broken = False
        self.shortest: int | None = None

    def do(self, what: Coroutine[Any, Any, T]) -> T:
        """Run it in the store's event loop."""
        return self.runner.run(asyncio.wait_for(what, PATIENCE_S))

    @initialize()
    def begin(self) -> None:
        self.do(self._open({}))

    async def _open(self, was: dict[str, str]) -> None:
        config = BufferConfig.model_validate(
            {"path": "x", "commit_interval": "10s", "retain": "1h", "max_size": f"{MAX_SIZE}B"}
        )
        given = {"type": "file", "path": "x", "from": "oldest"}
        uplinks: dict[str, UplinkSettings] = {
            name: FileUplink.model_validate(
                {**given, **({"events": events} if events else {}), **({"was": was[name]} if name in was else {})}
            )
            for name, events in self.listed.items()
        }
        self.outbox = await Outbox.open(self.path, config, uplinks)
        self.filters = {name: Filter(events) for name, events in self.listed.items()}
        self.task = asyncio.get_running_loop().create_task(self.outbox.run())

    @property
    def may_fail(self) -> bool:
        """Whether the disk is broken, or may be too full for a commit that is larger than the file."""
        return self.broken or not self.disk_left

    def wants(self, uplink: str, event: Made) -> bool:
        """Whether an uplink still waits for an event."""
        return event.seq > self.places[uplink].position and _passes(self.filters[uplink], event)

    def waiting(self, uplink: str) -> list[int]:
        """What is behind an uplink's cursor for it."""
        return [seq for seq, event in self.stored.items() if self.wants(uplink, event)]

    @rule(
        kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=12), size=st.sampled_from([0, 2000, 21_000, 21_000])
    )
    def append(self, kinds: list[str], size: int) -> None:
        begin, self.last = self.last + 1, self.last + len(kinds)
        self.pending += list(enumerate(kinds, begin))
        events = [Event(kind, "filler", BEGIN, {"n": n, "x": "x" * size}) for n, kind in enumerate(kinds, begin)]

        async def act() -> None:
            self.outbox.append(events)

        self.do(act())
        if self.outbox.stats.degraded:
            assert self.outbox._store.pending.size <= MEMORY + max(0, self._gaps_bytes())

    def _gaps_bytes(self) -> int:
        return sum(row.size for row in self.outbox._store.pending.events if table_of(row.type) == GAP)

    @rule()
    def commit(self) -> None:
        """It works, or the disk refuses and all of it is tried again later."""

        async def act() -> bool:
            failures = self.outbox.stats.commit_failures
            flushing = asyncio.ensure_future(self.outbox.flush())
            while not flushing.done() and self.outbox.stats.commit_failures == failures:
                await asyncio.wait({flushing}, timeout=0.001)
            stored = flushing.done()
            flushing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await flushing
            return stored

        stored = self.do(act())
        assert stored or self.may_fail, self.outbox.stats.degraded
        self.see(stored)

    def see(self, stored: bool) -> None:
        """Look at the file, and judge what went since the last look."""
        events = {event.seq: event for event in self.do(self.outbox.recent(0, ALL))}
        before, new = self.stored, [event for seq, event in events.items() if seq not in self.made]
        committed = [self._make(event) for event in new]
        self._judge(before, {seq for seq in before if seq not in events})
        if stored:
            numbers = {one.n for one in committed if one.n}
            self._judge_trimmed([one for one in self.pending if one[0] not in numbers])
            self.pending = []
            self.durable |= {name: Place(one.position, one.delivered) for name, one in self.places.items()}
        else:
            assert not new
        self.stored = {seq: self.made[seq] for seq in events}
        self._judge_accounts()

    def _make(self, event: StoredEvent) -> Made:
        data = orjson.loads(event.data)
        made = self.made[event.seq] = Made(event.seq, event.type, data.get("n", 0), len(event.data))
        if event.type == "gateway.gap" and data["class"] is not None:
            self.told[data["class"]] += data["count"]
        return made

    def _judge(self, before: dict[int, Made], gone: set[int]) -> None:
        """It was their turn: what nobody waits for, then class after class, the oldest first."""
        lost = [before[seq] for seq in gone if any(self.wants(name, before[seq]) for name in self.listed)]
        assert all(one.type != "gateway.gap" for one in lost)
        self.lost.update(CLASSES[TABLES[one.rank]] for one in lost)
        if not lost:
            return
        last = max(lost, key=lambda one: (one.rank, one.seq))
        for one in (before[seq] for seq in before if seq not in gone and before[seq].type != "gateway.gap"):
            assert (one.rank, one.seq) > (last.rank, last.seq), f"{one} stays, {last} went"
        kept = [one for seq, one in before.items() if seq not in gone]
        assert not [one for one in kept if one.seq <= self._settled(one)], "what everybody has goes first"

    def _settled(self, event: Made) -> int:
        """Up to where all have what they want of the event's table, as the disk knows it."""
        wanting = [name for name in self.listed if TABLES[event.rank] in self.filters[name].tables]
        return min((self.durable[name].position for name in wanting), default=ALL)

    def _judge_trimmed(self, gone: list[tuple[int, str]]) -> None:
        """What memory could not hold: the same order, as far as they were there at the same time."""
        numbers = {n for n, _ in gone}
        for n, kind in gone:
            self.lost[CLASSES[table_of(kind)]] += 1
            for other, of in self.pending:
                if other < n and TABLES.index(table_of(of)) <= TABLES.index(table_of(kind)):
                    assert other in numbers, f"{other} {of} stayed in memory, {n} {kind} went"

    def _judge_accounts(self) -> None:
        """Each that was lost is told once, or is in an account that will be."""
        rows = self.do(
            self.outbox._store.connection.execute_fetchall("SELECT class, sum(count) FROM episode GROUP BY class")
        )
        assert self.told + Counter(dict(map(tuple, rows))) == self.lost

    @rule(uplink=names, limit=st.integers(1, 60))
    def read_events(self, uplink: str, limit: int) -> None:
        if uplink not in self.listed or not (expected := self.waiting(uplink)[:limit]):
            return
        events = self.do(self.outbox.read(uplink, limit))
        got = [event.seq for event in events]
        assert got == expected[: len(got)]
        assert [event.prevseq for event in events] == [self.places[uplink].delivered, *got[:-1]]
        self.read[uplink] = events

    @rule(uplink=names, which=st.integers(0, 60))
    def acknowledge(self, uplink: str, which: int) -> None:
        """At once or much later, perhaps when it has been dropped; all or a part; or never, by an uplink that fails."""
        given = self.read.get(uplink, [])
        if not given:
            return
        event = given[min(which, len(given) - 1)]
        place = self.places[uplink]
        if event.seq <= place.position:
            return

        async def act() -> None:
            self.outbox.acknowledge(uplink, event)

        self.do(act())
        self.places[uplink] = Place(event.seq, event.seq)

    @precondition(lambda self: not self.may_fail)
    @rule(uplink=names, many=st.sampled_from([1, 4]))
    def refuse(self, uplink: str, many: int) -> None:
        """The oldest of a quarantine that is full goes."""
        for _ in range(many):
            self.commit()
            self.read_events(uplink, 1)
            head = [event for event in self.read.get(uplink, []) if self.waiting(uplink)[:1] == [event.seq]]
            if not head:
                return
            self.do(self.outbox.quarantine(uplink, head[0], "refused"))
            self.places[uplink].position = head[0].seq
            self.aside.setdefault(uplink, {})[head[0].seq] = len(head[0].data) + bounds.PER_EVENT
            self._see_quarantine(uplink)

    def _see_quarantine(self, uplink: str) -> None:
        entries = self.do(self.outbox.quarantined(uplink, 0, ALL))
        mine, left = self.aside.get(uplink, {}), {entry.seq for entry in entries}
        gone = set(mine) - left
        assert not gone or max(gone) < min(left), "the oldest goes first"
        self.lost.update(CLASSES.get(table_of(self.made[seq].type), GAP) for seq in gone)
        self.aside[uplink] = {seq: mine[seq] for seq in left}
        assert sum(mine[seq] for seq in left) <= QUARANTINE
        self.see(stored=True)

    @precondition(lambda self: not self.may_fail)
    @rule(uplink=names)
    def retry(self, uplink: str) -> None:
        """What was refused is delivered after all, in its place in the chain."""
        self.commit()
        mine = sorted(self.aside.get(uplink, {}))
        if uplink not in self.listed or not mine:
            return
        assert self.do(self.outbox.retry(uplink)) == len(mine)
        events = self.do(self.outbox.read(uplink, ALL))
        assert [event.seq for event in events] == mine
        assert [event.prevseq for event in events] == [self.places[uplink].delivered, *mine[:-1]]

        async def act() -> None:
            self.outbox.acknowledge(uplink, events[-1])

        self.do(act())
        self.places[uplink].delivered = mine[-1]
        self.aside[uplink] = {}
        self.commit()
        assert not self.do(self.outbox.quarantined(uplink))

    @rule(how=st.sampled_from(["query_only = 1", "max_page_count = 1"]))
    def break_the_disk(self, how: str) -> None:
        self.broken = True
        self.do(self._pragma(how))

    @rule()
    def mend_the_disk(self) -> None:
        self.broken = False
        self.do(self._pragma("query_only = 0"))
        self.do(self._pragma(f"max_page_count = {self.outbox._store.room._limit}"))
        self.commit()

    async def _pragma(self, text: str) -> None:
        await self.outbox._store.connection.execute_fetchall(f"PRAGMA {text}")

    @rule()
    def another_program_fills_the_disk(self) -> None:
        """From now on the file does not grow."""
        self.disk_left = 0
        ((pages,),) = self.do(self.outbox._store.connection.execute_fetchall("PRAGMA page_count"))
        self.shortest = max(4096 * pages, self.path.stat().st_size, (MAX_SIZE - MAX_SIZE // 8) // 16 + 4096)

    @rule()
    def there_is_space_again(self) -> None:
        self.disk_left = 10**12
        self.shortest = None

    @rule(after=st.sampled_from([70.0, 4000.0]))
    def time_passes(self, after: float) -> None:
        """What all have had for long goes, and the file is made smaller."""
        self.time.pass_(after)
        self.commit()
        self.see(stored=False)

    @rule()
    def crash(self) -> None:
        self.there_is_space_again()

        async def act() -> None:
            self.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.task
            await self.outbox._store.connection.close()
            self.outbox._task._lock.release()
            await self._open({})

        self.pending = []
        self.do(act())
        self._begin_again()

    @rule(listed=st.none() | listings, renames=st.booleans())
    def restart(self, listed: dict[str, tuple[str, ...]] | None, renames: bool) -> None:
        """In order, perhaps with other uplinks, other filters, other names."""
        self.there_is_space_again()
        self.mend_the_disk()

        async def act() -> None:
            assert await self.outbox.close()
            await self.task
            await self._open(was)

        self.listed = self.listed if listed is None else listed
        new = [name for name in self.listed if name not in self.durable]
        left = [name for name in self.durable if name not in self.listed]
        was = dict(zip(new, left, strict=False)) if renames else {}
        for name, old in was.items():
            self.durable[name], self.aside[name] = self.durable.pop(old), self.aside.pop(old, {})
            self.known[name] = self.known.pop(old)
        self.do(act())
        self._begin_again()

    def _begin_again(self) -> None:
        self.broken = False
        self.read = {}
        cursors = self.outbox._store.cursors
        self.places = {}
        for name in self.listed:
            position = cursors[name].position
            before = self.durable.get(name) or Place(min(self.stored, default=max(self.made, default=0) + 1) - 1)
            low, high = sorted((before.position, position))
            passed = [one for seq, one in self.stored.items() if low < seq <= high]
            both = (self.known.get(name, self.filters[name]), self.filters[name])
            assert not [one for one in passed if all(_passes(wanted, one) for wanted in both)]
            assert cursors[name].delivered == before.delivered
            self.places[name] = Place(position, cursors[name].delivered)
        self.known |= self.filters
        self.see(stored=True)
        self.durable |= {name: Place(one.position, one.delivered) for name, one in self.places.items()}
        for name in [name for name in self.durable if name not in cursors]:
            del self.durable[name], self.known[name]
            self.aside.pop(name, None)

    @invariant()
    def bounds_hold(self) -> None:
        if not hasattr(self, "outbox"):
            return
        files = {path.name: path.stat().st_size for path in self.path.parent.glob("buffer.db*")}
        assert sum(files.values()) <= MAX_SIZE, files
        if self.shortest is not None:
            assert files["buffer.db"] <= self.shortest, "another program needs the disk"
        for name in self.listed:
            assert self.outbox.backlog(name) == len(self.waiting(name))

    def _everything_is_delivered_and_told(self) -> None:
        self.there_is_space_again()
        self.mend_the_disk()
        for _ in range(4):
            for name in self.listed:
                while self.waiting(name):
                    self.read_events(name, ALL)
                    self.acknowledge(name, ALL)
            self.time_passes(4000.0)
        assert self.told == self.lost
        assert not self.outbox.stats.full

    def teardown(self) -> None:
        try:
            if hasattr(self, "outbox") and sys.exc_info()[0] is None:
                self._everything_is_delivered_and_told()
                assert self.do(self.outbox.close())
                self.do(asyncio.wait_for(self.task, 10))
        finally:
            self.runner.close()
            self.patch.undo()
            self.directory.cleanup()


def _passes(wanted: Filter, event: Made) -> bool:
    return wanted.passes(event.type, "filler" if event.n else "gateway")
