"""The line that is tortured and soaked: the demo's three machines, with more signals and haste in everything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from gateway.demo.configuration import MACHINES, write_configuration
from tests.processes import Daemon, free_port

ROTATE, KEEP = "100kB", 30
"""Of the file uplink; between two looks at it fewer than `KEEP` files are filled, so that none goes unread."""
PARTS, REJECTS = 1_000_000, 30_000
"""Where the PLCs' counters begin: too high to have been reset unseen, so that no number is ambiguous."""
COUNTERS_BEGIN = ("--bottles", str(PARTS), "--rejects", str(REJECTS))
"""Which the simulator is told."""
COUNTERS = {
    "filler": ("bottles", "rejects"), "capper": ("caps", "bad_caps"), "labeler": ("labels", "rejected"),
}  # fmt: skip


def line_document(state: Path, ports: Mapping[str, int], mqtt: int, speed: float, extra: int) -> dict[str, Any]:
    """The demo's configuration against PLCs at `ports`, with `extra` signals of which every change is an event."""
    places = write_configuration(state, ports, speed, free_port())
    document: dict[str, Any] = json.loads(json.dumps(YAML(typ="safe").load(places.configuration)))
    signals = document["devices"]["filler_plc"]["signals"]
    for number in range(extra):
        signals[f"extra_{number}"] = {"address": f"holding:{1000 + 2 * number}", "type": "float32"}
        document["trends"][f"filler_plc.extra_{number}"] = {"on_change": True}
    document["buffer"] = {"path": "line.db"}
    document["uplinks"] = {
        "journal": {"type": "file", "path": "events.ndjson", "rotate": ROTATE, "keep": KEEP, "from": "oldest"},
        "plant": {
            "type": "mqtt",
            "url": f"mqtt://127.0.0.1:{mqtt}",
            "from": "oldest",
            "topic": "events/{subject}/{type}",
        },
    }
    return document


async def has_read(one: Daemon, truths: Mapping[str, Mapping[str, Any]]) -> bool:
    """The counters' last readings are the PLCs'."""
    devices = json.loads((await one.get("/api/line?signals"))[1])["devices"]
    for machine, (parts, rejects) in COUNTERS.items():
        signals = devices[MACHINES[machine]]["signals"]
        truth = truths[machine]
        counted = truth["good"] - REJECTS if machine == "labeler" else truth["total"]
        if (signals[parts]["value"], signals[rejects]["value"]) != (PARTS + counted, REJECTS + truth["rejects"]):
            return False
    return True


async def all_delivered(one: Daemon) -> bool:
    """No uplink has a backlog."""
    return all(uplink["backlog"] == 0 for uplink in (await one.line())["uplinks"].values())
