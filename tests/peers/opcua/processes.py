"""The OPC UA servers that tests speak to, as processes that are told what to do and ended by their own id."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.peers.opcua.pki import PASSWORD, USER, Authority, Kind
from tests.peers.opcua.values import APPLICATION_URI

ROOT = Path(__file__).parents[3]
NODE = Path(__file__).parent / "node"
_START_S = 180
_ANSWER_S = 60


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
async def node_opcua_server(
    *arguments: str, pki: Path | None = None, certificate: Kind = "good", trust: bool = False
) -> AsyncIterator[OpcUaServer]:
    """A server on node-opcua's stack, ready in 2 to 4 s (6 to 8 s with `--machines`).

    With `pki`, the folder in which certificates are made, it has all security policies and users; `trust` takes only
    the clients whose certificates are in its `trusted` when the server starts.
    """
    node = shutil.which("node")
    assert node is not None, "node is missing: apt-get install nodejs npm"
    assert (NODE / "node_modules").is_dir(), "node-opcua is missing: sh scripts/node_peer.sh installs it"
    security: list[str] = []
    told: dict[str, str] = {}
    if pki is not None:
        authority = Authority(pki)
        server, user = authority.server(certificate, APPLICATION_URI), authority.user()
        told = authority.told(server, user)
        security = [
            f"--certificate={server.pem}",
            f"--key={server.key}",
            "--policies=None,Basic256Sha256,Aes128_Sha256_RsaOaep,Aes256_Sha256_RsaPss",
            f"--user={USER}",
            f"--password={PASSWORD}",
            f"--userCertificate={user.certificate}",
            *([f"--trusted={authority.trusted}"] if trust else []),
        ]
    async with _running(node, str(NODE / "server.js"), *security, *arguments) as server_process:
        server_process.ready.update(told)
        yield server_process


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
        line = await asyncio.wait_for(process.stdout.readline(), _START_S)
        assert line, f"{' '.join(command)} ended before it was ready; it has said why on standard error"
        ready = json.loads(line)
        yield OpcUaServer(process, ready)
        process.stdin.close()
        code = await asyncio.wait_for(process.wait(), 60)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert code == 0, f"the server ended with {code}: 3 is that it was asked for more than reading"
