"""The demo's line for a browser: simulator and daemon as processes, with some hours in the daemon's store."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ruamel.yaml import YAML

from gateway.config.model import Config
from gateway.demo.configuration import MACHINES
from gateway.runner.buffer import buffer
from protocols.simulated.machine import Profile
from tests.processes import Daemon, Simulator, free_port, simulator, until
from tests.schemas import hold_cloud_event
from tests.torture.day import MINUTE_MS, Day

MARKUP = '<img src=x onerror="document.title=1">'
"""A recipe as a PLC shows it: the page is to show these characters, and no picture."""
PIN = "4711"
OPERATOR, SUPERVISOR = "anna", "bea"
HOURS = 6
_PLANT = Profile(mean_run_ms=600_000)
_BEFORE_MS = 90_000
"""How long before now the day before ends: the gateway was off meanwhile."""


def document(plc: Simulator) -> dict[str, Any]:
    """The shipped demo, fitted to the simulator, quicker to decide, and with what an operator's page can show."""
    yaml = YAML(typ="safe")
    line: dict[str, Any] = yaml.load((files("gateway") / "data" / "config" / "demo.yaml").read_text(encoding="utf-8"))
    ports = {"filler": plc.port, "capper": plc.ready["capper"], "labeler": plc.ready["labeler"]}
    for name, device in MACHINES.items():
        one = line["devices"][device]
        one["scan_interval"] = "100ms"
        line["machines"][name] |= {"settle": "200ms", "resume": "1s"}
        if "endpoint" in one:
            one["endpoint"] = f"opc.tcp://127.0.0.1:{ports[name]}{urlsplit(one['endpoint']).path}"
        else:
            one["port"] = ports[name]
    line["devices"]["capper_plc"]["signals"]["recipe"] = {"node": "nsu=urn:acme:capper;s=Recipe"}
    line["machines"]["filler"]["reasons"][29] = {"text": f"cleaning {MARKUP}", "group": "hygiene", "category": "setup"}
    operators = [(OPERATOR, "operator"), (SUPERVISOR, "supervisor")]
    line["health"] = {
        "listen": f"127.0.0.1:{free_port()}",
        "operators": [{"name": name, "pin": {"env": "PIN"}, "role": role} for name, role in operators],
    }
    return line


class Running:
    """What a test of the page has: the line's PLCs, its daemon, and what comes into the daemon's file uplink."""

    def __init__(self, plc: Simulator, daemon: Daemon) -> None:
        self.plc = plc
        self.daemon = daemon
        self._file = daemon.state / "events.ndjson"
        self._read = 0
        self.before: list[dict[str, Any]] = []
        """What this daemon's uplink had to tell of the hours before."""
        self._told: list[dict[str, Any]] = []

    def told(self, kind: str, subject: str | None = None, /, **data: Any) -> list[dict[str, Any]]:
        """Data of the uplink's events by short type, subject and what they say, in the order in which they came."""
        with self._file.open("rb") as file:
            file.seek(self._read)
            whole = file.read().rpartition(b"\n")[0]
        self._read += len(whole) + 1 if whole else 0
        for event in map(json.loads, whole.splitlines()):
            if self._told or event["type"] == "linegate.gateway.started.v1":
                hold_cloud_event(event)
                self._told.append(event)
            else:
                self.before.append(event)
        return chosen(self._told, kind, subject, **data)

    def of_an_hour_that_is_over(self, machine: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """A stop without a reason of the hours before, the latest whose hour is over, and that hour's figures."""
        self.told("machine.kpi")
        stops = chosen(self.before, "machine.stop", machine, kind="external", reason=None)
        windows = chosen(self.before, "machine.kpi", machine, window="hour")
        return next(
            (stop, window)
            for window in reversed(windows)
            for stop in reversed(stops)
            if stop["ended"] and window["began"] <= stop["began"] and stop["ended"] <= window["ended"]
        )

    async def first(self, kind: str, subject: str | None = None, /, **data: Any) -> dict[str, Any]:
        """The first such event's data, once it has come."""
        found: list[dict[str, Any]] = await until(lambda: self.told(kind, subject, **data))
        return found[0]

    async def another(self, kind: str, subject: str, key: str, known: set[str], /, **data: Any) -> dict[str, Any]:
        """The first such event's data of what is not among those that are known by their `key`, once it has come."""
        found: list[dict[str, Any]] = await until(
            lambda: [one for one in self.told(kind, subject, **data) if one[key] not in known]
        )
        return found[0]

    async def stand(self, machine: str) -> dict[str, Any]:
        """A machine starves for a while, which nobody gave a reason for; the stop once it has ended."""
        known = {stop["stop"] for stop in self.told("machine.stop", machine)}
        await self.plc.tell(action="starve", machine=machine)
        stop = await self.another("machine.stop", machine, "stop", known)
        await self.plc.tell(action="feed", machine=machine)
        ended: list[dict[str, Any]] = await until(
            lambda: [one for one in self.told("machine.stop", machine, stop=stop["stop"]) if one["ended"]]
        )
        return ended[0]


def chosen(events: list[dict[str, Any]], kind: str, subject: str | None = None, /, **data: Any) -> list[dict[str, Any]]:
    """The data of those that are of a short type, of a subject, and say this."""
    return [
        event["data"]
        for event in events
        if event["type"] == f"linegate.{kind}.v1"
        and subject in (None, event["subject"])
        and all(event["data"].get(key) == value for key, value in data.items())
    ]


@asynccontextmanager
async def running(place: Path) -> AsyncIterator[Running]:
    """The line, ready and making parts."""
    machines = ("--capper", "0", "--labeler", "0", "--chaos", "off", "--frozen", "--recipe", MARKUP)
    async with simulator(*machines) as plc:
        line = document(plc)
        await _live_before(place, Config.model_validate(line))
        daemon = Daemon(place, line, environment={"PIN": PIN})
        await daemon.start()
        await plc.tell(action="thaw")
        try:
            yield Running(plc, daemon)
        finally:
            await daemon.stop()


async def _live_before(place: Path, config: Config) -> None:
    """As if the same gateway had run for some hours: its events and the engine's checkpoint are in its buffer."""
    now = time.time_ns() // 1_000_000
    day = Day(config, begin=now - HOURS * 60 * MINUTE_MS - _BEFORE_MS, profile=_PLANT)
    async with buffer(place / config.buffer.path, config.buffer, config.uplinks) as outbox:
        outbox.checkpoint = day.pipeline.checkpoint
        for _ in range(HOURS * 60):
            outbox.append(day.minute())
        await outbox.flush()
