"""The demo's configuration, fitted to this run: the simulator's ports, a free port of our own, times by its speed."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ruamel.yaml import YAML

from gateway.config.loader import load_config
from protocols.settings import parse_cycle, parse_duration

MACHINES = {"filler": "filler_plc", "capper": "capper_plc", "labeler": "labeler_plc"}
"""The device of each machine."""
UPLINK = "journal"
TRUTH = "truth.ndjson"
_SHORTEST_MS = 50
"""Scanning faster than this, however fast the simulation, would only show how busy a daemon can be."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where to look while the demo runs."""

    configuration: Path
    events: Path
    state: Path
    log: Path
    truth: Path
    url: str
    plcs: dict[str, str]
    """Endpoint of each device: by them the daemon behind `url` is known to be ours."""

    def lines(self) -> list[tuple[str, str]]:
        """What is where, for people."""
        pages = [("page", f"{self.url}/"), *((path, self.url + path) for path in ("/health", "/metrics", "/api/line"))]
        kept = [("events", self.events), ("configuration", self.configuration), ("log", self.log)]
        return [*pages, *((name, str(path)) for name, path in kept), ("what really happened", str(self.truth))]


def free_port(wanted: int) -> int:
    """The wanted port of the loopback interface if nobody has it, else another one."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                probe.listen()
            except OSError:
                continue
            taken: int = probe.getsockname()[1]
            return taken
    raise OSError("no free port on 127.0.0.1")


def write_configuration(state: Path, ports: Mapping[str, int], speed: float, own_port: int | None = None) -> Places:
    """Puts a copy of the shipped configuration, comments and all, into the state directory.

    `ports` are the simulated PLCs', by machine; `own_port` is the wanted one of the daemon's endpoint, by default the
    shipped one.
    """
    yaml = YAML()
    yaml.width = 200
    document = yaml.load((files("gateway") / "data" / "config" / "demo.yaml").read_text(encoding="utf-8"))
    host, _, port = str(document["health"]["listen"]).rpartition(":")
    listen = f"{host}:{free_port(int(port) if own_port is None else own_port)}"
    document["health"]["listen"] = listen
    for machine, device in MACHINES.items():
        _fit(document["machines"][machine], document["devices"][device], ports[machine], speed)
    path = state / "demo.yaml"
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(document, file)
    devices = load_config(path).config.devices
    plcs = {device: devices[device].endpoint for device in MACHINES.values()}
    events = state / str(document["uplinks"][UPLINK]["path"])
    return Places(path, events, state, state / "daemon.log", state / TRUTH, f"http://{listen}", plcs)


def _fit(machine: Any, device: Any, port: int, speed: float) -> None:
    """Give a device its simulated PLC, and both the times of a machine that is so much faster."""
    if "endpoint" in device:
        device["endpoint"] = f"opc.tcp://127.0.0.1:{port}{urlsplit(device['endpoint']).path}"
    else:
        device["host"], device["port"] = "127.0.0.1", port
    device["scan_interval"] = f"{_scaled(device['scan_interval'], speed)}ms"
    machine["settle"] = f"{_scaled(machine['settle'], speed)}ms"
    # A machine ten times as fast has a tenth of the cycle; the daemon would rightly doubt its counters otherwise.
    machine["ideal"] = f"{60_000 / parse_cycle(machine['ideal']) * speed:.6f}/min"


def _scaled(duration: str, speed: float) -> int:
    """Milliseconds of a duration of the machine's own time, but never so few that only the processor feels it."""
    own = parse_duration(duration)
    return max(min(own, _SHORTEST_MS), round(own / speed))
