"""Processor time of values from an OPC UA server in the client, polled and subscribed: ours beside plain asyncua.

Each client is a process of its own with the same 1,000 nodes of the same node-opcua server, which runs on another core
and is not counted. Ours is the real driver: session, request, response, decode, quality, source time, change detection.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from tests.benchmarks.result import Result
from tests.peers.opcua import values
from tests.peers.opcua.processes import node_opcua_server

NODES = 1000
TICK_MS = 100
POLLS = 100
NOTIFICATIONS = 50_000
REPEATS = 3
_CLIENT_S = 120.0
_TARGETS_US = {"poll": 1.5, "subscribe": 2.0}


def processor_s() -> float:
    """Of this process, user and system."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def resident_kb() -> int:
    """Memory of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() // 1024


async def ours(url: str, mode: str, least: int) -> dict[str, float]:
    """The driver as the daemon uses it, with every change of every signal handed out."""
    from ext.table import SignalTable
    from protocols.driver import EndpointConfig, LinkStats
    from protocols.opcua.config import OpcuaDevice
    from protocols.opcua.driver import OpcuaDriver

    signals = {
        f"n{number}": {"node": f"nsu={values.NAMESPACE};s={values.many_path(number)}"} for number in range(NODES)
    }
    interval = f"{TICK_MS}ms" if mode == "subscribe" else "10ms"
    section = {"protocol": "opcua", "endpoint": url, "mode": mode, "scan_interval": interval, "signals": signals}
    device = OpcuaDevice.model_validate(section)
    table = SignalTable(device.signals)
    for number in range(NODES):
        table.forward(number, exact=mode == "subscribe")
    driver = OpcuaDriver(EndpointConfig(url, {"plc": device}), {"plc": table}, LinkStats())
    await driver.connect()
    while table.good < NODES:
        await driver.read()
    began, memory, count = processor_s(), resident_kb(), 0
    while count < least:
        batch = await driver.read()
        count += len(batch.changes) if mode == "subscribe" else NODES
    used = processor_s() - began
    grown = resident_kb() - memory
    assert table.good == NODES
    await driver.close()
    return {"us": used / count * 1e6, "grown_kb": grown}


async def asyncua(url: str, mode: str, least: int) -> dict[str, float]:
    """asyncua's own client as its documentation shows it."""
    from asyncua import Client

    class Counter:
        def __init__(self) -> None:
            self.count = 0
            self.enough = asyncio.Event()

        def datachange_notification(self, node: Any, value: Any, data: Any) -> None:
            self.count += 1
            if self.count >= NODES + least:
                self.enough.set()

    async with Client(url) as client:
        index = await client.get_namespace_index(values.NAMESPACE)
        nodes = [client.get_node(f"ns={index};s={values.many_path(number)}") for number in range(NODES)]
        if mode == "poll":
            await client.read_values(nodes)
            began = processor_s()
            for _ in range(least // NODES):
                await client.read_values(nodes)
            return {"us": (processor_s() - began) / least * 1e6, "grown_kb": 0}
        seen = Counter()
        subscription = await client.create_subscription(TICK_MS, seen)
        await subscription.subscribe_data_change(nodes)
        await asyncio.sleep(1.0)
        began, before = processor_s(), seen.count
        await seen.enough.wait()
        return {"us": (processor_s() - began) / (seen.count - before) * 1e6, "grown_kb": 0}


def child(what: str, url: str, mode: str, least: int) -> None:
    """What `python -m tests.benchmarks.opcua WHAT URL MODE LEAST` does: prints the measured."""
    import uvloop

    logging.getLogger("asyncua").setLevel(logging.CRITICAL)
    run: Callable[..., Any] = ours if what == "ours" else asyncua
    print(json.dumps(uvloop.run(run(url, mode, least))))


def pinned(what: str, url: str, mode: str, least: int) -> dict[str, float]:
    """What a client prints, run on the first of the cores that we have."""
    core = min(os.sched_getaffinity(0))
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.opcua", what, url, mode, str(least)],
        stdout=subprocess.PIPE, text=True, timeout=_CLIENT_S, check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )  # fmt: skip
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


async def _measured() -> list[Result]:
    results = []
    async with node_opcua_server("--nodes", str(NODES), "--interval", str(TICK_MS)) as server:
        os.sched_setaffinity(server.ready["pid"], {max(os.sched_getaffinity(0))})
        for mode, least in (("poll", POLLS * NODES), ("subscribe", NOTIFICATIONS)):
            times: dict[str, list[float]] = {"ours": [], "asyncua": []}
            for _ in range(REPEATS):
                for what, each in times.items():
                    each.append((await asyncio.to_thread(pinned, what, server.url, mode, least))["us"])
            mine, theirs = (statistics.median(each) for each in times.values())
            name = f"{mode}, {NODES} nodes"
            results.append(Result("opcua", name, mine, "µs of processor/value", "asyncua", mine / theirs))
            results.append(Result("opcua", name, mine, "µs of processor/value", "target", mine / _TARGETS_US[mode]))
    return results


def measure() -> list[Result]:
    """Microseconds of processor time a value; the clients take turns, so that a slower moment meets both."""
    return asyncio.run(_measured())


if __name__ == "__main__":
    child(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
