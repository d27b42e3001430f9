"""A buffer on a file system of three megabytes that another program fills: `python -m tests.torture.small_disk PLACE`.

Writes what became of it as JSON. What is asserted here is what only a true file system shows.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import orjson

from gateway.config.model import BufferConfig
from gateway.events import Event
from gateway.outbox.outbox import Outbox
from gateway.uplinks.file.config import FileUplink

BEGIN = 1_795_417_200_000
MAX_SIZE = 4_000_000
TYPES = ("signal.trend", "machine.production", "machine.kpi", "machine.state")


class Gateway:
    """An outbox whose only uplink is away, on a disk that is too small for it."""

    def __init__(self, place: Path, min_free: str) -> None:
        self.path = place / "buffer.db"
        self.made = 0
        self.last = 0
        """The seq that came last."""
        self._config = BufferConfig.model_validate(
            {"path": "x", "commit_interval": "10ms", "max_size": f"{MAX_SIZE}B", "min_free_disk": min_free}
        )

    async def start(self, *names: str) -> None:
        section = FileUplink.model_validate({"type": "file", "path": "x", "from": "oldest"})
        self.outbox = await Outbox.open(self.path, self._config, dict.fromkeys(names, section))
        self._task = asyncio.get_running_loop().create_task(self.outbox.run())

    async def stop(self) -> bool:
        stored = await self.outbox.close()
        await self._task
        return stored

    def events(self, count: int) -> list[Event]:
        """Of all classes in turn."""
        begin, self.made = self.made + 1, self.made + count
        numbers = range(begin, self.made + 1)
        return [Event(TYPES[n % 4], "filler", BEGIN, {"n": n, "x": "x" * 2000}) for n in numbers]

    async def append(self, count: int) -> None:
        """Events, and an attempt to store them."""
        self.outbox.append(self.events(count))
        await self.attempt()

    async def attempt(self) -> None:
        """Wait for the next one."""
        stats = self.outbox.stats
        before = stats.commits + stats.commit_failures
        while stats.commits + stats.commit_failures == before:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.001)

    async def take(self, name: str) -> tuple[list[int], dict[str, int]]:
        """What an uplink gets that is back, held against its chain: the events' own numbers, and the gaps by class."""
        numbers: list[int] = []
        gaps: dict[str, int] = {}
        for _ in range(3):  # a gap may come behind the rest
            await self.outbox.flush()
            while self.outbox.backlog(name):
                events = await self.outbox.read(name, 500)
                for event in events:
                    assert event.prevseq == self.last, (event.prevseq, self.last)
                    self.last, data = event.seq, orjson.loads(event.data)
                    if event.type == "gateway.gap":
                        gaps[data["class"]] = gaps.get(data["class"], 0) + data["count"]
                    else:
                        numbers.append(data["n"])
                self.outbox.acknowledge(name, events[-1])
        return numbers, gaps


def fill(path: Path, leave: int = 0) -> None:
    """Take what the disk still has, but for so many bytes."""
    disk = os.statvfs(path.parent)
    path.write_bytes(bytes(disk.f_bavail * disk.f_frsize - leave))


async def full(place: Path) -> dict[str, Any]:
    """Not a byte is left: the daemon decides, memory is bounded, a start works, and all is caught up with."""
    gateway, theirs = Gateway(place, "0B"), place / "theirs"
    await gateway.start("mes")
    await gateway.append(1)
    fill(theirs)  # before the write-ahead log has a size of its own
    await gateway.append(50)
    said = gateway.outbox.stats.degraded
    for _ in range(10):
        gateway.outbox.append(gateway.events(50))
        assert gateway.outbox._store.pending.size <= MAX_SIZE // 16
    await gateway.attempt()
    theirs.unlink()
    numbers, gaps = await gateway.take("mes")
    assert not gateway.outbox.stats.degraded
    made, lost = gateway.made, gateway.outbox.stats.events_lost
    assert await gateway.stop()
    fill(theirs)
    await gateway.start("mes", "copy")
    began_full = gateway.outbox.stats.degraded
    gateway.outbox.append(gateway.events(50))
    theirs.unlink()
    more, _ = await gateway.take("mes")
    assert await gateway.stop()
    return {
        "said": said, "made": made, "got": numbers, "gaps": gaps, "lost": lost, "began": began_full, "more": more
    }  # fmt: skip


async def short(place: Path) -> dict[str, Any]:
    """Less than `min_free_disk` is left: the file stays as large as it is, and new events displace old trends."""
    gateway, theirs = Gateway(place, "500kB"), place / "theirs"
    await gateway.start("mes")
    for _ in range(30):
        await gateway.append(10)
    fill(theirs, 300_000)
    await gateway.append(1)
    before = [event.seq for event in await gateway.outbox.recent(0, 9999)]
    size = max(gateway.path.stat().st_size, gateway.outbox.stats.size_bytes)
    for _ in range(30):
        await gateway.append(10)
        assert gateway.path.stat().st_size <= size + 4096
        assert not gateway.outbox.stats.degraded, gateway.outbox.stats.degraded
    full = gateway.outbox.stats.full
    kinds = sorted({event.type for event in await gateway.outbox.recent(0, 9999) if event.seq in before})
    theirs.unlink()
    numbers, gaps = await gateway.take("mes")
    assert await gateway.stop()
    return {"full": full, "made": gateway.made, "got": numbers, "gaps": gaps, "stayed": kinds}


if __name__ == "__main__":
    found = asyncio.run({"full": full, "short": short}[sys.argv[1]](Path(sys.argv[2])))
    sys.stdout.write(json.dumps(found) + "\n")
