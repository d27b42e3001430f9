"""Events a second that the outbox stores and gives away again, beside plain sqlite3 with one transaction a batch.

Ours is the whole store: encoding, group commit with checkpoint rows, cursors, bounds, the event loop and aiosqlite's
thread. The plain one is a loop in one thread over rows that are ready: BEGIN, executemany, COMMIT, with the same
settings of SQLite; then it reads them in the same pieces, and notes how far it is. Each takes its turn on one core.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from tests.benchmarks.modbus import processor_s
from tests.benchmarks.result import Result
from tests.benchmarks.uplinks import DATA

EVENTS = 30_000
BATCH = 1000
TENS = 4_000
"""Events that are stored ten a commit, which is more like what a line has."""
READ = 500
REPEATS = 3
TIME = 1_795_327_200_000
_CHILD_S = 60.0
STEPS = {"stored": EVENTS, "stored by tens": TENS, "drained": EVENTS + TENS}
"""What is measured, and of how many events."""
_PER_S, _USED, _SIZE = "events/s", "µs of processor/event", "bytes/event"


async def ours(path: Path) -> list[float]:
    """Seconds an event by the clock, and of processor time, for each of STEPS; bytes an event on the disk."""
    from gateway.config.model import BufferConfig
    from gateway.events import Event
    from gateway.outbox.outbox import Outbox
    from gateway.uplinks.file.config import FileUplink

    section = FileUplink.model_validate({"type": "file", "path": "x", "from": "oldest"})
    outbox = await Outbox.open(path, BufferConfig.model_validate({"path": "x"}), {"plant": section})
    store = asyncio.create_task(outbox.run())
    outbox.checkpoint = lambda _subjects: {"machine/filler": b"x" * 500}
    events = [Event("machine.state", "filler", TIME + n, DATA) for n in range(EVENTS + TENS)]
    marks = [_mark()]
    for begin in range(0, EVENTS, BATCH):
        outbox.append(events[begin : begin + BATCH])
        await outbox.flush()
    marks.append(_mark())
    for begin in range(EVENTS, EVENTS + TENS, 10):
        outbox.append(events[begin : begin + 10])
        await outbox.flush()
    marks.append(_mark())
    while outbox.backlog("plant"):
        outbox.acknowledge("plant", (await outbox.read("plant", READ))[-1])
    await outbox.flush()
    marks.append(_mark())
    await outbox.close()
    await store
    return figures(marks, path)


async def plain(path: Path) -> list[float]:
    """The same by hand."""
    data = json.dumps(DATA, separators=(",", ":")).encode()
    rows = [(seq, TIME, "machine.state", "filler", TIME + seq, data) for seq in range(1, EVENTS + TENS + 1)]
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
            "CREATE TABLE cursor (position INTEGER); INSERT INTO cursor VALUES (0);"
            "CREATE TABLE event"
            " (seq INTEGER PRIMARY KEY, stored_at INTEGER, type TEXT, subject TEXT, time INTEGER, data BLOB);"
        )
        marks = [_mark()]
        for first, last, batch in ((0, EVENTS, BATCH), (EVENTS, EVENTS + TENS, 10)):
            for begin in range(first, last, batch):
                db.execute("BEGIN IMMEDIATE")
                db.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?)", rows[begin : begin + batch])
                db.execute("COMMIT")
            marks.append(_mark())
        seq = 0
        while taken := db.execute("SELECT * FROM event WHERE seq > ? ORDER BY seq LIMIT ?", (seq, READ)).fetchall():
            seq = taken[-1][0]
            db.execute("UPDATE cursor SET position = ?", (seq,))
        marks.append(_mark())
    return figures(marks, path)


def _mark() -> tuple[float, float]:
    gc.collect()
    gc.freeze()  # what is there before a step, this program's events above all, is not looked through in it
    return time.monotonic(), processor_s()


def figures(marks: list[tuple[float, float]], path: Path) -> list[float]:
    """Of what passed between marks: by the clock, then of processor time, then bytes on the disk, each an event."""
    passed = [[after[n] - before[n] for before, after in itertools.pairwise(marks)] for n in range(2)]
    each = [taken / events for one in passed for taken, events in zip(one, STEPS.values(), strict=True)]
    return [*each, path.stat().st_size / (EVENTS + TENS)]


def child(who: str) -> None:
    """What `python -m tests.benchmarks.outbox WHO` does: prints its figures."""
    import uvloop

    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "buffer.db"
        print(json.dumps(uvloop.run({"ours": ours, "plain": plain}[who](path))))


def client(who: str) -> list[float]:
    """A child's figures, on the first of the cores that we have."""
    core = min(os.sched_getaffinity(0))
    done = subprocess.run(
        (sys.executable, "-m", "tests.benchmarks.outbox", who), stdout=subprocess.PIPE, text=True,
        timeout=_CHILD_S, check=True, preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )  # fmt: skip
    found: list[float] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure() -> list[Result]:
    """They take turns, so that a slower moment meets both."""
    runs: dict[str, list[list[float]]] = {"ours": [], "plain": []}
    for _ in range(REPEATS):
        for who, mine in runs.items():
            mine.append(client(who))
    medians = {who: [statistics.median(each) for each in zip(*mine, strict=True)] for who, mine in runs.items()}
    names = [(name, _PER_S) for name in STEPS] + [(f"processor {name}", _USED) for name in STEPS] + [("on disk", _SIZE)]
    results = []
    for (name, unit), mine, other in zip(names, medians["ours"], medians["plain"], strict=True):
        of, beside = (1 / mine, 1 / other) if unit == _PER_S else (mine, other)
        if unit == _USED:
            of, beside = of * 1e6, beside * 1e6
        results.append(Result("outbox", name, of, unit, f"sqlite3: {beside:.4g}", of / beside))
    return results


if __name__ == "__main__":
    child(sys.argv[1])
