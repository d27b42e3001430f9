"""A real nats-server for each test that asks for one, and uplinks to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.uplinks.nats.config import NatsUplink
from gateway.uplinks.nats.publisher import NatsPublisher
from gateway.uplinks.uplink import UplinkContext
from tests.peers.nats import NatsServer

Make = Callable[..., NatsPublisher]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    server = NatsServer(tmp_path)
    yield server
    await server.end()


@pytest.fixture
async def make(server: NatsServer, context: UplinkContext) -> AsyncIterator[Make]:
    """Makes uplinks to the server, with settings."""
    made: list[NatsPublisher] = []

    def uplink(told: UplinkContext = context, **settings: Any) -> NatsPublisher:
        section = {"type": "nats", "url": f"nats://127.0.0.1:{server.port}", **settings}
        made.append(NatsPublisher(NatsUplink.model_validate(section), told))
        return made[-1]

    yield uplink
    for one in made:
        await one.close()
