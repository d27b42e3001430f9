"""The outbox against a list: whatever is appended, read, acknowledged and crashed, in whatever order."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from pathlib import Path
from unittest.mock import patch

import orjson
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.config.model import BufferConfig
from gateway.events import Event, StoredEvent
from gateway.outbox.outbox import Outbox
from gateway.uplinks.file.config import FileUplink

UPLINKS = ("mes", "copy")
names = st.sampled_from(UPLINKS)


class OutboxMachine(RuleBasedStateMachine):
    """`committed` is the list; each cursor is (position, delivered), and has a durable twin."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.patch = patch("gateway.outbox.outbox.CHECKPOINT_S", 3600.0)  # commits come when the model says so
        self.patch.start()
        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name) / "buffer.db"
        self.committed: list[int] = []
        self.pending: list[int] = []
        self.cursors = dict.fromkeys(UPLINKS, (0, 0))
        self.durable = dict(self.cursors)
        self.quarantined: set[tuple[str, int]] = set()
        self.read: dict[str, list[StoredEvent]] = {name: [] for name in UPLINKS}
        self.made = 0
        self.broken = False

    @initialize()
    def begin(self) -> None:
        self.runner.run(self._open())
        assert self.outbox.previous is None

    async def _open(self) -> None:
        config = BufferConfig.model_validate({"path": "x", "commit_interval": "9s"})
        section = FileUplink.model_validate({"type": "file", "path": "x"})
        self.outbox = await Outbox.open(self.path, config, dict.fromkeys(UPLINKS, section))
        made = lambda _subjects: {"filler": str(self.made).encode()}  # noqa: E731
        self.outbox.checkpoint = made
        self.task = asyncio.get_running_loop().create_task(self.outbox.run())

    def _kept(self) -> None:
        self.committed += self.pending
        self.pending = []
        self.durable = dict(self.cursors)

    @rule(count=st.integers(1, 4))
    def append(self, count: int) -> None:
        numbers = list(range(self.made + 1, self.made + count + 1))
        self.made += count
        self.pending += numbers

        async def act() -> None:
            self.outbox.append([Event("machine.state", "filler", number, {"n": number}) for number in numbers])

        self.runner.run(act())

    @precondition(lambda self: not self.broken)
    @rule()
    def commit(self) -> None:
        self.runner.run(self.outbox.flush())
        self._kept()

    @rule(uplink=names, limit=st.integers(1, 5))
    def read_events(self, uplink: str, limit: int) -> None:
        position, delivered = self.cursors[uplink]
        if position >= len(self.committed):
            return
        expected = self.committed[position : position + limit]
        events = self.runner.run(self.outbox.read(uplink, limit))
        assert [orjson.loads(event.data)["n"] for event in events] == expected
        assert [event.seq for event in events] == list(range(position + 1, position + 1 + len(expected)))
        assert [event.prevseq for event in events] == [delivered, *range(position + 1, position + len(expected))]
        self.read[uplink] = events

    @rule(uplink=names, which=st.integers(0, 4))
    def acknowledge(self, uplink: str, which: int) -> None:
        if which >= len(self.read[uplink]):
            return
        event = self.read[uplink][which]

        async def act() -> None:
            self.outbox.acknowledge(uplink, event)

        self.runner.run(act())
        if event.seq > self.cursors[uplink][0]:
            self.cursors[uplink] = (event.seq, event.seq)

    @precondition(lambda self: not self.broken)
    @rule(uplink=names)
    def quarantine(self, uplink: str) -> None:
        position, delivered = self.cursors[uplink]
        head = [event for event in self.read[uplink] if event.seq == position + 1]
        if not head:
            return
        self.runner.run(self.outbox.quarantine(uplink, head[0], "refused"))
        self.quarantined.add((uplink, head[0].seq))
        self.cursors[uplink] = (head[0].seq, delivered)
        self._kept()

    @rule(broken=st.booleans())
    def break_or_mend_the_disk(self, broken: bool) -> None:
        self.broken = broken

        async def act() -> None:
            await self.outbox._connection.execute_fetchall(f"PRAGMA query_only = {int(broken)}")
            if broken:
                flushing = asyncio.ensure_future(self.outbox.flush())
                failures = self.outbox.stats.commit_failures
                for _ in range(20):  # let it fail, if there is anything to commit
                    await asyncio.sleep(0)
                    if self.outbox.stats.commit_failures > failures:
                        break
                flushing.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await flushing
            else:
                await self.outbox.flush()

        self.runner.run(act())
        if not broken:
            self._kept()

    @rule()
    def crash(self) -> None:
        async def act() -> None:
            self.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.task
            await self.outbox._connection.close()
            self.outbox._lock.release()
            await self._open()

        before = self.outbox.stream
        self.runner.run(act())
        assert self.outbox.stream == before
        assert self.outbox.previous is not None
        assert not self.outbox.previous.clean
        self._begin_again()

    @rule()
    def restart(self) -> None:
        async def act() -> None:
            await self.outbox.close()
            await self.task
            await self._open()

        if not self.broken:
            self._kept()
        self.runner.run(act())
        assert self.outbox.previous is not None
        assert self.outbox.previous.clean == (not self.broken)
        self._begin_again()

    def _begin_again(self) -> None:
        self.broken = False
        self.pending = []
        self.cursors = dict(self.durable)
        self.read = {name: [] for name in UPLINKS}
        rows = self.runner.run(self.outbox.load_checkpoint())
        assert self.outbox.last_seq == len(self.committed)
        if self.committed:
            assert int(rows["filler"]) >= self.committed[-1]

    @invariant()
    def numbers_agree(self) -> None:
        if hasattr(self, "outbox"):
            assert self.outbox.last_seq == len(self.committed)
            assert self.outbox.stats.pending == len(self.pending)
            for name, (position, _) in self.cursors.items():
                assert self.outbox.backlog(name) == len(self.committed) - position

    async def _mend(self) -> None:
        await self.outbox._connection.execute("PRAGMA query_only = 0")

    def teardown(self) -> None:
        if hasattr(self, "outbox"):
            if self.broken:
                self.runner.run(self._mend())
            self.runner.run(self.outbox.close())
        self.runner.close()
        self.patch.stop()
        self.directory.cleanup()


TestOutbox = OutboxMachine.TestCase
TestOutbox.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
