"""`linegate receive` as a process, for tests."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.processes import until


class Receive:
    """One call of the command; what it says is read as it comes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.out = b""
        self.err = b""
        self._reading = [
            asyncio.create_task(self._read(process.stdout, "out")),
            asyncio.create_task(self._read(process.stderr, "err")),
        ]

    async def _read(self, pipe: asyncio.StreamReader | None, name: str) -> None:
        assert pipe is not None
        while data := await pipe.read(65_536):
            setattr(self, name, getattr(self, name) + data)

    async def listens(self) -> None:
        await until(lambda: b"listening" in self.err or self.process.returncode is not None)
        assert self.process.returncode is None, self.err

    async def end(self, how: str = "terminate") -> int:
        """The exit code; `wait` for one that ends by itself."""
        if how != "wait":
            getattr(self.process, how)()
        code = await asyncio.wait_for(self.process.wait(), 60)
        await asyncio.gather(*self._reading)
        return code

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.decode().splitlines()]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [one["event"] for one in self.objects if "event" in one]

    @property
    def summary(self) -> dict[str, Any]:
        summary: dict[str, Any] = self.objects[-1]["summary"]
        return summary


@asynccontextmanager
async def receive(*arguments: str, environment: dict[str, str] | None = None) -> AsyncIterator[Receive]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", "receive", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={**os.environ, **(environment or {})},
    )  # fmt: skip
    one = Receive(process)
    try:
        yield one
    finally:
        if process.returncode is None:
            await one.end("kill")


async def said(*arguments: str, environment: dict[str, str] | None = None) -> tuple[int, str]:
    """Exit code and what stands on standard error, of a call that ends by itself."""
    async with receive(*arguments, environment=environment) as one:
        code = await one.end("wait")
        return code, one.err.decode()


def ids(events: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(event["stream"], int(event["seq"])) for event in events]
