"""Processor share and memory of `linegate run` as it ships: a simulated PLC, states, buffer, file and MQTT."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from tests.benchmarks.result import Result
from tests.conftest import FILLER_MACHINE, FILLER_SIGNALS, line_document

WARM_S, MEASURE_S = 6.0, 20.0


def free_port() -> int:
    """A loopback port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def process(*command: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A child that is ended by its own id."""
    child = subprocess.Popen(command, text=True, stderr=subprocess.DEVNULL, **options)
    try:
        yield child
    finally:
        child.terminate()
        child.wait(30)


def configuration(plc: int, broker: int, health: int, signals: int) -> dict[str, Any]:
    """The filler, and as many float32 as asked for, all of them read once a second."""
    extra = {f"extra_{n}": {"address": f"holding:{1000 + 2 * n}", "type": "float32"} for n in range(signals)}
    device = {"protocol": "modbus_tcp", "host": "127.0.0.1", "port": plc}
    return line_document(
        devices={
            "filler_plc": {**device, "scan_interval": "250ms", "signals": FILLER_SIGNALS},
            "load_plc": {**device, "scan_interval": "1s", "signals": extra},
        },
        machines={"filler": FILLER_MACHINE},
        uplinks={
            "journal": {"type": "file", "path": "events.ndjson"},
            "plant": {"type": "mqtt", "url": f"mqtt://127.0.0.1:{broker}"},
        },
        health={"listen": f"127.0.0.1:{health}"},
    )


def wait_ready(port: int) -> None:
    """Until the daemon says that it is."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the daemon did not become ready")


def overruns(port: int) -> int:
    """Scans that were skipped, as the daemon counts them."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as reply:
        checks = json.load(reply)["checks"]
    return int(checks["device:load_plc"][0]["observedValue"]["overruns"])


def run(signals: int) -> tuple[float, float, int]:
    """Share of one core in percent, resident megabytes, and scans skipped, at so many signals a second."""
    broker, health = free_port(), free_port()
    with tempfile.TemporaryDirectory() as place:
        Path(place, "mosquitto.conf").write_text(f"listener {broker} 127.0.0.1\nallow_anonymous true\n")
        mosquitto = "/usr/sbin/mosquitto"
        simulated = (sys.executable, "-m", "protocols.simulated", "--extra-registers", str(signals))
        with (
            process(mosquitto, "-c", f"{place}/mosquitto.conf"),
            process(*simulated, stdout=subprocess.PIPE, stdin=subprocess.PIPE) as plc,
        ):
            assert plc.stdout is not None
            port = json.loads(plc.stdout.readline())["port"]
            file = Path(place, "line.yaml")
            file.write_text(json.dumps(configuration(port, broker, health, signals)))
            command = (
                sys.executable,
                "-m",
                "gateway",
                "run",
                str(file),
                "--state-dir",
                place,
                "--log-level",
                "WARNING",
            )
            with process(*command) as daemon:
                wait_ready(health)
                time.sleep(WARM_S)
                watched, began = psutil.Process(daemon.pid), time.monotonic()
                before = sum(watched.cpu_times()[:2])
                time.sleep(MEASURE_S)
                share = (sum(watched.cpu_times()[:2]) - before) / (time.monotonic() - began) * 100
                return share, watched.memory_info().rss / 1e6, overruns(health)


def measure() -> list[Result]:
    """At 1,000 and 10,000 float32 signals a second, all of them changing."""
    results = []
    for signals in (1_000, 10_000):
        share, memory, skipped = run(signals)
        name = f"{signals:,} signals a second"
        results += [
            Result("daemon", f"{name}: processor", share, "% of a core"),
            Result("daemon", f"{name}: memory", memory, "MB resident"),
            Result("daemon", f"{name}: scans skipped", skipped, "scans"),
        ]
    return results
