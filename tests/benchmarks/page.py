"""Whether scans stay on phase while people look: 50 machines, 5,000 signals, and five pages open or none, in one run.

Each machine's PLC, a Modbus server, notes when each scan of it comes: what a scan is off the grid of its own PLC is its
phase error. A viewer is an HTTP client that reads and asks as the page does, every signal included. The daemon has one
core, PLCs and viewers another.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from protocols.simulated.modbus import ModbusPlc
from protocols.simulated.registers import EXTRA_ADDRESS, ExtraUnit, Table
from tests.benchmarks.daemon import free_port, kept_waiting_s, process, processor_s, wait_ready
from tests.benchmarks.result import Result
from tests.conftest import line_document

MACHINES, SIGNALS, VIEWERS = 50, 100, 5
SCAN_MS = 1000
WARM_S, MEASURE_S = 6.0, 20.0
ROUNDS = 3
RUN_MS, STAND_MS, PART_MS = 50_000, 4_000, 500
GZIP = 31
"""zlib's window bits for gzip's format."""
HISTORY_MS, FOLLOW_S, SPARK_S, SPARKS = 8 * 3_600_000, 2.0, 5.0, 25


class Plc:
    """A unit with a machine that runs and stands in turn, its counter, and values that all change with every scan."""

    def __init__(self, number: int) -> None:
        self._extra = ExtraUnit(SIGNALS)
        self._ahead = number * 1_000
        self.scans: list[float] = []
        """When each began, monotonic milliseconds."""

    def read(self, table: Table, address: int, count: int, ms: int) -> bytes | None:
        """As `protocols.simulated.registers.Unit`."""
        if address != 0:
            return self._extra.read(table, address, count, ms)
        self.scans.append(time.monotonic() * 1000)
        rounds, into = divmod(ms + self._ahead, RUN_MS + STAND_MS)
        made = (rounds * RUN_MS + min(into, RUN_MS)) // PART_MS
        return struct.pack(">HI", into < RUN_MS, made)[: 2 * count]


def off_phase(scans: list[float]) -> list[float]:
    """Milliseconds by which each scan of one PLC was off its grid, which lies where its median is."""
    phases = [at % SCAN_MS for at in scans]
    around = phases[0]
    turned = [(phase - around + SCAN_MS / 2) % SCAN_MS for phase in phases]
    middle = statistics.median(turned)
    return [abs(one - middle) for one in turned]


async def serve() -> None:
    """Child: the PLCs. A line on standard input asks for the phase errors of all scans since the one before."""
    units = [Plc(number) for number in range(MACHINES)]
    plcs = [ModbusPlc({1: unit}, lambda: time.monotonic_ns() // 1_000_000) for unit in units]
    print(json.dumps([await plc.start() for plc in plcs]), flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        taken = [unit.scans[:] for unit in units]
        for unit in units:
            unit.scans.clear()
        print(json.dumps([error for scans in taken if scans for error in off_phase(scans)]), flush=True)


class Viewer:
    """One page that is open."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._url = session, url
        self.bytes = self.messages = 0

    async def look(self) -> None:
        """As long as it is open."""
        await asyncio.gather(self._stream(), self._follow(), self._sparks())

    async def _stream(self) -> None:
        unpacker = zlib.decompressobj(GZIP)
        async with self._session.get(f"{self._url}/api/stream?signals") as answer:
            assert answer.status == 200, answer.status
            async for packed in answer.content.iter_any():
                self.bytes += len(packed)
                self.messages += unpacker.decompress(packed).count(b"event:")

    async def _get(self, path: str, **asked: Any) -> dict[str, Any]:
        async with self._session.get(f"{self._url}/api/{path}", params=asked) as answer:
            body = await answer.read()
            assert answer.status == 200, (path, answer.status, body)
            self.bytes += len(body)
        is_packed = answer.headers.get("Content-Encoding") == "gzip"
        found: dict[str, Any] = json.loads(zlib.decompress(body, GZIP) if is_packed else body)
        return found

    async def _follow(self) -> None:
        """The time view's history, whole at first and then what is new, and the operator's lists."""
        asked: dict[str, Any] = {"from": int(time.time() * 1000) - HISTORY_MS}
        while True:
            answer = await self._get("history", **asked)
            if answer["cursor"] is not None:
                asked["after"] = answer["cursor"]
            await self._get("stops", waiting="", limit=200)
            await self._get("stops", limit=200)
            await self._get("entries", limit=200)
            await asyncio.sleep(FOLLOW_S)

    async def _sparks(self) -> None:
        """The signals that are in sight, with their last minutes."""
        names = ",".join(f"plc_1.extra_{number}" for number in range(SPARKS))
        while True:
            await self._get("samples", signals=names, from_ms=int(time.time() * 1000) - 600_000, points=100)
            await asyncio.sleep(SPARK_S)


async def look(url: str) -> None:
    """Child: the viewers, until it is ended. A line on standard input asks how much came since the one before."""
    os.setpriority(os.PRIO_PROCESS, 0, 10)  # they are no PLC: what they do must not keep one from noting the time
    connector = aiohttp.TCPConnector(limit=0)
    options: dict[str, Any] = {"timeout": aiohttp.ClientTimeout(sock_read=30), "auto_decompress": False}
    async with aiohttp.ClientSession(connector=connector, **options) as session:
        viewers = [Viewer(session, url) for _ in range(VIEWERS)]
        looking = asyncio.gather(*(viewer.look() for viewer in viewers))
        while await asyncio.to_thread(sys.stdin.readline):
            if looking.done():
                await looking
            print(json.dumps([sum(one.bytes for one in viewers), min(one.messages for one in viewers)]), flush=True)
            for viewer in viewers:
                viewer.bytes = viewer.messages = 0
        looking.cancel()


