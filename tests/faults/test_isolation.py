"""Whatever a driver meets or does, the scans of its neighbours in the same daemon stay on their grid."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.conftest import line_document
from tests.peers.opcua.processes import asyncua_server
from tests.peers.opcua.values import many_path
from tests.peers.witness import NAME, witness
from tests.processes import Daemon, daemon, free_port, reload, until

PERIOD_S = 0.25
WATCHED_S = 5.0
NODES = 100
LEVEL = {"level": {"address": "holding:7", "type": "uint16"}}
UNASKED = b"".join(struct.pack(">HHHBBBH", n, 0, 5, 1, 3, 2, n) for n in range(5000))
"""Modbus replies that are whole, and that nobody asked for."""
ENDLESS = struct.pack("<4sI", b"ACKF", 0xFFFF_FFF0) + bytes(65536)
"""An OPC UA message that never ends."""
THROWS = """
from protocols.modbus.driver import ModbusDriver
read = ModbusDriver.read

async def throws(self):
    batch = await read(self)
    return batch if batch.device != "throws" else batch.nothing_of_the_kind

ModbusDriver.read = throws
"""
"""A `sitecustomize` of the daemon: the driver of one device has a bug."""


class _Silent(socketserver.BaseRequestHandler):
    """Takes what comes and never answers."""

    def handle(self) -> None:
        while self.request.recv(65536):
            pass


class _Flooding(socketserver.BaseRequestHandler):
    """Sends as fast as it is read, for ever."""

    chunk: bytes

    def handle(self) -> None:
        try:
            while True:
                self.request.sendall(self.chunk)
        except OSError:
            pass


@contextmanager
def peer(handler: type[socketserver.BaseRequestHandler]) -> Iterator[int]:
    """The port of a device that a thread serves, not the loop that notes when the witness is asked."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


def flooding(what: bytes) -> type[_Flooding]:
    """A handler of that."""
    return type("Flooding", (_Flooding,), {"chunk": what})


def modbus(port: int) -> dict[str, Any]:
    return {"protocol": "modbus_tcp", "host": "127.0.0.1", "port": port, "scan_interval": "50ms", "timeout": "1s",
            "signals": LEVEL}  # fmt: skip


def opcua(url: str, *nodes: str) -> dict[str, Any]:
    signals = {f"n{number}": {"node": f"nsu=urn:linegate:test;s={node}"} for number, node in enumerate(nodes)}
    return {"protocol": "opcua", "endpoint": url, "mode": "subscribe", "scan_interval": "50ms", "signals": signals}


def ethernet_ip(port: int) -> dict[str, Any]:
    return {"protocol": "ethernet_ip", "host": "127.0.0.1", "port": port, "slot": 0, "scan_interval": "50ms",
            "signals": {"speed": {"tag": "Speed"}}}  # fmt: skip


async def counts(one: Daemon) -> dict[str, dict[str, Any]]:
    """What /health counts of each device."""
    checks = json.loads((await one.get("/health"))[1])["checks"]
    return {name.partition(":")[2]: check[0]["observedValue"] for name, check in checks.items() if ":" in name}


async def resident(one: Daemon) -> float:
    text = (await one.get("/metrics"))[1]
    return float(re.findall(r"^linegate_process_resident_memory_bytes (\S+)$", text, re.MULTILINE)[0])


async def test_no_driver_moves_anothers_scans(tmp_path: Path) -> None:
    """Peers that hang, that are not there and that flood, and a driver that throws, come to a device that is well."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(THROWS)
    path = os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")])
    with peer(_Silent) as silent, peer(flooding(UNASKED)) as unasked, peer(flooding(ENDLESS)) as endless:
        async with (
            witness(PERIOD_S) as watched,
            witness(PERIOD_S) as well,
            asyncua_server("--nodes", str(NODES), "--interval", "1") as server,
        ):
            document = line_document(
                machines={}, devices={NAME: watched.device}, health={"listen": f"127.0.0.1:{free_port()}"}
            )
            async with daemon(tmp_path, document, environment={"PYTHONPATH": path}) as one:
                await until(lambda: watched.seen >= 8)
                assert one.process is not None
                watched.begin(one.process.pid)
                overruns = (await counts(one))[NAME]["overruns"]
                silent_url, endless_url = f"opc.tcp://127.0.0.1:{silent}", f"opc.tcp://127.0.0.1:{endless}"
                neighbours = {
                    "hangs_modbus": modbus(silent), "hangs_opcua": opcua(silent_url, "x"),
                    "hangs_eip": ethernet_ip(silent), "gone": modbus(free_port()),
                    "floods_modbus": modbus(unasked), "floods_eip": ethernet_ip(endless),
                    "endless_opcua": opcua(endless_url, "x"),
                    "floods_opcua": opcua(server.url, *map(many_path, range(NODES))),
                    "throws": {**well.device, "scan_interval": "50ms"},
                }  # fmt: skip
                code, _, said = await reload(one, document | {"devices": document["devices"] | neighbours})
                assert code == 0, said
                await until(lambda: floods(one, 0))
                await until(lambda: "driver_failed" in one.log.read_text())
                before, memory = (await counts(one))["floods_opcua"]["bytes_read"], await resident(one)
                await asyncio.sleep(WATCHED_S)
                watched.look()
                down = {name for name, device in (await one.line())["devices"].items() if not device["connected"]}
                found, grown = await counts(one), await resident(one) - memory
                assert await floods(one, before + WATCHED_S * NODES * 20)
                assert await one.stop() == 0
    assert watched.scans + watched.excused >= WATCHED_S / PERIOD_S
    assert (watched.skipped, found[NAME]["reconnects"]) == (0, 0), watched.longest_s
    assert found[NAME]["overruns"] - overruns <= watched.excused
    assert watched.longest_s < 2 * PERIOD_S
    assert down == set(neighbours) - {"floods_opcua"}
    assert grown < 20e6


async def floods(one: Daemon, more_than: float) -> bool:
    """Whether so many bytes of values have come."""
    return bool((await counts(one)).get("floods_opcua", {}).get("bytes_read", 0) > more_than)
