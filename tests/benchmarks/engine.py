"""The engine for 3, 30 and 100 machines: scans, rules, parts, events, checkpoints, replay; beside bare Python."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gateway.config.model import Config
from gateway.config.recording import RecordingConfig
from gateway.inputs import DeviceState, Input, Reload
from gateway.pipeline import Pipeline
from gateway.recording.files import recorded
from gateway.recording.header import Header, devices_of
from gateway.recording.messages import Encoder
from gateway.recording.reader import RecordedFile
from gateway.recording.writer import Writer
from gateway.replay.replay import Replay
from protocols.model import Batch, Change, Quality, Value
from tests.benchmarks.result import Result
from tests.conftest import line_document

BEGIN = 1_795_417_200_000
SCAN = 250
SIZES = (3, 30, 100)
SIGNALS = ("running", "infeed", "estop", "fault", "speed", "count", "rejects")
SPARE = 60
"""Signals of each PLC beside those of its machine, of which `MOVING` move at each scan."""
MOVING = 10
ROUNDS, CALLS = 7, 3_000
REPLAYED_S = {3: 1800, 30: 240, 100: 60}
"""Seconds of the line that are replayed, by its machines."""
Values = dict[str, Value]
QUIET: Values = {
    "running": True, "infeed": True, "estop": False, "fault": 0, "speed": 120.0, "count": 1000, "rejects": 10,
}  # fmt: skip


def line(machines: int) -> Config:
    """Machines alike, each behind a PLC of its own with 67 signals."""
    flags = {name: {"address": f"coil:{number}"} for number, name in enumerate(("running", "infeed", "estop"))}
    registers = {
        "fault": {"address": "holding:0", "type": "uint16"}, "speed": {"address": "holding:2", "type": "float32"},
        "count": {"address": "holding:4", "type": "uint32"}, "rejects": {"address": "holding:6", "type": "uint16"},
    }  # fmt: skip
    spare = {f"s{n}": {"address": f"holding:{10 + 2 * n}", "type": "float32"} for n in range(SPARE)}
    plc = {"protocol": "modbus_tcp", "host": "127.0.0.1", "scan_interval": "250ms"}
    document = line_document(
        devices={f"plc{n}": {**plc, "port": 1000 + n, "signals": flags | registers | spare} for n in range(machines)},
        machines={f"m{n}": _machine(f"plc{n}") for n in range(machines)},
    )
    return Config.model_validate(document)


def _machine(plc: str) -> dict[str, Any]:
    return {
        "ideal": "500ms",
        "parts": {"total": f"{plc}.count", "scrap": f"{plc}.rejects"},
        "states": [
            {"state": "aborted", "when": f"{plc}.estop", "reason": "emergency stop"},
            {"state": "held", "when": f"{plc}.fault != 0", "reason": {"signal": f"{plc}.fault"}},
            {"state": "suspended", "when": f"not {plc}.infeed", "cause": "starved"},
            {"state": "execute", "when": f"{plc}.running and {plc}.speed > 5"},
            {"state": "idle"},
        ],
    }


def changes(values: Values) -> list[Change]:
    """Good values of signals by name."""
    return [(SIGNALS.index(name), value, Quality.GOOD, None, None) for name, value in values.items()]


class Running:
    """A line that produces, and goes on from scan to scan; machines take turns."""

    def __init__(self, machines: int) -> None:
        self.pipeline = Pipeline(line(machines))
        self.machines, self.at, self.turn, self.events = machines, BEGIN, 0, 0
        self.pipeline.process(Reload(BEGIN, 0))
        for number in range(machines):
            self.pipeline.process(DeviceState(f"plc{number}", True, BEGIN))
            self.pipeline.process(Batch(f"plc{number}", 0, changes(QUIET), BEGIN))
        self.pipeline.checkpoint()

    def scanning(self, said: Callable[[int], list[Change]]) -> Callable[[], None]:
        """One scan of one PLC; `said` gives what changed by the number of the machine's scan."""

        def scan() -> None:
            number, self.turn = self.turn % self.machines, self.turn + 1
            if number == 0:
                self.at += SCAN
            batch = Batch(f"plc{number}", 0, said(self.turn // self.machines), self.at)
            self.events += len(self.pipeline.process(batch)[0])

        return scan


class Bare:
    """What a program must at least do for the same: dicts, and the rules as the Python that a person would write."""

    def __init__(self, machines: int) -> None:
        self.values = [dict(QUIET) for _ in range(machines)]
        self.parts, self.seen, self.states = [0] * machines, [0] * machines, ["idle"] * machines
        self.machines, self.turn = machines, 0

    def scanning(self, said: Callable[[int], list[Change]]) -> Callable[[], None]:
        """One scan of one PLC."""

        def scan() -> None:
            number, self.turn = self.turn % self.machines, self.turn + 1
            self.seen[number] = self.turn
            given = said(self.turn // self.machines)
            if given:
                self._take(number, given)

        return scan

    def _take(self, number: int, given: list[Change]) -> None:
        values = self.values[number]
        for signal, value, *_ in given:
            name = SIGNALS[signal]
            if name == "count":
                self.parts[number] += int(value - values["count"]) % 2**32  # type: ignore[operator]
            values[name] = value
        self.states[number] = decide(values)


def decide(values: Values) -> str:
    """The rules of `_machine`."""
    if values["estop"]:
        return "aborted"
    if values["fault"] != 0:
        return "held"
    if not values["infeed"]:
        return "suspended"
    if values["running"] and values["speed"] > 5:  # type: ignore[operator]
        return "execute"
    return "idle"


NOTHING: list[Change] = []
SAID: dict[str, Callable[[int], list[Change]]] = {
    "without a change": lambda scan: NOTHING,
    "with one part": lambda scan: changes({"count": 1000 + scan}),
    "with a speed that a rule uses": lambda scan: changes({"speed": 100.0 + scan % 2}),
    "with another state": lambda scan: changes({"fault": scan // 2 % 2 * 17}),
}


def microseconds(*works: Callable[[], None]) -> list[float]:
    """Medians of the time of one call of each; they take turns, so that all see the same machine."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(ROUNDS):
        for work, mine in zip(works, times, strict=True):
            began = time.perf_counter_ns()
            for _ in range(CALLS):
                work()
            mine.append((time.perf_counter_ns() - began) / CALLS / 1000)
    return [statistics.median(mine) for mine in times]


def scans(machines: int) -> Iterator[Result]:
    """What a scan costs, by what changed in it; ratio to bare Python."""
    for words, said in SAID.items():
        running, bare = Running(machines), Bare(machines)
        mine, least = microseconds(running.scanning(said), bare.scanning(said))
        name = f"scan {words}, {machines} machines"
        yield Result("engine", name, mine, "us", "dicts and ifs in Python", mine / least)
        if "rule" in words:
            yield Result("engine", f"rules evaluated, {machines} machines", 1e6 / mine, "1/s")
        if "state" in words:
            scanned = ROUNDS * CALLS
            yield Result("engine", f"events decided, {machines} machines", running.events / scanned / mine * 1e6, "1/s")


def checkpoints(machines: int) -> Iterator[Result]:
    """A commit that carries one machine's events, beside one that writes all machines."""
    running = Running(machines)
    scan = running.scanning(SAID["with another state"])
    part = running.scanning(SAID["with one part"])
    for _ in range(40 * machines):
        part()
    sizes, one, all_ = [], [], []
    for _ in range(200):
        for _ in range(machines):
            scan()
        began = time.perf_counter_ns()
        rows = running.pipeline.checkpoint({"m0"})
        one.append(time.perf_counter_ns() - began)
        sizes.append(sum(map(len, rows.values())))
        began = time.perf_counter_ns()
        whole = running.pipeline.checkpoint()
        all_.append(time.perf_counter_ns() - began)
    size = statistics.median(sizes)
    total = sum(len(row) for row in (rows | whole).values())
    mine, theirs = statistics.median(one) / 1000, statistics.median(all_) / 1000
    yield Result(
        "engine", f"checkpoint in a commit of one machine, {machines} machines", mine, "us", "all", mine / theirs
    )
    yield Result("engine", f"its size, {machines} machines", size, "B", "all", size / total)


def day(machines: int, seconds: int) -> Iterator[Input]:
    """A line that makes two parts a second and machine, with a fault of five seconds a minute."""
    yield Reload(BEGIN, 0)
    for number in range(machines):
        yield DeviceState(f"plc{number}", True, BEGIN)
    for scan in range(seconds * 1000 // SCAN):
        for number in range(machines):
            values: Values = dict(QUIET) if scan == 0 else {"speed": 110.0 + scan * 7 % 20}
            second = scan * SCAN // 1000
            if scan % 2 == 0 and second % 60 >= 5:
                values["count"] = 1000 + scan // 2
            if scan % 240 in (0, 20):
                values["fault"] = 17 if scan % 240 == 0 and scan else 0
            moving = ((len(SIGNALS) + (scan + n) % SPARE, float(scan % 97), Quality.GOOD) for n in range(MOVING))
            changed: list[Change] = [*changes(values), *((*one, None, None) for one in moving)]
            yield Batch(f"plc{number}", 0, changed, BEGIN + scan * SCAN + number)


def record(directory: Path, config: Config, seconds: int) -> None:
    """The day as the daemon records it."""
    devices = devices_of(config)
    header = Header(
        config.source, config.digest, "", "run", 0, "start", BEGIN, 0, devices, {}, {}, ((),) * len(devices)
    )
    writer = Writer(directory, RecordingConfig(), 2**30, 0)
    writer.open(header.pack(), BEGIN)
    encoder, inputs = Encoder([one.name for one in devices], BEGIN), 0
    for given in day(len(config.machines), seconds):
        writer.write(encoder.encode(given), 1)
        inputs += 1
    writer.write(encoder.end(BEGIN + seconds * 1000, inputs), 0)
    writer.close()
    assert not writer.failed


def replay(machines: int) -> Iterator[Result]:
    """How much faster than the line itself, from the daemon's recording."""
    seconds, config = REPLAYED_S[machines], line(machines)
    signals = machines * (len(SIGNALS) + SPARE)
    with tempfile.TemporaryDirectory() as folder:
        record(Path(folder), config, seconds)
        events: list[Any] = []
        again = Replay(config, events.extend, lambda: None)
        began = time.perf_counter()
        again.recorded(RecordedFile(path) for path in recorded(Path(folder)))
        again.finish()
        took = time.perf_counter() - began
    assert len(events) > machines
    name = f"replay, {machines} machines, {signals} signals at 250 ms"
    yield Result("engine", name, seconds / took, "x real time", "real time", took / seconds)
    yield Result("engine", f"inputs replayed, {machines} machines", again.inputs / took, "1/s")


def measure() -> list[Result]:
    """Everything, for lines of three sizes."""
    return [result for machines in SIZES for part in (scans, checkpoints, replay) for result in part(machines)]
