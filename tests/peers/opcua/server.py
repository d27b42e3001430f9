"""`python -m tests.peers.opcua.server`: a test server on asyncua, controlled over its standard input."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from typing import Any

from protocols.simulated.opcua_server import GuardedServer
from tests.peers.opcua import lacking, space, values
from tests.peers.opcua.commands import Commands
from tests.peers.opcua.limits import Limits

VIOLATED = 3


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Prints one JSON line when it is ready, then answers commands on standard input; ends with it. "
        f"Exit code {VIOLATED} if a client asked for anything but reading.",
    )
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--shift", type=int, default=0, metavar="N", help="other namespaces before ours")
    parser.add_argument("--nodes", type=int, default=0, metavar="N", help="nodes that change with each tick")
    parser.add_argument("--interval", type=float, default=0, metavar="MS", help="between ticks; 0: by command alone")
    return parser.parse_args()


class Life:
    """The server from its start to its end, or to its restart on the same port."""

    def __init__(self, chosen: argparse.Namespace, shift: int, port: int) -> None:
        self._chosen, self._shift = chosen, shift
        self.guard = GuardedServer(values.APPLICATION_URI, "linegate test server", "/test", port=port)

    async def begin(self) -> Commands:
        """Builds the address space and listens."""
        lacking.complete(self.guard.server)
        await self.guard.prepare()
        tree = await space.build(self.guard.server, self._shift, self._chosen.nodes)
        limits = Limits(self.guard.server)
        self.guard.before = limits
        await self.guard.start()
        return Commands(self.guard, tree, limits, self._chosen.nodes)


class Process:
    """Standard input and output, and the life that they speak of."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self._chosen = chosen
        self._life = Life(chosen, chosen.shift, chosen.port)
        self._violations: list[str] = []

    async def run(self) -> int:
        """Serves until standard input ends; the exit code."""
        lines = asyncio.StreamReader(limit=1 << 24)
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
        self._commands = await self._life.begin()
        _say({"port": self._life.guard.port, "url": self._life.guard.url, "pid": os.getpid()})
        ticking = asyncio.create_task(self._tick_for_ever())
        while line := await lines.readline():
            _say(await self._obey(line))
        ticking.cancel()
        await self._end()
        for violation in self._violations:
            sys.stderr.write(f"outside the allow-list: {violation}\n")
        return VIOLATED if self._violations else 0

    async def _obey(self, line: bytes) -> dict[str, Any]:
        try:
            command = json.loads(line)
            action = command.pop("action")
            done = await (self._restart if action == "restart" else self._commands.named(action))(**command)
        except Exception as error:  # noqa: BLE001 - a test is told what was wrong with its command, whatever it was
            return {"error": f"{type(error).__name__}: {error}"}
        return {"done": action, **(done or {})}

    async def _restart(self, down: float = 0.0, shift: int | None = None) -> dict[str, Any]:
        """Ends as a power cut does and comes back on the same port, after `down` seconds, with nothing remembered."""
        port = self._life.guard.port
        await self._end()
        await asyncio.sleep(down)
        self._life = Life(self._chosen, self._chosen.shift if shift is None else shift, port)
        self._commands = await self._life.begin()
        return {"port": port}

    async def _end(self) -> None:
        self._violations += [str(violation) for violation in self._life.guard.violations]
        await self._life.guard.close()

    async def _tick_for_ever(self) -> None:
        while self._chosen.interval:
            await asyncio.sleep(self._chosen.interval / 1000)
            await self._commands.tick()


def _say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(asyncio.run(Process(arguments()).run()))
