"""Values over secured channels whose keys are renewed under way, subscribed and polled, by the fast path too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from protocols.opcua import session
from tests.peers.opcua.pki import Authority, Issued
from tests.peers.opcua.processes import OpcUaServer, asyncua_server, node_opcua_server
from tests.protocols.opcua.line import at, device, running

pytestmark = pytest.mark.asyncio(loop_scope="module")
GRANTED_S = {"asyncua": 3600, "node-opcua": 600}
RENEWED_S = 0.3


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Issued:
    return Authority(tmp_path_factory.mktemp("clients")).client("urn:linegate:test:client")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=list(GRANTED_S))
async def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[OpcUaServer]:
    pki: Path = tmp_path_factory.mktemp("pki")
    serving = asyncua_server("--pki", str(pki)) if request.param == "asyncua" else node_opcua_server(pki=pki)
    async with serving as one:
        one.ready["granted_s"] = GRANTED_S[request.param]
        yield one


@pytest.mark.parametrize("mode", ["subscribe", "poll"])
async def test_values_go_on_while_keys_change(
    server: OpcUaServer, own: Issued, decoder: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "RENEW_AT", RENEWED_S / server.ready["granted_s"])
    security = {
        "policy": "Basic256Sha256", "mode": "sign_and_encrypt", "certificate": str(own.certificate),
        "private_key": str(own.key), "server_certificate": server.ready["certificate"],
    }  # fmt: skip
    signals = {"x": at("Scalars.Int32"), "y": at("Scalars.Int32", scan_interval="200ms")}
    async with running(device(server.url, signals, mode=mode, security=security, timeout="5s")) as line:
        await line.until(lambda: line.table.good == 2)
        for number in range(6):
            await server.tell("set", node="Scalars.Int32", value=number)
            await line.shows("x", number)
            await asyncio.sleep(0.1)
        assert line.runner.reconnects == 0
