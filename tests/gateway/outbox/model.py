"""The outbox's model: a list of what was committed, and of what each uplink has settled of it."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Collection, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

import orjson
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.checkpoint import pack, unpack
from gateway.config.model import BufferConfig
from gateway.events import Event, StoredEvent
from gateway.outbox.encode import EventRow
from gateway.outbox.outbox import Outbox
from gateway.receive.follower import Follower
from gateway.uplinks.file.config import FileUplink
from tests.torture.simulated_time import SimulatedTime

T = TypeVar("T")

UPLINKS = ("mes", "copy", "plant")
BEGIN = 1_795_417_200_000
RETAIN_S = 3600
MOST_PAGES = 1_073_741_823
ALL = 1_000_000
names = st.sampled_from(UPLINKS)
seconds = st.sampled_from([0.1, 70.0, 1000.0, 4000.0])


class OutboxModel(RuleBasedStateMachine):
    """`made[seq - 1]` is event `seq`. A cursor is (position, delivered), and has a durable twin."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.patch = pytest.MonkeyPatch()
        self.time = SimulatedTime(BEGIN).install(self.patch)
        self.patch.setattr("gateway.outbox.turns.CHECKPOINT_S", 1e9)  # commits come when the model says so
        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name) / "buffer.db"
        self.made: list[int | None] = []
        """None for the outbox's own, which say what is gone."""
        self.pending: list[int] = []
        self.oldest = 1
        self.listed: tuple[str, ...] = UPLINKS[:2]
        self.cursors = dict.fromkeys(self.listed, (0, 0))
        self.durable = dict(self.cursors)
        self.read: dict[str, list[StoredEvent]] = {}
        self.receivers = {name: Follower() for name in UPLINKS}
        """What has been acknowledged, as its receiver follows it."""
        self.last = 0
        self.followed: list[tuple[int, int | None]] = []
        self.followed_from = 0
        self.broken = False
        self.clock_was_set = False

    def do(self, what: Coroutine[Any, Any, T]) -> T:
        """Run it in the store's event loop."""
        return self.runner.run(what)

    @initialize()
    def begin(self) -> None:
        self.do(self._open())
        assert self.outbox.previous is None

    async def _open(self) -> None:
        config = BufferConfig.model_validate({"path": "x", "commit_interval": "10s", "retain": f"{RETAIN_S}s"})
        section = FileUplink.model_validate({"type": "file", "path": "x", "from": "oldest"})
        self.outbox = await Outbox.open(self.path, config, dict.fromkeys(self.listed, section))
        self.outbox.checkpoint = lambda _subjects: {"filler": pack({"n": self.last})}
        self.followed_from, self.followed = self.outbox.last_seq, []
        self.outbox.follow(self._follow)
        self.task = asyncio.get_running_loop().create_task(self.outbox.run())

    def _follow(self, first: int, events: Sequence[EventRow]) -> None:
        """Told once of each event, in order, and of none that is not stored."""
        self.followed += [(seq, orjson.loads(row.data).get("n")) for seq, row in enumerate(events, first)]

    def _kept(self) -> None:
        self.made += self.pending
        self.pending = []
        self.durable = dict(self.cursors)

    def settled(self) -> int:
        """The last event that all listed uplinks have settled."""
        return min((self.cursors[name][0] for name in self.listed), default=len(self.made))

    def next_of(self, uplink: str, limit: int = ALL) -> list[int]:
        """Seqs of what an uplink is to get next."""
        return list(range(max(self.cursors[uplink][0] + 1, self.oldest), len(self.made) + 1))[:limit]

    @rule(count=st.integers(1, 4), size=st.sampled_from([0, 0, 3000]))
    def append(self, count: int, size: int) -> None:
        numbers = list(range(self.last + 1, self.last + count + 1))
        self.last += count
        self.pending += numbers
        data = [{"n": number, "x": "x" * size} for number in numbers]

        async def act() -> None:
            self.outbox.append([Event("machine.state", "filler", BEGIN, one) for one in data])

        self.do(act())

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
        assert stored or self.broken
        if stored:
            self._kept()

    @rule(uplink=names, limit=st.integers(1, 5))
    def read_events(self, uplink: str, limit: int) -> None:
        if uplink not in self.listed or not (expected := self.next_of(uplink, limit)):
            return
        events = self.do(self.outbox.read(uplink, limit))
        assert [event.seq for event in events] == expected
        assert [orjson.loads(event.data).get("n") for event in events] == [self.made[seq - 1] for seq in expected]
        assert [event.prevseq for event in events] == [self.cursors[uplink][1], *expected[:-1]]
        self.read[uplink] = events

    @rule(uplink=names, which=st.integers(0, 4))
    def acknowledge(self, uplink: str, which: int) -> None:
        """At once or much later; all that it was sent or a part; or never, by an uplink that fails."""
        if which >= len(self.read.get(uplink, [])):
            return
        event = self.read[uplink][which]

        async def act() -> None:
            self.outbox.acknowledge(uplink, event)

        self.do(act())
        for one in self.read[uplink][: which + 1]:
            self.receivers[uplink].take(orjson.loads(self.outbox.envelope("/acme").json(one)))
        assert self.receivers[uplink].is_complete
        if event.seq > self.cursors[uplink][0]:
            self.cursors[uplink] = (event.seq, event.seq)

    @precondition(lambda self: not self.broken)
    @rule(uplink=names)
    def quarantine(self, uplink: str) -> None:
        head = [event for event in self.read.get(uplink, []) if event.seq in self.next_of(uplink, 1)]
        if not head:
            return
        self.do(self.outbox.quarantine(uplink, head[0], "refused"))
        self.cursors[uplink] = (head[0].seq, self.cursors[uplink][1])
        self._kept()

    @rule(how=st.sampled_from(["query_only = 1", "max_page_count = 1"]))
    def break_the_disk(self, how: str) -> None:
        """Read-only, or full: SQLite keeps the size that it has, so that small commits may still fit."""
        self.broken = True
        self.do(self._pragma(how))

    @rule()
    def mend_the_disk(self) -> None:
        self.broken = False
        self.do(self._pragma("query_only = 0"))
        self.do(self._pragma(f"max_page_count = {MOST_PAGES}"))
        self.commit()

    async def _pragma(self, text: str) -> None:
        await self.outbox._store.connection.execute_fetchall(f"PRAGMA {text}")

    @rule(after=seconds)
    def time_passes(self, after: float) -> None:
        """What waits for a commit is committed, and what all have had for long goes."""
        self.time.pass_(after)
        self.commit()
        self._let_go()

    @rule(step=st.sampled_from([-1e9, -5000.0, 5000.0, 1e9]))
    def somebody_sets_the_clock(self, step: float) -> None:
        self.time.set_wall_clock(step)
        self.clock_was_set = True

    def _let_go(self) -> None:
        """See what the outbox has dropped: nothing that a listed uplink has not settled."""
        kept = [event.seq for event in self.do(self.outbox.recent(0, ALL))]
        oldest = kept[0] if kept else len(self.made) + 1
        assert kept == list(range(oldest, len(self.made) + 1))
        assert oldest >= self.oldest
        assert oldest - 1 <= max(self.settled(), self.oldest - 1)
        self.oldest = oldest
        for name in [name for name in self.durable if name not in self.outbox._store.cursors]:
            assert name not in self.listed, "only who was away for long is forgotten"
            del self.durable[name], self.cursors[name]

    def _retention_begins(self) -> None:
        """Its first step, which is at the start, ends the turn of the store that answers this."""
        self.do(self.outbox.recent(0, 1))
        self._let_go()

    @rule()
    def crash(self) -> None:
        async def act() -> None:
            self.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.task
            await self.outbox._store.connection.close()
            self.outbox._task._lock.release()
            await self._open()

        before = self.outbox.stream
        self.do(act())
        assert self.outbox.stream == before
        assert self.outbox.previous is not None
        assert not self.outbox.previous.clean
        self._begin_again()

    @rule(listed=st.none() | st.sets(names))
    def restart(self, listed: set[str] | None) -> None:
        """In order, perhaps with other uplinks: who is not listed keeps its place, who is new begins at the oldest."""

        async def close() -> bool:
            stored = await self.outbox.close()
            await self.task
            return stored

        stored = self.do(close())
        assert stored or self.broken
        if stored:
            self._kept()
        before, self.listed = self.listed, self.listed if listed is None else tuple(sorted(listed))
        self.do(self._open())
        assert self.outbox.previous is not None
        assert self.outbox.previous.clean == stored
        back = [name for name in self.listed if name in self.durable and name not in before]
        self._begin_again([name for name in back if self.durable[name][0] + 1 < self.oldest])

    def _begin_again(self, missed: Collection[str] = ()) -> None:
        """`missed`: who is back, and told what it missed."""
        self.made += [None for _ in missed]
        self.broken = False
        self.pending = []
        self.cursors = dict(self.durable)
        self.read = {}
        for name in self.listed:
            self.cursors.setdefault(name, (self.oldest - 1, 0))
        self.durable = dict(self.cursors)
        self._retention_begins()
        rows = self.do(self.outbox.load_checkpoint())
        assert self.outbox.last_seq == len(self.made)
        if decided := [one for one in self.made if one is not None]:
            assert unpack(rows)["filler"]["n"] >= decided[-1]

    @invariant()
    def numbers_agree(self) -> None:
        if hasattr(self, "outbox"):
            assert self.outbox.last_seq == len(self.made)
            assert self.followed == list(enumerate(self.made, 1))[self.followed_from :]
            assert self.outbox.stats.pending == len(self.pending)
            for name in self.listed:
                assert self.outbox.backlog(name) == len(self.next_of(name))

    def _everything_is_delivered_and_goes(self) -> None:
        self.mend_the_disk()
        for name in self.listed:
            while self.next_of(name):
                self.read_events(name, 5)
                self.acknowledge(name, len(self.read[name]) - 1)
        for _ in range(3):
            self.time_passes(2 * RETAIN_S)
        if not self.clock_was_set:
            assert self.oldest == len(self.made) + 1

    def teardown(self) -> None:
        try:
            if hasattr(self, "outbox"):
                self._everything_is_delivered_and_goes()
                assert self.do(self.outbox.close())
                self.do(asyncio.wait_for(self.task, 10))
        finally:
            self.runner.close()
            self.patch.undo()
            self.directory.cleanup()
