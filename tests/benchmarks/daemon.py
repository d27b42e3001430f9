"""Processor share and memory of `linegate run` as it ships, and the highest rate that one core sustains.

A simulated PLC, states, durable buffer, file and MQTT, beside a loop by hand that does no more than read, decode and
compare the same. Each has one core, the PLC and the broker another; where it is allowed they come before whatever else
the machine does, whose turns would be counted as scans out of phase; a step in which others had the core all the same
is repeated.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.benchmarks.result import Result
from tests.conftest import FILLER_MACHINE, FILLER_SIGNALS, line_document

WARM_S, MEASURE_S, STEP_S = 6.0, 20.0, 10.0
READY_S = 180.0
PRIORITY = -15
SIGNALS, UNITS = 50_000, 4
INTERVALS_MS = (100, 50, 25, 20, 15, 10)
ATTEMPTS = 4
HAND = "pymodbus by hand, reading alone"
DISTURBED = 0.5
"""Percent of the time on a core that was another's, from which on a skipped scan says nothing about us."""


def free_port() -> int:
    """A loopback port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def settle(core: int) -> None:
    """In the child: one core, and precedence on it."""
    os.sched_setaffinity(0, {core})
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)


@contextmanager
def process(*command: str, core: int, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A child on one core; it is ended by its own id."""
    child = subprocess.Popen(command, text=True, stderr=subprocess.DEVNULL, preexec_fn=lambda: settle(core), **options)
    try:
        yield child
    finally:
        child.terminate()
        child.wait(30)


@dataclass(frozen=True, slots=True)
class Load:
    """So many float32 on so many unit ids, each read once an interval."""

    signals: int
    units: int
    interval_ms: int
    in_flight: int = 1

    @property
    def rate(self) -> float:
        """Signals a second."""
        return self.signals * 1000 / self.interval_ms


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured while a load ran."""

    share: float
    """Of one core, in percent."""
    memory: float
    """Resident megabytes."""
    overruns: int
    plc_share: float
    kept_waiting: float
    """Percent of the time in which the daemon or the PLC could have run, but the core was another process's."""


def configuration(plc: int, broker: int, health: int, load: Load) -> dict[str, Any]:
    """The filler, and as many float32 as asked for behind the same connection."""
    each = load.signals // load.units
    extra = {f"extra_{n}": {"address": f"holding:{1000 + 2 * n}", "type": "float32"} for n in range(each)}
    device = {"protocol": "modbus_tcp", "host": "127.0.0.1", "port": plc, "in_flight": load.in_flight}
    interval = f"{load.interval_ms}ms"
    loads = {
        f"load_{unit}": {**device, "unit_id": unit, "scan_interval": interval, "signals": extra}
        for unit in range(2, load.units + 2)
    }
    return line_document(
        devices={"filler_plc": {**device, "scan_interval": "250ms", "signals": FILLER_SIGNALS}, **loads},
        machines={"filler": FILLER_MACHINE},
        uplinks={
            "journal": {"type": "file", "path": "events.ndjson"},
            "plant": {"type": "mqtt", "url": f"mqtt://127.0.0.1:{broker}"},
        },
        health={"listen": f"127.0.0.1:{health}"},
    )


def wait_ready(daemon: subprocess.Popen[str], port: int) -> None:
    """Until the daemon says that it is; a long configuration takes a while to load."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if daemon.poll() is not None:
            raise SystemExit(f"the daemon ended with {daemon.returncode}")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the daemon did not become ready")


def overruns(port: int) -> int:
    """Scans that were skipped, as the daemon counts them; all devices have the one connection."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as reply:
        checks = json.load(reply)["checks"]
    return int(checks["device:load_2"][0]["observedValue"]["overruns"])


def processor_s(process: psutil.Process) -> float:
    """Processor time, user and system."""
    used = process.cpu_times()
    return float(used.user + used.system)


