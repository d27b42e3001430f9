"""A Sparkplug host as a process: MQTT.js and the decoder of Eclipse Tahu, told what to do in JSON lines."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

NODE = Path(__file__).parent / "opcua" / "node"
REBIRTH = "Node Control/Rebirth"
_ANSWER_S = 60.0


class SparkplugHost:
    """What came, decoded, in order; and what the host makes of it."""

    def __init__(self, process: asyncio.subprocess.Process, group: str, node: str) -> None:
        self._process = process
        self._at = {"group": group, "node": node}
        self._came = asyncio.Event()
        self._answers: list[dict[str, Any]] = []
        self.messages: list[dict[str, Any]] = []
        self.connections = 0

    async def listen(self) -> None:
        """To the end of its output."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            said = json.loads(line)
            if "message" in said:
                self.messages.append(said["message"])
            elif "done" in said:
                self._answers.append(said)
            else:
                self.connections += 1
            self._came.set()

    async def until(self, what: Callable[[], Any], seconds: float = _ANSWER_S) -> Any:
        """The first true answer, asked whenever something came."""
        async with asyncio.timeout(seconds):
            while not (answer := what()):
                self._came.clear()
                await self._came.wait()
        return answer

    async def tell(self, action: str, **command: Any) -> dict[str, Any]:
        """Have it do something; its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"action": action, **command}).encode() + b"\n")
        await self.until(lambda: self._answers)
        return self._answers.pop(0)

    async def ask_rebirth(self) -> None:
        """As hosts do that missed something."""
        metric = {"name": REBIRTH, "type": "Boolean", "value": True}
        await self.tell("command", kind="NCMD", metrics=[metric], **self._at)

    async def command(self, kind: str, metric: dict[str, Any], device: str = "") -> None:
        """Any other NCMD or DCMD."""
        await self.tell("command", kind=kind, metrics=[metric], device=device, **self._at)

    async def line(self) -> dict[str, Any]:
        """The edge node as the host knows it, with what is wrong in `complaints`."""
        answer = await self.tell("line")
        return {**answer["nodes"].get("/".join(self._at.values()), {}), "complaints": answer["complaints"]}

    def of_others(self) -> int:
        """How many messages came that were not its own."""
        own = ("STATE", "NCMD", "DCMD")
        return sum(one["topic"].split("/")[2] not in own for one in self.messages)

    def kinds(self) -> list[str]:
        """Message types in the order in which they came, with the device: `DBIRTH filler`."""
        parts = [one["topic"].split("/") for one in self.messages if one["topic"].startswith("spBv1.0/")]
        return [" ".join((one[2], *one[4:])) for one in parts if one[2] != "STATE"]


@asynccontextmanager
async def sparkplug_host(port: int, group: str = "berlin", node: str = "line-3") -> AsyncIterator[SparkplugHost]:
    """A host called `scada` that has subscribed to everything; it connects again where a broker goes."""
    program = shutil.which("node")
    assert program is not None, "node is missing: apt-get install nodejs npm"
    assert (NODE / "node_modules" / "sparkplug-payload").is_dir(), "run: sh scripts/node_peer.sh"
    process = await asyncio.create_subprocess_exec(
        program, str(NODE / "sparkplug_host.js"), "--url", f"mqtt://127.0.0.1:{port}", "--id", "scada",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 24,
    )  # fmt: skip
    host = SparkplugHost(process, group, node)
    listening = asyncio.create_task(host.listen())
    try:
        await host.until(lambda: host.connections)
        yield host
        assert process.stdin is not None
        process.stdin.close()
        assert await asyncio.wait_for(process.wait(), 60) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await listening
