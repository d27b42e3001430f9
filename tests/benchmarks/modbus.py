"""Processor time of a full Modbus TCP scan in the client: ours beside pymodbus's client and one in C on libmodbus.

Each client is a process of its own and reads the same blocks of 125 registers from the same slave, in C, which runs on
the other core and is not counted. Ours is the real driver: schedule, request, reply, checks, decode, nothing changed.
"""

from __future__ import annotations

import asyncio
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.result import Result
from tests.peers.toolchain import SLAVE, compile_c

CLIENT = Path(__file__).parent / "client.c"
COUNT = 125
BLOCKS = 32
"""Requests of one scan: 1,984 float32."""
ROUNDS = 100
REPEATS = 5
IN_FLIGHT = (1, 8, 16, 32)
_CLIENT_S = 120.0


def processor_s() -> float:
    """Of this process, user and system."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def ours(port: int, in_flight: int) -> float:
    """The driver as the daemon uses it."""
    from ext.table import SignalTable
    from protocols.driver import EndpointConfig, LinkStats
    from protocols.modbus.config import ModbusTcpDevice
    from protocols.modbus.driver import ModbusDriver

    signals = {
        f"f{block}_{at}": {"address": f"holding:{block * COUNT + 2 * at}", "type": "float32"}
        for block in range(BLOCKS)
        for at in range(COUNT // 2)
    }
    signals |= {f"last{b}": {"address": f"holding:{b * COUNT + COUNT - 1}", "type": "uint16"} for b in range(BLOCKS)}
    device = ModbusTcpDevice.model_validate({
        "protocol": "modbus_tcp", "host": "127.0.0.1", "port": port, "scan_interval": "1ms", "in_flight": in_flight,
        "signals": signals,
    })  # fmt: skip
    table = SignalTable(device.signals)
    for number in range(len(table)):
        table.forward(number)
    stats = LinkStats()
    driver = ModbusDriver(EndpointConfig(f"127.0.0.1:{port}", {"plc": device}), {"plc": table}, stats)
    await driver.connect()
    await driver.read()
    asked, began = stats.requests, processor_s()
    for _ in range(ROUNDS):
        batch = await driver.read()
        assert not batch.changes
    used = processor_s() - began
    assert stats.requests - asked == BLOCKS * ROUNDS, "125 registers a request"
    assert stats.request_errors == stats.timeouts == 0
    await driver.close()
    return used


async def pymodbus(port: int) -> float:
    """The library's client alone, one request at a time, which is all that it does."""
    from pymodbus.client import AsyncModbusTcpClient

    client = AsyncModbusTcpClient("127.0.0.1", port=port)
    assert await client.connect()
    await client.read_holding_registers(0, count=COUNT)
    began = processor_s()
    for _ in range(ROUNDS):
        for block in range(BLOCKS):
            reply = await client.read_holding_registers(block * COUNT, count=COUNT)
            assert len(reply.registers) == COUNT
    used = processor_s() - began
    client.close()
    return used


def child(what: str, port: int) -> None:
    """What `python -m tests.benchmarks.modbus WHAT PORT` does: prints the processor time of all requests."""
    import uvloop

    name, _, in_flight = what.partition(":")
    if name == "ours":
        print(uvloop.run(ours(port, int(in_flight))))
    else:
        print((uvloop.run if in_flight == "uvloop" else asyncio.run)(pymodbus(port)))


def pinned(*command: str) -> float:
    """The number that a process prints, run on the first of the cores that we have."""
    core = min(os.sched_getaffinity(0))
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, timeout=_CLIENT_S, check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )  # fmt: skip
    return float(done.stdout)


def measure() -> list[Result]:
    """Microseconds of processor time a request; the clients take turns, so that a slower moment meets all of them."""
    python = (sys.executable, "-m", "tests.benchmarks.modbus")
    with tempfile.TemporaryDirectory() as folder:
        slave_program, client = compile_c(SLAVE, Path(folder)), compile_c(CLIENT, Path(folder))
        last_core = max(os.sched_getaffinity(0))
        slave = subprocess.Popen(
            [slave_program, "tcp", "0", "1"], stdout=subprocess.PIPE, text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {last_core}),
        )  # fmt: skip
        try:
            assert slave.stdout is not None
            port = slave.stdout.readline().split()[1]
            commands = {
                "libmodbus": (str(client), port, "1", str(BLOCKS), str(ROUNDS)),
                "pymodbus": (*python, "pymodbus:", port),
                "pymodbus on uvloop": (*python, "pymodbus:uvloop", port),
            } | {f"in_flight {n}": (*python, f"ours:{n}", port) for n in IN_FLIGHT}
            times: dict[str, list[float]] = {name: [] for name in commands}
            for _ in range(REPEATS):
                for name, command in commands.items():
                    times[name].append(pinned(*command) / (BLOCKS * ROUNDS) * 1e6)
        finally:
            slave.terminate()
            slave.wait(10)
    return figures({name: statistics.median(each) for name, each in times.items()})


def figures(us: dict[str, float]) -> list[Result]:
    """The others alone, and ours to each of them."""
    unit = "µs of processor/request"
    others = ("libmodbus", "pymodbus", "pymodbus on uvloop")
    results = [Result("modbus", f"{name}, one request at a time", us[name], unit) for name in others]
    for in_flight in IN_FLIGHT:
        mine = us[f"in_flight {in_flight}"]
        for other in others:
            name = f"scan of {BLOCKS} requests, in_flight {in_flight}"
            results.append(Result("modbus", name, mine, unit, other, mine / us[other]))
    return results


if __name__ == "__main__":
    child(sys.argv[1], int(sys.argv[2]))
