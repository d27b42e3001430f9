"""The daemon on two labelers behind Logix controllers: stops by mode, downloads, and one that is lost alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.conftest import line_document
from tests.processes import Daemon, daemon, free_port, simulator, until

MODULE = "protocols.simulated.ethernet_ip"
SIGNALS = {
    "running": {"tag": "Labeler_Running"},
    "jam": {"tag": "Labeler_Jam"},
    "count": {"tag": "Labeler_Count"},
    "rejects": {"tag": "Labeler.Rejects"},
    "temp": {"tag": "Labeler_Temp", "deadband": 0.5},
    "recipe": {"tag": "Labeler_Recipe"},
    "step": {"tag": "Program:MainProgram.Step"},
    "mode": {"tag": "identity:mode"},
    "rpm": {"object": {"class": 0x2A, "attribute": 7, "type": "int16"}},
    "lost": {"tag": "Labeler_Cuont"},
}


def document(ports: dict[str, int]) -> dict[str, Any]:
    devices = {
        f"{name}_plc": {
            "protocol": "ethernet_ip", "host": "127.0.0.1", "port": port, "scan_interval": "100ms",
            "timeout": "1s" if name == "left" else "10s",  # what only a silent one is to pass
            "signals": SIGNALS,
        }
        for name, port in ports.items()
    }  # fmt: skip
    machines = {
        name: {
            "ideal": "500ms",
            "parts": {"good": f"{name}_plc.count", "scrap": f"{name}_plc.rejects"},
            "states": [
                {"state": "stopped", "when": f"{name}_plc.mode != 6", "reason": "PLC in program mode"},
                {"state": "held", "when": f"{name}_plc.jam", "reason": "jam"},
                {"state": "execute", "when": f"{name}_plc.running"},
                {"state": "idle"},
            ],
        }
        for name in ports
    }
    return line_document(devices=devices, machines=machines, health={"listen": f"127.0.0.1:{free_port()}"})


def of(one: Daemon, kind: str, subject: str) -> list[dict[str, Any]]:
    """Data of all events of a type about a subject."""
    found = [event for event in one.events() if event["type"] == f"linegate.{kind}.v1"]
    return [event["data"] for event in found if event["subject"].partition(".")[0] == subject]


async def test_states_and_parts_of_two_labelers(tmp_path: Path) -> None:
    calm = ("--chaos", "off", "--speed", "20")
    async with simulator(*calm, module=MODULE) as left, simulator(*calm, module=MODULE) as right:
        async with daemon(tmp_path, document({"left": left.port, "right": right.port})) as one:
            await until(lambda: _is_in(one, "left", "execute") and _is_in(one, "right", "execute"))
            lost = of(one, "signal.quarantined", "left_plc")
            assert [event["address"] for event in lost] == ["Labeler_Cuont"]
            assert "did you mean Labeler_Count" in lost[0]["why"]
            await left.tell(action="state", mode="remote_program")
            await until(lambda: _is_in(one, "left", "stopped"))
            assert (_latest(one, "left") or {})["reason"]["text"] == "PLC in program mode"
            await left.tell(action="download")
            await left.tell(action="state", mode="remote_run")
            await until(lambda: _is_in(one, "left", "execute"))
            await left.tell(action="mute")
            await until(lambda: of(one, "device.lost", "left_plc"))
            await until(lambda: _is_in(one, "left", "unknown"))
            await left.tell(action="unmute")
            await until(lambda: of(one, "device.restored", "left_plc"), 40)
            await until(lambda: _is_in(one, "left", "execute"))
            line = await one.line()
            assert line["machines"]["right"]["ever"]["total"] > 0
            assert not of(one, "device.lost", "right_plc")
            assert {event["state"] for event in of(one, "machine.state", "right")} <= {"unknown", "execute", "idle"}
            assert await one.stop() == 0
            assert sum(event["total"] for event in of(one, "machine.production", "left")) > 0


def _is_in(one: Daemon, machine: str, state: str) -> bool:
    latest = _latest(one, machine)
    return latest is not None and latest["state"] == state


def _latest(one: Daemon, machine: str) -> dict[str, Any] | None:
    """What was said last of the interval that began last: those before it may be revised after it began."""
    return max(of(one, "machine.state", machine), key=lambda told: (told["began"], told["rev"]), default=None)
