"""What recent samples cost: 5,000 signals at 4 Hz, all changing, decoded and decided with the ring and without it."""

from __future__ import annotations

import asyncio
import random
import statistics
import struct
import tempfile
import time
from pathlib import Path

from ext.registers import RegisterPlan
from ext.table import SignalTable
from gateway.clock import EngineClock
from gateway.config.model import Config
from gateway.inputs import DeviceState, Reload
from gateway.pipeline import Pipeline
from gateway.samples.curves import Wanted
from gateway.samples.ring import Samples
from protocols.model import Batch
from tests.benchmarks.engine import BEGIN, QUIET, SCAN, SIGNALS, SPARE, line
from tests.benchmarks.result import Result
from tests.gateway.recording.lines import tables

PLCS = 75
SECONDS = 60
ROUNDS = 6
REPLIES = 241
WANTED, ANSWERS = 50, 20


class Clock(EngineClock):
    """Time passes as scans do."""

    at = BEGIN

    def now(self) -> int:
        """As EngineClock."""
        return self.at


class Plcs:
    """A line's PLCs, each with 60 float32 that move a little at each scan, and 7 signals that the engine has."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self.tables, self.clock = tables(config), clock
        self.pipeline = Pipeline(config)
        self.samples: Samples | None = None
        self.plans: list[tuple[str, SignalTable, RegisterPlan]] = []
        self.turn = 0
        random.seed(7)
        values = [random.uniform(0, 100) for _ in range(SPARE)]
        self.replies = []
        for _ in range(REPLIES):
            values = [value + random.gauss(0, 0.1) for value in values]
            self.replies.append(struct.pack(f">{SPARE}f", *values))
        self.pipeline.process(Reload(clock.now(), 0))
        for device, table in self.tables.items():
            plan = RegisterPlan(table, 2 * SPARE, SPARE)
            for number in range(SPARE):
                plan.add(len(SIGNALS) + number, 2 * number, "float32")
            for number, name in enumerate(SIGNALS):
                table.forward(number, exact=True)
                table.put(number, QUIET[name])
            self.plans.append((device, table, plan))
            self.pipeline.process(DeviceState(device, True, clock.now()))

    def second(self) -> None:
        """Four scans of each, as the daemon has them."""
        samples = self.samples
        for _ in range(1000 // SCAN):
            self.turn += 1
            reply = self.replies[self.turn % REPLIES]
            for device, table, plan in self.plans:
                plan.decode(reply)
                table.put(SIGNALS.index("speed"), 100.0 + self.turn % 2)
                batch = Batch(device, 0, table.take(), self.clock.now())
                if samples is not None:
                    samples.record(batch)
                self.pipeline.process(batch)
        if samples is not None:
            samples.look()


async def compare(folder: Path) -> tuple[float, float, int, float]:
    """Seconds of processor for a second of the line with and without the ring; bytes on the disk; ms of an answer."""
    clock, config = Clock(), line(PLCS)
    with_it, without = Plcs(config, clock), Plcs(config, clock)
    with_it.samples = samples = Samples(folder, config.buffer, clock, with_it.tables)
    await samples.start()
    mine, theirs = [], []
    for _ in range(ROUNDS):
        spent = [0.0, 0.0]
        for _ in range(SECONDS):
            for number, plcs in enumerate((with_it, without)):
                began = time.process_time()
                plcs.second()
                await asyncio.sleep(0)
                spent[number] += time.process_time() - began
            clock.at += 1000
        mine.append(spent[0] / SECONDS)
        theirs.append(spent[1] / SECONDS)
    names = [f"plc0.s{number}" for number in range(WANTED)]
    asked = []
    for _ in range(ANSWERS):
        began = time.perf_counter()
        await samples.ask(Wanted(dict.fromkeys(names), BEGIN, clock.now(), 300))
        asked.append(time.perf_counter() - began)
    took = statistics.median(asked)
    await samples.close()
    assert samples.lost == 0
    return statistics.median(mine), statistics.median(theirs), samples.size_bytes, took * 1000


def measure() -> list[Result]:
    """All of it, packing and writing included, in processor time."""
    with tempfile.TemporaryDirectory() as folder:
        mine, theirs, size, took = asyncio.run(compare(Path(folder)))
    signals, scans = PLCS * (SPARE + len(SIGNALS)), 1000 / SCAN
    return [
        Result(
            "samples",
            f"a scan of {signals:,} signals with the ring",
            mine / scans * 1e6,
            "us",
            "without",
            mine / theirs,
        ),
        Result("samples", "an hour of them, each changing each second", size / ROUNDS / SECONDS * 3600 / 1e6, "MB"),
        Result("samples", f"{WANTED} of them over {ROUNDS * SECONDS // 60} minutes as 300 points each", took, "ms"),
    ]
