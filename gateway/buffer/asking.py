"""Where the operations are asked for: of the daemon that runs, else of its buffer under its lock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.buffer.operations import Operations
from gateway.config.model import Config
from gateway.control.client import ask_daemon
from gateway.control.wire import ControlError, NoDaemon
from gateway.outbox.errors import BufferError
from gateway.runner.buffer import buffer

Take = Callable[[dict[str, Any]], None]


def answer(config: Config, state_dir: Path, take: Take, do: str, **given: Any) -> None:
    """Let `take` have each item of an answer as it comes. Raises ControlError or BufferError, in words."""
    path = state_dir / config.buffer.path
    try:
        for item in ask_daemon(state_dir, path, do, **given):
            take(item)
    except NoDaemon:
        if not path.exists():
            raise BufferError(f"there is no buffer {path}", "give the state directory with --state-dir") from None
        asyncio.run(_alone(config, path, take, do, given))


async def _alone(config: Config, path: Path, take: Take, do: str, given: dict[str, Any]) -> None:
    failed: list[ControlError] = []
    async with buffer(path, config.buffer, config.uplinks) as outbox:
        operations = Operations(outbox, tuple(config.uplinks), config.source)
        try:
            async for item in operations.handlers[do](given):
                take(item)
        except ControlError as error:  # not through the store's task group, which would wrap it
            failed.append(error)
    if failed:
        raise failed[0]
