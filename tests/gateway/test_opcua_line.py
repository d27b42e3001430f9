"""The daemon on a machine behind OPC UA: its states and its parts, through a server that is lost and comes back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import line_document
from tests.processes import Daemon, daemon, free_port, simulator, until

NODE = "nsu=urn:acme:capper;s={}"


def document(url: str, mode: str) -> dict[str, Any]:
    signals = {
        "state": {"node": NODE.format("Status.StateCurrent")},
        "caps": {"node": "/Objects/nsu=urn:acme:capper;Capper/nsu=urn:acme:capper;Admin"
                         "/nsu=urn:acme:capper;ProdProcessedCount"},
        "bad_caps": {"node": NODE.format("Admin.ProdDefectiveCount")},
        "reason": {"node": NODE.format("Admin.StopReason")},
        "torque": {"node": NODE.format("Torque"), "deadband": 0.05},
        "lost": {"node": NODE.format("Nowhere")},
    }  # fmt: skip
    plc = {"protocol": "opcua", "endpoint": url, "mode": mode, "scan_interval": "100ms", "signals": signals}
    machine = {
        "packml_state": "capper_plc.state",
        "ideal": "500ms",
        "parts": {"total": "capper_plc.caps", "scrap": "capper_plc.bad_caps"},
    }
    return line_document(
        devices={"capper_plc": plc}, machines={"capper": machine}, health={"listen": f"127.0.0.1:{free_port()}"}
    )


def of(one: Daemon, kind: str) -> list[dict[str, Any]]:
    return [event["data"] for event in one.events() if event["type"] == f"linegate.{kind}.v1"]


@pytest.mark.parametrize("mode", ["subscribe", "poll"])
async def test_states_and_parts_of_a_capper(tmp_path: Path, mode: str) -> None:
    async with simulator("--capper", "0", "--chaos", "off", "--speed", "20") as plc:
        url = f"opc.tcp://127.0.0.1:{plc.ready['capper']}/plant"
        async with daemon(tmp_path, document(url, mode)) as one:
            await until(lambda: any(event["state"] == "execute" for event in of(one, "machine.state")))
            await plc.tell(action="fault", code=17, machine="capper")
            await until(lambda: any(event["state"] == "held" for event in of(one, "machine.state")))
            await plc.tell(action="mute", machine="capper")
            await until(lambda: of(one, "device.lost"), 40)
            await plc.tell(action="unmute", machine="capper")
            await until(lambda: of(one, "device.restored"), 40)
            await until(lambda: of(one, "signal.quarantined"))
            assert {event["address"] for event in of(one, "signal.quarantined")} == {NODE.format("Nowhere")}
            await plc.tell(action="clear", machine="capper")
            await until(lambda: _has_counted(one))
            assert await one.stop() == 0
            produced = sum(event["total"] for event in of(one, "machine.production"))
            assert produced > 0


async def _has_counted(one: Daemon) -> bool:
    return bool((await one.line())["machines"]["capper"]["ever"]["total"])
