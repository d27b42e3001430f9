"""What tests of the OPC UA driver share: both decoders, both servers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from protocols.opcua import fastpath
from tests.peers.opcua.processes import OpcUaServer, asyncua_server, node_opcua_server


@pytest.fixture(params=["native", "plain"])
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """`ext.opcua`, or asyncua alone, which must do the same."""
    if request.param == "plain":
        monkeypatch.setattr(fastpath, "usable", lambda: False)
    else:
        assert fastpath.usable(), "the extension is built, and asyncua is the one that it knows"
    return str(request.param)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def asyncua_peer() -> AsyncIterator[OpcUaServer]:
    async with asyncua_server("--nodes", "40") as server:
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def node_peer() -> AsyncIterator[OpcUaServer]:
    async with node_opcua_server("--nodes", "40") as server:
        yield server


@pytest.fixture(params=["asyncua", "node-opcua"])
def peer(request: pytest.FixtureRequest) -> OpcUaServer:
    """Either server."""
    server: OpcUaServer = request.getfixturevalue("asyncua_peer" if request.param == "asyncua" else "node_peer")
    return server
