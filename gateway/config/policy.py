"""Names the rules by which each machine's KPIs are computed, whatever else the configuration says."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway.config.model import Config

FORMULAS = 2
"""Version of the formulas; a change of a published figure is a new one."""
_LINE = ("calendar", "products", "jobs", "reasons", "kpi")
_MACHINE = {
    *("states", "packml_state", "parts", "ideal", "mode", "categories", "settle", "no_output", "resume"),
    *("short_stop", "reasons", "minor_stops", "max_plausible"),
}


def policy_digests(config: Config) -> dict[str, str]:
    """By machine, and of the line: 16 hex digits of SHA-256."""
    shared: Mapping[str, Any] = {
        "formulas": FORMULAS,
        "time_zone": config.line.time_zone,
        "heartbeats": {
            name: device.heartbeat.model_dump(mode="json")
            for name, device in config.devices.items()
            if device.heartbeat is not None
        },
        **config.model_dump(mode="json", by_alias=True, include=set(_LINE)),
    }
    machines = {
        name: _digest({**shared, "machine": machine.model_dump(mode="json", by_alias=True, include=_MACHINE)})
        for name, machine in config.machines.items()
    }
    line = config.model_dump(mode="json", by_alias=True, include={"flow": True, "line": {"constraint", "out", "unit"}})
    return {**machines, "line": _digest({**line, "machines": machines})}


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
