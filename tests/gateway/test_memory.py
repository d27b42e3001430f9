"""What the daemon does without: libraries that its line does not use, validators, and room for what is not written."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import line_document
from tests.processes import broker, free_port, simulator

OTHERS = ("aiohttp", "asyncua", "cryptography", "pycomm3", "pygments", "pymodbus", "rich", "ruamel", "serial",
          "unittest", "zipfile", "zstandard")  # fmt: skip
"""Libraries of other protocols and of other commands."""

RUN = """
import atexit, json, sys

def kept():
    from pydantic import BaseModel
    kinds = list(BaseModel.__subclasses__())
    for kind in kinds:
        kinds += kind.__subclasses__()
    modules = sorted({name.partition(".")[0] for name in sys.modules})
    print(json.dumps({"modules": modules, "validators": [one.__name__ for one in kinds if one.__pydantic_complete__]}))

atexit.register(kept)
from gateway.cli import main
main()
"""

LOAD = """
import sys, tracemalloc
from pathlib import Path
from gateway.config.apart import load_apart

tracemalloc.start()
config = load_apart(Path(sys.argv[1]))
print(tracemalloc.get_traced_memory()[0])
"""


@pytest.fixture
async def kept(tmp_path: Path) -> dict[str, Any]:
    """Top-level modules, and sections with validators, in a daemon that reads Modbus and publishes by MQTT."""
    port = free_port()
    async with simulator() as plc, broker(tmp_path / "broker", port):
        uplinks = {
            "journal": {"type": "file", "path": "events.ndjson"},
            "plant": {"type": "mqtt", "url": f"mqtt://127.0.0.1:{port}"},
        }
        document = line_document(uplinks=uplinks, health={"listen": "127.0.0.1:0"})
        document["devices"]["filler_plc"] = {**document["devices"]["filler_plc"], "port": plc.port}
        file = tmp_path / "line.yaml"
        file.write_text(json.dumps(document))
        command = (sys.executable, "-c", RUN, "run", str(file), "--state-dir", str(tmp_path), "--for", "2s")
        daemon = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        said, _ = await asyncio.wait_for(daemon.communicate(), 60)
    assert daemon.returncode == 0
    found: dict[str, Any] = json.loads(said)
    return found


async def test_the_daemon_has_only_what_its_line_uses(kept: dict[str, Any]) -> None:
    assert {"aiomqtt", "gateway", "protocols", "structlog"} <= set(kept["modules"])
    assert set(OTHERS) & set(kept["modules"]) == set()
    assert kept["validators"] == [], "a default that is a section is made by model_construct"


def test_a_signal_takes_little_more_than_what_is_written_of_it(tmp_path: Path) -> None:
    count, document = 2_000, line_document(machines={})
    signals = {f"extra_{n}": {"address": f"holding:{2 * n}", "type": "float32"} for n in range(count)}
    document["devices"]["filler_plc"] = {**document["devices"]["filler_plc"], "signals": signals}
    (tmp_path / "line.yaml").write_text(json.dumps(document))
    command = [sys.executable, "-c", LOAD, str(tmp_path / "line.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert int(done.stdout) / count < 450


WAITING = """
from gateway.events import Event
from gateway.outbox.encode import encode

def resident():
    return int(open("/proc/self/status").read().partition("RssAnon:")[2].split()[0]) * 1024

data = {"text": "x" * 900}
before = resident()
rows = [encode(Event("machine.state", "filler", number, data))[0] for number in range(20_000)]
print((resident() - before) / sum(row.size for row in rows))
"""


def test_an_event_that_waits_takes_what_it_is_counted_for() -> None:
    """orjson alone would take 8 kB for each."""
    done = subprocess.run([sys.executable, "-c", WAITING], capture_output=True, text=True, check=True, timeout=60)
    assert float(done.stdout) < 1.3
