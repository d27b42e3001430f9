"""Sparkplug sessions as a host saw them and as the wire had them, from the first birth to the last death."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.events import Envelope, StoredEvent
from gateway.uplinks.sparkplug.config import SparkplugUplink
from gateway.uplinks.sparkplug.node import SparkplugNode
from gateway.uplinks.uplink import UplinkContext
from protocols.driver import LinkError
from protocols.model import Value
from tests.gateway.uplinks.conftest import Broker
from tests.gateway.uplinks.sparkplug.live import LiveLine, utc_ms
from tests.peers.mqtt_tap import PUBLISH, MqttTap
from tests.peers.sparkplug import SparkplugHost, sparkplug_host

HOUR, MINUTE = 3_600_000, 60_000
REBIRTH_S = 0.3
STREAM = "0192f0c4-0000-4000-8000-000000000000"


@dataclass
class Recording:
    """What the host has decoded, by stage: all messages of it, and what the host knew at its end."""

    tap: MqttTap
    stages: dict[str, tuple[int, int]] = field(default_factory=dict)
    messages: list[dict[str, Any]] = field(default_factory=list)
    known: dict[str, dict[str, Any]] = field(default_factory=dict)
    logs: list[Any] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)

    def of(self, stage: str, *kinds: str, device: str | None = None) -> list[dict[str, Any]]:
        """Sparkplug messages of a stage, or of `""` for all of them; of some types, of one device."""
        first, last = self.stages[stage] if stage else (0, len(self.messages))
        return [
            one
            for one in self.messages[first:last]
            if one["topic"].startswith("spBv1.0/")
            and (not kinds or kind_of(one) in kinds)
            and (device is None or device_of(one) == device)
        ]

    def order(self, stage: str) -> list[str]:
        """Their types, with the device."""
        return [" ".join(filter(None, (kind_of(one), device_of(one)))) for one in self.of(stage)]


def kind_of(message: dict[str, Any]) -> str:
    """`NBIRTH`"""
    return str(message["topic"].split("/")[2])


def device_of(message: dict[str, Any]) -> str:
    """The device, or nothing for the edge node's own."""
    return "/".join(message["topic"].split("/")[4:])


