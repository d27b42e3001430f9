"""Real buffers in temporary directories, and ways to crash them."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Collection, Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.config.model import BufferConfig
from gateway.events import Event, StoredEvent
from gateway.outbox.outbox import Outbox
from gateway.uplinks.file.config import FileUplink

TIME = 1_795_327_200_000


class Machines:
    """Stands for the engine: gives dirty checkpoint rows, and notes what it was asked."""

    def __init__(self) -> None:
        self.dirty: dict[str, bytes] = {}
        self.asked: list[set[str] | None] = []
        self._attempts = asyncio.Queue[None]()

    def rows(self, subjects: Collection[str] | None) -> Mapping[str, bytes]:
        self.asked.append(None if subjects is None else set(subjects))
        self._attempts.put_nowait(None)
        wanted = [name for name in self.dirty if subjects is None or name in subjects]
        return {name: self.dirty.pop(name) for name in wanted}

    async def attempts(self, count: int) -> None:
        """Wait until a commit has begun `count` more times."""
        async with asyncio.timeout(10):
            for _ in range(count):
                await self._attempts.get()


class Bench:
    """Opens buffers, runs their store tasks, and stops everything at the end."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "state" / "buffer.db"
        self._open: dict[Outbox, asyncio.Task[None] | None] = {}

    async def open(
        self, *names: str, begin: str = "now", run: bool = True, path: Path | None = None, **settings: Any
    ) -> Outbox:
        """A buffer with cursors for the uplinks `names`, whose store task runs."""
        config = BufferConfig.model_validate({"path": "x", "commit_interval": "10ms", **settings})
        uplinks = {name: FileUplink.model_validate({"type": "file", "path": "x", "from": begin}) for name in names}
        outbox = await Outbox.open(path or self.path, config, uplinks)
        if run:
            self.runs(outbox)
        else:
            self._open[outbox] = None
        return outbox

    def runs(self, outbox: Outbox) -> None:
        """Begin its store task."""
        self._open[outbox] = asyncio.get_running_loop().create_task(outbox.run())

    def task(self, outbox: Outbox) -> asyncio.Task[None]:
        """The store task."""
        task = self._open[outbox]
        assert task is not None
        return task

    async def crash(self, outbox: Outbox) -> None:
        """End it as the kernel would: nothing more is written, the lock is gone."""
        task = self._open.pop(outbox)
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await outbox._store.connection.close()
        outbox._task._lock.release()

    def freeze(self, name: str) -> Path:
        """What a power cut at this moment would leave on disk, beside the buffer that goes on."""
        path = self.path.parent / name / "buffer.db"
        path.parent.mkdir()
        for suffix in ("", "-wal"):
            shutil.copyfile(f"{self.path}{suffix}", f"{path}{suffix}")
        return path

    async def stop(self) -> None:
        for outbox, task in list(self._open.items()):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            await outbox.close()

    @staticmethod
    def events(*numbers: int, subject: str = "filler") -> list[Event]:
        """Events that say which they are."""
        return [Event("machine.state", subject, TIME + number, {"n": number}) for number in numbers]

    @staticmethod
    def chain(events: list[StoredEvent]) -> list[tuple[int, int]]:
        """(seq, prevseq) of each."""
        return [(event.seq, event.prevseq) for event in events]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    await bench.stop()


@pytest.fixture
def machines() -> Machines:
    return Machines()