def configuration(ports: list[int], health: int) -> dict[str, Any]:
    """A machine a PLC, one after the other, each with a hundred signals that all change."""
    extra = {
        f"extra_{number}": {"address": f"holding:{EXTRA_ADDRESS + 2 * number}", "type": "float32"}
        for number in range(SIGNALS - 2)
    }
    devices = {
        f"plc_{number}": {
            "protocol": "modbus_tcp", "host": "127.0.0.1", "port": port, "scan_interval": f"{SCAN_MS}ms",
            "signals": {
                "running": {"address": "holding:0", "type": "uint16"},
                "parts": {"address": "holding:1", "type": "uint32"},
                **extra,
            },
        }
        for number, port in enumerate(ports)
    }  # fmt: skip
    machines = {
        f"machine_{number}": {
            "ideal": f"{PART_MS}ms",
            "parts": {"total": f"plc_{number}.parts"},
            "states": [{"state": "execute", "when": f"plc_{number}.running != 0"}, {"state": "stopped"}],
        }
        for number in range(len(ports))
    }
    return line_document(devices=devices, machines=machines, health={"listen": f"127.0.0.1:{health}"})


class Child:
    """A process of this module that answers lines."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def answer(self) -> Any:
        """The next one."""
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def ask(self) -> Any:
        """What it has since it was asked before."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self.answer()


def stretch(daemon: subprocess.Popen[str], plcs: Child) -> dict[str, float]:
    """Figures of a while."""
    watched = psutil.Process(daemon.pid)
    plcs.ask()
    began, used, waited = time.monotonic(), processor_s(watched), kept_waiting_s(daemon.pid)
    time.sleep(MEASURE_S)
    passed = time.monotonic() - began
    errors = sorted(plcs.ask())
    return {
        "typical": statistics.median(errors),
        "p99": errors[len(errors) * 99 // 100],
        "worst": errors[-1],
        "skipped": max(0, round(MACHINES * passed * 1000 / SCAN_MS) - MACHINES - len(errors)),
        "processor": 100 * (processor_s(watched) - used) / passed,
        "waited": 100 * (kept_waiting_s(daemon.pid) - waited) / passed,
    }


def measure() -> list[Result]:
    """Nobody looks, then five do, in turns."""
    cores = sorted(os.sched_getaffinity(0))
    ours, others = cores[0], cores[-1]
    health = free_port()
    me, pipes = (sys.executable, "-m", "tests.benchmarks.page"), {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    alone: list[dict[str, float]] = []
    watched: list[dict[str, float]] = []
    traffic: list[float] = []
    with tempfile.TemporaryDirectory() as place, process(*me, "serve", core=others, **pipes) as server:
        plcs = Child(server)
        file = Path(place, "line.yaml")
        file.write_text(json.dumps(configuration(plcs.answer(), health)))
        run = (sys.executable, "-m", "gateway", "run", str(file), "--state-dir", place, "--log-level", "WARNING")
        with process(*run, core=ours) as daemon:
            wait_ready(daemon, health)
            time.sleep(WARM_S)
            for _ in range(ROUNDS):
                alone.append(stretch(daemon, plcs))
                with process(*me, "look", f"http://127.0.0.1:{health}", core=others, **pipes) as viewers:
                    people = Child(viewers)
                    time.sleep(WARM_S)
                    people.ask()
                    watched.append(stretch(daemon, plcs))
                    came, messages = people.ask()
                    assert messages > MEASURE_S, "somebody's page stood still"
                    traffic.append(came / MEASURE_S / VIEWERS / 1000)
                time.sleep(2)
    for found in (*alone, *watched):
        print("  " + ", ".join(f"{name} {value:.1f}" for name, value in found.items()), file=sys.stderr)
    return [*compared(alone, watched), Result("page", "what a viewer is sent", statistics.mean(traffic), "kB/s")]


def compared(alone: list[dict[str, float]], watched: list[dict[str, float]]) -> list[Result]:
    """The same figures without and with viewers; of each the round in which others disturbed the scans least."""
    without, looked = (min(rounds, key=lambda one: one["p99"]) for rounds in (alone, watched))
    units = {
        "typical": ("phase error of a scan, median", "ms"),
        "p99": ("phase error of a scan, 99th percentile", "ms"),
        "worst": ("phase error of a scan, largest", "ms"),
        "skipped": ("scans skipped", "scans"),
        "processor": ("processor", "% of a core"),
    }
    results = []
    for key, (name, unit) in units.items():
        ratio = looked[key] / without[key] if without[key] else None
        results += [
            Result("page", f"{name}, nobody looks", without[key], unit),
            Result("page", f"{name}, five look", looked[key], unit, "nobody looks", ratio),
        ]
    return results


if __name__ == "__main__":
    asyncio.run(serve() if sys.argv[1] == "serve" else look(sys.argv[2]))