def metrics_of(message: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By name; the last where one is there several times."""
    return {metric["name"]: metric for metric in message["payload"]["metrics"]}


class Session:
    """A node that is connected and served, and the host that looks at it."""

    def __init__(self, node: SparkplugNode, serving: asyncio.Task[None], host: SparkplugHost, line: LiveLine) -> None:
        self.node = node
        self.serving = serving
        self.host = host
        self.line = line

    async def deliver(self, events: list[StoredEvent]) -> None:
        """As the runner does."""
        while events:
            done = await self.node.write(events)
            events = events[done:]

    def begins(self, kind: str, count: int = 1) -> Awaitable[Any]:
        """To be awaited: the host has so many more messages of a type than now, with the device: `DDATA filler`."""
        before = self.host.kinds().count(kind)
        return self.host.until(lambda: self.host.kinds().count(kind) >= before + count)


def context(line: LiveLine, directory: Path) -> UplinkContext:
    """Of the uplink `scada`."""
    return UplinkContext("scada", line.config.line, Envelope(line.config.source, STREAM), directory, line.view)


@asynccontextmanager
async def session(
    port: int, line: LiveLine, told: UplinkContext, host: SparkplugHost, **settings: Any
) -> AsyncIterator[Session]:
    """One connection, from births to death."""
    url = f"mqtt://127.0.0.1:{port}"
    section = {"type": "sparkplug", "url": url, "interval": "100ms", "kpi_interval": "1s", **settings}
    node = SparkplugNode(SparkplugUplink.model_validate(section), told)
    serving: asyncio.Task[None] | None = None
    try:
        await node.connect()
        serving = asyncio.ensure_future(node.serve())
        yield Session(node, serving, host, line)
    finally:
        if serving is not None:
            serving.cancel()
            with contextlib.suppress(asyncio.CancelledError, LinkError):
                await serving
        await node.close()


def record(directory: Path, version: Any) -> Recording:
    """The whole story."""
    with capture_logs() as logs, pytest.MonkeyPatch.context() as patch:
        patch.setattr("gateway.uplinks.sparkplug.node.REBIRTH_S", REBIRTH_S)
        recording = asyncio.run(_record(directory, version))
    recording.logs = list(logs)
    return recording


async def _record(directory: Path, version: Any) -> Recording:
    broker = Broker(directory)
    await broker.start()
    try:
        async with MqttTap(broker.port) as tap, sparkplug_host(broker.port) as host:
            recording = Recording(tap)
            line = _morning()
            told = context(line, directory)
            stage = _Stages(recording, host)
            with contextlib.suppress(LinkError):
                async with session(tap.port, line, told, host, version=version) as one:
                    await _live(one, stage, recording)
                    tap.cut()
                    await one.serving
            await stage.ends("cut", 1)
            away = _while_away(line)
            recording.notes["away"] = away
            async with session(tap.port, line, told, host, version=version) as one:
                await stage.ends("born again", 1)
                await one.deliver(away)
                await stage.ends("history", 1)
            await stage.ends("closed", 2 if version == 5 else 1)
            recording.messages = host.messages
            recording.notes["ended"] = utc_ms()
            return recording
    finally:
        await broker.kill()


class _Stages:
    def __init__(self, recording: Recording, host: SparkplugHost) -> None:
        self._recording = recording
        self._host = host
        self._first = 0

    async def ends(self, name: str, wills: int = 0) -> None:
        """What was sent by now belongs to this stage, with so many wills that the broker has sent so far."""
        sent = len(self._recording.tap.of(PUBLISH)) + wills
        await self._host.until(lambda: self._host.of_others() >= sent)
        self._recording.known[name] = await self._host.line()
        last = len(self._host.messages)
        self._recording.stages[name] = (self._first, last)
        self._first = last


def _morning() -> LiveLine:
    """Two hours with production, ended windows and all, before anybody connects."""
    now = utc_ms()
    line = LiveLine(at=now - 2 * HOUR)
    quiet: dict[str, Value] = {
        "running": True,
        "fault": 0,
        "speed": 100.0,
        "level": 5.0,
        "recipe": "water",
    }
    line.see("filler_plc", at=now - 2 * HOUR, bottles=1000, serial=(1 << 63) + 5, **quiet)
    line.see("capper_plc", at=now - 2 * HOUR, running=False, caps=3)
    line.see("hall_plc", at=now - 2 * HOUR, temperature=21)
    for minute in range(120):
        line.see("filler_plc", at=now - 2 * HOUR + (minute + 1) * MINUTE - 1, bottles=1000 + 50 * (minute + 1))
        line.see("capper_plc", at=now - 2 * HOUR + (minute + 1) * MINUTE - 1)
        line.see("hall_plc", at=now - 2 * HOUR + (minute + 1) * MINUTE - 1)
    return line


async def _live(one: Session, stage: _Stages, recording: Recording) -> None:
    line, host = one.line, one.host
    await stage.ends("born")
    await one.deliver(list(line.events))
    await stage.ends("backlog")

    data = one.begins("DDATA filler")
    await one.deliver(line.see("filler_plc", fault=17, speed=104.0))
    await data
    data = one.begins("NDATA")
    line.see("hall_plc", temperature=22)
    await data
    await stage.ends("live")

    line.see("filler_plc", level=5.1)  # less than its deadband
    data = one.begins("DDATA capper")
    line.see("capper_plc", caps=4)
    await data
    await stage.ends("deadband")

    data = one.begins("DDATA filler")
    line.see("filler_plc", level=None)
    await data
    data = one.begins("DDATA filler")
    line.see("filler_plc", level=6.0)
    await data
    await stage.ends("quality")

    for number in range(280):
        await one.deliver(line.see("filler_plc", fault=18 + number % 2))
    await stage.ends("many")

    await host.command("NCMD", {"name": "Node Control/Reboot", "type": "Boolean", "value": True})
    await host.command("NCMD", {"name": "signals/filler_plc/fault", "type": "Int64", "value": 1})
    await host.command("DCMD", {"name": "state", "type": "String", "value": "execute"}, device="filler")
    await host.tell("publish", topic="spBv1.0/berlin/NCMD/line-3", base64="//8=")
    rebirth = one.begins("DBIRTH capper", 2)
    await host.ask_rebirth()
    await host.ask_rebirth()
    await rebirth
    await stage.ends("rebirth")

    death = one.begins("DDEATH capper")
    lost = line.lose("capper_plc")
    await one.deliver(lost)
    await death
    await stage.ends("lost")
    birth = one.begins("DBIRTH capper")
    line.find("capper_plc")
    line.see("capper_plc", running=True, caps=5)
    await birth
    await stage.ends("found")


def _while_away(line: LiveLine) -> list[StoredEvent]:
    """A stop and its end, which nobody saw."""
    events: list[StoredEvent] = []
    for fault, bottles in ((0, 7999), (17, 8000), (0, 8001), (23, 8002), (0, 8003)):
        events += line.see("filler_plc", fault=fault, bottles=bottles, speed=90.0 + bottles - 8000)
    return events


def chains(metrics: list[dict[str, Any]]) -> Iterator[tuple[str, list[int]]]:
    """Timestamps of each metric, in the order in which they came."""
    for name in {metric["name"] for metric in metrics}:
        yield name, [metric["timestamp"] for metric in metrics if metric["name"] == name]
