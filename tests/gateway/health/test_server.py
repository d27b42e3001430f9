"""Where the endpoint listens: a name is looked up where it holds nothing up."""

from __future__ import annotations

import asyncio
import socket
import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.config.health import HealthConfig
from gateway.health.server import HealthServer
from tests.processes import until


async def test_a_name_that_takes_long_holds_the_loop_not_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answered = threading.Event(), threading.Event()
    create = socket.create_server

    def slow(*arguments: Any, **more: Any) -> socket.socket:
        asked.set()
        assert answered.wait(20), "the loop did not go on meanwhile"
        return create(*arguments, **more)

    monkeypatch.setattr(socket, "create_server", slow)
    config = SimpleNamespace(health=HealthConfig(listen="localhost:0"))
    server = HealthServer(cast(Any, SimpleNamespace(config=config)))
    listening = asyncio.ensure_future(server._listen("localhost", 0))
    await until(asked.is_set)
    answered.set()
    (await listening).close()
