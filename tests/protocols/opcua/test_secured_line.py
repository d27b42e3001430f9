"""Values over secured channels whose keys are renewed under way, subscribed and polled, by the fast path too."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from protocols.opcua import session
from tests.peers.opcua.pki import Authority
from tests.peers.opcua.processes import asyncua_server, node_opcua_server
from tests.protocols.opcua.line import at, device, running


@pytest.mark.parametrize("stack", ["asyncua", "node-opcua"])
async def test_values_go_on_while_keys_change(
    stack: str, decoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    granted_s = 3600 if stack == "asyncua" else 600
    monkeypatch.setattr(session, "RENEW_AT", 0.7 / granted_s)
    pki = tmp_path / "pki"
    own = Authority(tmp_path / "clients").client("urn:linegate:test:client")
    serving = asyncua_server("--pki", str(pki)) if stack == "asyncua" else node_opcua_server(pki=pki)
    async with serving as server:
        security = {
            "policy": "Basic256Sha256", "mode": "sign_and_encrypt", "certificate": str(own.certificate),
            "private_key": str(own.key), "server_certificate": server.ready["certificate"],
        }  # fmt: skip
        signals = {"x": at("Scalars.Int32"), "y": at("Scalars.Int32", scan_interval="200ms")}
        for mode in ("subscribe", "poll"):
            async with running(device(server.url, signals, mode=mode, security=security, timeout="5s")) as line:
                await line.until(lambda: line.table.good == 2)
                for number in range(10):
                    await server.tell("set", node="Scalars.Int32", value=number)
                    await line.shows("x", number)
                    await asyncio.sleep(0.1)
                assert line.runner.reconnects == 0
