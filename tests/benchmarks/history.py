"""What the last hours cost: 50 machines with ten stops an hour each, over a day; loaded, kept, and told to a page."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path

from gateway.config.model import BufferConfig
from gateway.events import Event
from gateway.health.answers import FASTEST, GZIP
from gateway.history import telling
from gateway.history.history import HOURS, History
from gateway.history.loading import load
from gateway.history.telling import Asked, told
from gateway.outbox.outbox import Outbox
from tests.benchmarks.result import Result
from tests.gateway.history.line import HOUR, interval, minute, stop, window

MACHINES = {f"machine_{number:02d}": 120_000 for number in range(50)}
STOPS = 10
"""An hour, each of a tenth of its time."""
SHOWN = 8
CONFIG = BufferConfig.model_validate({"path": "x", "min_free_disk": "1B"})
ROUNDS = 20


def day(name: str, until: int) -> Iterator[Event]:
    """What a machine tells in a day: each interval and stop as it begins and as it ends."""
    step = HOUR // STOPS
    for began in range(until - HOURS * HOUR, until, step):
        stopped = began + step * 9 // 10
        running = {"state": "execute", "category": "production", "reason": None, "stop": None}
        yield from (interval(name, began, None, 0, **running), interval(name, began, stopped, 1, **running))
        yield from (interval(name, stopped), stop(name, stopped))
        yield from (interval(name, stopped, began + step, 1), stop(name, stopped, began + step, 1))
        yield from (minute(name, at, 100, "cola-500ml") for at in range(began, began + step, 60_000))
        if (began - until) % HOUR == 0:
            yield window(name, "hour", began, began + HOUR)


def resident() -> int:
    """Bytes of this process."""
    return int(Path("/proc/self/status").read_text().partition("RssAnon:")[2].split()[0]) * 1024


async def stored(path: Path, until: int) -> None:
    """A buffer with the day of all machines."""
    outbox = await Outbox.open(path, CONFIG, {})
    task = asyncio.get_running_loop().create_task(outbox.run())
    events = sorted((event for name in MACHINES for event in day(name, until)), key=attrgetter("time"))
    for first in range(0, len(events), 2000):
        outbox.append(events[first : first + 2000])
        await outbox.flush()
    await outbox.close()
    await task


async def answer(history: History, after: int | None) -> tuple[bytes, float]:
    """The answer to a page that shows the last hours of all machines; processor ms."""
    asked = Asked(MACHINES, history.now() - SHOWN * HOUR, history.now(), after)
    began = time.thread_time()
    for _ in range(ROUNDS):
        body = await told(history, asked, "digest")
    return body, (time.thread_time() - began) / ROUNDS * 1000


async def compare(path: Path, now: int) -> list[Result]:
    """All of it with one buffer, in a process that has done nothing else yet."""
    outbox = await Outbox.open(path, CONFIG, {})
    task = asyncio.get_running_loop().create_task(outbox.run())
    history = History(outbox.envelope("/x"), outbox.last_seq, lambda: now)
    before, began, spent = resident(), time.monotonic(), time.process_time()
    await load(history, outbox)
    took, spent = time.monotonic() - began, time.process_time() - spent
    events = outbox.last_seq
    gc.collect()
    size = resident() - before
    body, whole_ms = await answer(history, None)
    packed = zlib.compress(body, FASTEST, GZIP)
    _, new_ms = await answer(history, history.last_seq - 5)
    await outbox.close()
    await task
    asked = Asked(MACHINES, now - SHOWN * HOUR, now)
    parts = []
    for name in MACHINES:
        began = time.thread_time()
        telling._machine(history, history.shelves[name], asked, MACHINES[name])
        parts.append(time.thread_time() - began)
    return [
        Result("history", f"{events:,} events loaded, a little at a time", took, "s"),
        Result("history", "processor an event that is loaded", spent / events * 1e6, "us"),
        Result("history", f"memory of {len(MACHINES)} machines, {STOPS} stops an hour each", size / 1e6, "MB"),
        Result("history", f"{SHOWN} hours of all machines", len(body) / 1e6, "MB"),
        Result("history", "the same compressed", len(packed) / 1e3, "kB"),
        Result("history", "making that answer", whole_ms, "ms"),
        Result("history", "the longest of its parts, one machine", max(parts) * 1000, "ms"),
        Result("history", "an answer behind a cursor", new_ms, "ms"),
    ]


def measure() -> list[Result]:
    """The buffer is filled by another process, for memory that this one has had before would not be seen."""
    now = time.time_ns() // 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "buffer.db"
        subprocess.run([sys.executable, "-m", "tests.benchmarks.history", str(path), str(now)], check=True)
        return asyncio.run(compare(path, now))


if __name__ == "__main__":
    asyncio.run(stored(Path(sys.argv[1]), int(sys.argv[2])))
