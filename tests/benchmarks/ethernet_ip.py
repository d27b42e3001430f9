"""Processor time a value of cyclic reads over EtherNet/IP: our driver beside pycomm3's `read()` of the same tags.

Each client is a process of its own on one core; the server, the simulated controller, runs on the other and is not
counted. Ours is the real driver: schedule, packets, checks, decode, and what the daemon is given of each change.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time

from tests.benchmarks.modbus import processor_s
from tests.benchmarks.result import Result

TAGS, ELEMENTS = 1000, 900
"""pycomm3 1.2.16 asks for 1,000 REALs unfragmented, which one packet of 4,000 bytes does not hold: it gets nothing."""
SCALARS = (50, 200, 1000)
KINDS = {f"{count} scalars": count for count in SCALARS} | {f"array of {ELEMENTS} elements": ELEMENTS}
SECONDS = 0.4
"""How long one client is measured at one kind."""
REPEATS = 3
_CLIENT_S = 60.0


def tags(kind: str) -> list[str]:
    """What pycomm3 is asked for."""
    if kind.startswith("array"):
        return [f"Extra_Array{{{ELEMENTS}}}"]
    return [f"Extra_{n:04}" for n in range(KINDS[kind])]


async def ours(port: int, kind: str, *, changing: bool) -> tuple[float, float]:
    """Seconds of processor time and of the clock a value."""
    from ext.table import SignalTable
    from protocols.driver import EndpointConfig, LinkStats
    from protocols.ethernet_ip.config import EthernetIpDevice
    from protocols.ethernet_ip.driver import EthernetIpDriver

    count = KINDS[kind]
    names = [f"Extra_Array[{n}]" for n in range(count)] if kind.startswith("array") else tags(kind)
    device = EthernetIpDevice.model_validate({
        "protocol": "ethernet_ip", "host": "127.0.0.1", "port": port, "scan_interval": "1ms", "timeout": "5s",
        "signals": {f"s{n}": {"tag": name} for n, name in enumerate(names)},
    })  # fmt: skip
    table = SignalTable(device.signals)
    for number in range(count):
        table.forward(number)
    stats = LinkStats()
    driver = EthernetIpDriver(EndpointConfig("bench", {"plc": device}), {"plc": table}, stats)
    await driver.connect()
    await driver.read()
    assert table.good == count
    scans = changes = 0
    used, began = processor_s(), time.monotonic()
    while time.monotonic() - began < SECONDS:
        changes += len((await driver.read()).changes)
        scans += 1
    took, used = time.monotonic() - began, processor_s() - used
    await driver.close()
    assert (changes > scans * count // 2) if changing else not changes
    return used / (scans * count), took / (scans * count)


def pycomm3(port: int, kind: str) -> tuple[float, float]:
    """The same of pycomm3, whose upload is not counted either."""
    from pycomm3 import LogixDriver

    with LogixDriver(f"127.0.0.1:{port}/0") as plc:
        asked = tags(kind)
        plc.read(*asked)
        scans = 0
        used, began = processor_s(), time.monotonic()
        while time.monotonic() - began < SECONDS:
            assert plc.read(*asked)
            scans += 1
        took, used = time.monotonic() - began, processor_s() - used
    return used / (scans * KINDS[kind]), took / (scans * KINDS[kind])


def child(who: str, port: int) -> None:
    """What `python -m tests.benchmarks.ethernet_ip WHO PORT` does: prints both figures of each kind."""
    import uvloop

    def one(kind: str) -> tuple[float, float]:
        return pycomm3(port, kind) if who == "pycomm3" else uvloop.run(ours(port, kind, changing=who == "changing"))

    print(json.dumps({kind: one(kind) for kind in KINDS}))


def client(who: str, port: int) -> dict[str, tuple[float, float]]:
    """A client's figures, run on the first of the cores that we have."""
    core = min(os.sched_getaffinity(0))
    done = subprocess.run(
        (sys.executable, "-m", "tests.benchmarks.ethernet_ip", who, str(port)), stdout=subprocess.PIPE, text=True,
        timeout=_CLIENT_S, check=True, preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )  # fmt: skip
    return {kind: (float(used), float(took)) for kind, (used, took) in json.loads(done.stdout).items()}


def server(*arguments: str) -> subprocess.Popen[str]:
    """The simulated controller, on the last core."""
    core = max(os.sched_getaffinity(0))
    return subprocess.Popen(
        (sys.executable, "-m", "protocols.simulated.ethernet_ip", "--extra-tags", str(TAGS), *arguments),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )  # fmt: skip


def measure() -> list[Result]:
    """The clients take turns, so that a slower moment meets all of them; values are unchanged, or all are others."""
    still, fast = server("--frozen", "--chaos", "off"), server("--speed", "1000", "--chaos", "off")
    try:
        ports = {}
        for name, process in (("ours", still), ("changing", fast)):
            assert process.stdout is not None
            ports[name] = int(json.loads(process.stdout.readline())["port"])
        ports["pycomm3"] = ports["ours"]
        times: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for _ in range(REPEATS):
            for who, port in ports.items():
                for kind, figure in client(who, port).items():
                    times.setdefault((who, kind), []).append(figure)
    finally:
        for process in (still, fast):
            process.terminate()
            process.wait(10)
    return [result for kind in KINDS for result in figures(kind, times)]


def figures(kind: str, times: dict[tuple[str, str], list[tuple[float, float]]]) -> list[Result]:
    """Processor time a value, and values a second, of all three and ours to pycomm3's."""
    found = {}
    for who in ("pycomm3", "ours", "changing"):
        each = times[who, kind]
        found[who] = statistics.median(used for used, _ in each) * 1e6, 1 / statistics.median(took for _, took in each)
    results = []
    for who, label in (("pycomm3", "pycomm3"), ("ours", "unchanged"), ("changing", "all changed")):
        versus = "" if who == "pycomm3" else "pycomm3"
        for place, unit in ((0, "µs of processor/value"), (1, "values/s")):
            value = found[who][place]
            ratio = value / found["pycomm3"][place] if versus else None
            results.append(Result("ethernet_ip", f"{kind}, {label}", value, unit, versus, ratio))
    return results


if __name__ == "__main__":
    child(sys.argv[1], int(sys.argv[2]))