def kept_waiting_s(pid: int) -> float:
    """How long its main thread has stood in the queue for its core (the scheduler's second figure, in nanoseconds)."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9


@contextmanager
def simulated(load: Load, core: int) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The PLC with what a load reads, and its port."""
    command = (
        sys.executable, "-m", "protocols.simulated",
        "--units", str(load.units + 1), "--extra-registers", str(load.signals // load.units),
    )  # fmt: skip
    with process(*command, core=core, stdout=subprocess.PIPE, stdin=subprocess.PIPE) as plc:
        assert plc.stdout is not None
        yield plc, json.loads(plc.stdout.readline())["port"]


def run(load: Load, measure_s: float = MEASURE_S) -> Figures:
    """One daemon under one load."""
    broker, health = free_port(), free_port()
    cores = sorted(os.sched_getaffinity(0))
    ours, others = cores[0], cores[-1]
    with tempfile.TemporaryDirectory() as place:
        Path(place, "mosquitto.conf").write_text(f"listener {broker} 127.0.0.1\nallow_anonymous true\n")
        with (
            process("/usr/sbin/mosquitto", "-c", f"{place}/mosquitto.conf", core=others),
            simulated(load, others) as (plc, port),
        ):
            file = Path(place, "line.yaml")
            file.write_text(json.dumps(configuration(port, broker, health, load)))
            command = (
                sys.executable, "-m", "gateway", "run", str(file), "--state-dir", place, "--log-level", "WARNING",
            )  # fmt: skip
            with process(*command, core=ours) as daemon:
                wait_ready(daemon, health)
                time.sleep(WARM_S)
                return watch(daemon.pid, plc.pid, health, measure_s)


def watch(daemon: int, plc: int, health: int, measure_s: float) -> Figures:
    """What the two do in a while."""
    watched, peer = psutil.Process(daemon), psutil.Process(plc)
    skipped, waited, peer_waited = overruns(health), kept_waiting_s(daemon), kept_waiting_s(plc)
    began, used, peer_used = time.monotonic(), processor_s(watched), processor_s(peer)
    time.sleep(measure_s)
    passed = (time.monotonic() - began) / 100
    return Figures(
        share=(processor_s(watched) - used) / passed,
        memory=watched.memory_info().rss / 1e6,
        overruns=overruns(health) - skipped,
        plc_share=(processor_s(peer) - peer_used) / passed,
        kept_waiting=max(kept_waiting_s(daemon) - waited, kept_waiting_s(plc) - peer_waited) / passed,
    )


def by_hand(load: Load) -> tuple[float, float]:
    """Processor share and memory of `tests.benchmarks.by_hand` under the load of one unit."""
    cores = sorted(os.sched_getaffinity(0))
    with simulated(load, cores[-1]) as (_, port):
        asked = str(port), "2", str(load.signals), str(load.interval_ms)
        command = sys.executable, "-m", "tests.benchmarks.by_hand", *asked
        with process(*command, core=cores[0], stdout=subprocess.PIPE) as loop:
            assert loop.stdout is not None
            assert loop.stdout.readline() == "reads\n"
            time.sleep(WARM_S)
            watched = psutil.Process(loop.pid)
            began, used = time.monotonic(), processor_s(watched)
            time.sleep(MEASURE_S)
            share = (processor_s(watched) - used) / (time.monotonic() - began) * 100
            return share, watched.memory_info().rss / 1e6


def at_a_rate(load: Load) -> list[Result]:
    """Processor share, memory and scans skipped."""
    found, name = run(load), f"{load.rate:,.0f} signals a second"
    share, memory = by_hand(load)
    return [
        Result("daemon", f"{name}: processor", found.share, "% of a core", HAND, found.share / share),
        Result("daemon", f"{name}: memory", found.memory, "MB resident", HAND, found.memory / memory),
        Result("daemon", f"{name}: scans skipped", found.overruns, "scans"),
    ]


def undisturbed(load: Load) -> Figures:
    """A run in which nothing was skipped, or in which it was our own doing; else the last of some."""
    for attempt in range(1, ATTEMPTS + 1):
        found = run(load, STEP_S)
        print(
            f"  {load.rate:,.0f} signals a second: {found.overruns} scans skipped, {found.share:.0f} % of a core, "
            f"the PLC {found.plc_share:.0f} %, kept waiting by others {found.kept_waiting:.1f} %",
            file=sys.stderr,
            flush=True,
        )
        if not found.overruns or found.kept_waiting < DISTURBED or attempt == ATTEMPTS:
            break
    return found


def highest() -> list[Result]:
    """The same 50,000 signals ever more often, until a scan is skipped."""
    best: tuple[Load, Figures] | None = None
    for interval_ms in INTERVALS_MS:
        load = Load(SIGNALS, UNITS, interval_ms, in_flight=16)
        found = undisturbed(load)
        if found.overruns:
            break
        best = load, found
    if best is None:
        return [Result("daemon", "highest rate with every scan on phase", 0, "signals/s")]
    load, found = best
    return [
        Result("daemon", "highest rate with every scan on phase", load.rate, "signals/s"),
        Result("daemon", "highest rate: processor", found.share, "% of a core"),
        Result("daemon", "highest rate: processor of the simulated PLC", found.plc_share, "% of a core"),
        Result("daemon", "highest rate: memory", found.memory, "MB resident"),
    ]


def measure() -> list[Result]:
    """At 1,000 and 10,000 float32 signals a second, all of them changing, and at the highest rate."""
    return [*at_a_rate(Load(1_000, 1, 1000)), *at_a_rate(Load(10_000, 1, 1000)), *highest()]
