"""What tests of the OPC UA driver share: both decoders, both servers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from asyncua.ua import uatypes

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


@pytest.fixture(autouse=True, scope="module")
def types_that_a_client_loads_are_of_its_file_alone() -> Iterator[None]:
    """asyncua keeps them for the whole process, and the drivers of the files that come next would meet them."""
    kept = (
        uatypes.extension_objects_by_datatype,
        uatypes.extension_objects_by_typeid,
        uatypes.datatype_by_extension_object,
        uatypes.typeid_by_extension_objects,
        uatypes.enums_by_datatype,
        uatypes.enums_datatypes,
    )
    before = [dict(one) for one in kept]
    yield
    for one, was in zip(kept, before, strict=True):
        one.clear()
        one.update(was)


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
