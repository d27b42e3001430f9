"""The OPC UA servers that tests speak to, as processes that are told what to do and ended by their own id."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
_START_S = 60
_ANSWER_S = 30


class OpcUaServer:
    """A running server."""

    def __init__(self, process: asyncio.subprocess.Process, ready: dict[str, Any]) -> None:
        self._process = process
        self.ready = ready
        """What it said when it was ready: `url`, `port`, and where its certificates are."""
        self.url: str = ready["url"]
        self.port: int = ready["port"]

    async def tell(self, action: str, **command: Any) -> dict[str, Any]:
        """Send a command; the answer once it is done. AssertionError with the server's words where it was refused."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"action": action, **command}).encode() + b"\n")
        line = await asyncio.wait_for(self._process.stdout.readline(), _ANSWER_S)
        answer: dict[str, Any] = json.loads(line)
        assert answer.get("done") == action, f"{action}: {answer}"
        return answer


@asynccontextmanager
async def asyncua_server(*arguments: str) -> AsyncIterator[OpcUaServer]:
    """A server on asyncua's stack, ready in 1.5 to 3 s; it fails the test if it was asked for anything but reading."""
    async with _running(sys.executable, "-m", "tests.peers.opcua.server", *arguments) as server:
        yield server


@asynccontextmanager
async def _running(*command: str) -> AsyncIterator[OpcUaServer]:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        limit=1 << 24,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        ready = json.loads(await asyncio.wait_for(process.stdout.readline(), _START_S))
        yield OpcUaServer(process, ready)
        process.stdin.close()
        code = await asyncio.wait_for(process.wait(), 20)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert code == 0, f"the server ended with {code}: 3 is that it was asked for more than reading"
