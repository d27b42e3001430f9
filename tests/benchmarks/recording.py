"""What recording costs: the loop an input, the disk a day; beside what the engine takes to decide the same input."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from gateway.config.recording import RecordingConfig
from gateway.pipeline import Pipeline
from gateway.recording.files import recorded
from gateway.recording.recorder import Recorder
from tests.benchmarks.engine import day, line
from tests.benchmarks.result import Result
from tests.gateway.recording.lines import tables

MACHINES, SECONDS = 3, 1800
TURN = 500
"""Inputs between two turns of the loop, in which the thread takes its blocks."""


async def record(directory: Path) -> tuple[float, float]:
    """Nanoseconds in the recorder, and in the engine."""
    config = line(MACHINES)
    pipeline = Pipeline(config)
    recorder = Recorder(config, RecordingConfig(), directory, pipeline, tables(config))
    await recorder.start()
    mine = theirs = 0
    for number, given in enumerate(day(MACHINES, SECONDS)):
        began = time.perf_counter_ns()
        recorder.record(given)
        recorded_at = time.perf_counter_ns()
        pipeline.process(given)
        mine += recorded_at - began
        theirs += time.perf_counter_ns() - recorded_at
        if number % TURN == 0:
            await asyncio.sleep(0.001)
    await recorder.close(given.at)
    assert recorder.dropped == 0
    return mine / number, theirs / number


def measure() -> list[Result]:
    """A line of three machines and 201 signals at 250 ms, of which 12 of each 67 change at a scan."""
    with tempfile.TemporaryDirectory() as folder:
        mine, theirs = asyncio.run(record(Path(folder)))
        size = sum(path.stat().st_size for path in recorded(Path(folder) / "recordings"))
    return [
        Result("recording", "an input recorded", mine / 1000, "us on the loop", "deciding it", mine / theirs),
        Result("recording", "a day of 201 signals at 250 ms, a sixth changing", size * 86_400 / SECONDS / 1e6, "MB"),
    ]
