"""Tries every device and every uplink of a configuration once, side by side: for `linegate check --connect`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ext.table import SignalTable
from gateway.config.model import Config
from gateway.events import Envelope
from gateway.lineview import LineView
from gateway.pipeline import Pipeline
from gateway.runner.looking import Found, Looking
from gateway.uplinks.registry import uplink_class
from gateway.uplinks.uplink import UplinkContext
from protocols.driver import LinkError
from protocols.settings import counted

CLOSE_S = 5.0
NOBODY = "00000000-0000-0000-0000-000000000000"
"""A trial has no buffer; nothing that would carry its stream is sent."""
SHOWN = 3
"""Bad signals that are named."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one device or uplink."""

    name: str
    """`device:filler_plc`, `uplink:plant`"""
    good: bool
    words: str
    remedy: str = ""


async def try_everything(config: Config, state_dir: Path, seconds: float, told: Callable[[Trial], None]) -> None:
    """Give each of them so long; `told` has each as soon as it is known, devices last."""
    tables = {name: SignalTable(device.signal_settings) for name, device in config.devices.items()}
    view = LineView(Pipeline(config), tables, config)
    async with asyncio.TaskGroup() as group:
        for name, uplink in config.uplinks.items():
            context = UplinkContext(name, config.line, Envelope(config.source, NOBODY), state_dir, view, trial=True)
            group.create_task(_try_uplink(name, uplink, context, seconds, told))
        group.create_task(_try_devices(config, state_dir, seconds, told))


async def _try_devices(config: Config, state_dir: Path, seconds: float, told: Callable[[Trial], None]) -> None:
    async with Looking(config, state_dir) as looking:
        await looking.settle(seconds)
        for found in looking.found():
            told(_of_device(found))


def _of_device(found: Found) -> Trial:
    name = f"device:{found.device}"
    if not found.connected:
        return Trial(name, False, f"{found.endpoint}: {found.why}", found.remedy)
    bad = [reading for reading in found.readings if reading.quality == "bad"]
    took = "" if found.round_trip_ms is None else f", {found.round_trip_ms:.1f} ms a scan"
    words = f"{found.endpoint}: {counted(len(found.readings), 'signal')}{took}"
    if not bad:
        return Trial(name, True, words)
    named = "; ".join(f"{one.signal}: {one.why}" for one in bad[:SHOWN])
    more = f"; and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
    return Trial(name, False, f"{words}, of which {len(bad)} bad: {named}{more}", "`linegate read` shows them all")


async def _try_uplink(
    name: str, config: Any, context: UplinkContext, seconds: float, told: Callable[[Trial], None]
) -> None:
    began = time.monotonic()
    uplink = uplink_class(config)(config, context)
    try:
        async with asyncio.timeout(seconds):
            await uplink.connect()
        told(Trial(f"uplink:{name}", True, f"{config.type}: connected in {(time.monotonic() - began) * 1000:.0f} ms"))
    except TimeoutError:
        told(Trial(f"uplink:{name}", False, f"{config.type}: no connection within {seconds:g} s", "check the network"))
    except LinkError as error:
        told(Trial(f"uplink:{name}", False, f"{config.type}: {error.why}", error.remedy))
    finally:
        try:
            async with asyncio.timeout(CLOSE_S):
                await uplink.close()
        except (TimeoutError, LinkError):
            pass
