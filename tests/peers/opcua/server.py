"""`python -m tests.peers.opcua.server`: a test server on asyncua, controlled over its standard input."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import sys
from pathlib import Path
from typing import Any

from protocols.simulated.opcua_server import GuardedServer, Request
from tests.peers.opcua import lacking, machines, space, values
from tests.peers.opcua.commands import Commands
from tests.peers.opcua.limits import Limits
from tests.peers.opcua.pki import KINDS
from tests.peers.opcua.security import POLICIES, TOKENS, Security

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
    parser.add_argument("--machines", action="store_true", help="PackML, Machinery and Weihenstephan machines")
    parser.add_argument("--pki", type=Path, metavar="DIR", help="where certificates are made; without it, no security")
    parser.add_argument("--certificate", choices=KINDS, default="good", help="the server's")
    parser.add_argument("--policies", nargs="+", choices=list(POLICIES), help="default: all, without --pki None")
    parser.add_argument("--users", nargs="+", choices=list(TOKENS), default=list(TOKENS))
    parser.add_argument("--trust", action="store_true", help="take only clients in the folder `trusted`")
    chosen = parser.parse_args()
    chosen.policies = chosen.policies or (list(POLICIES) if chosen.pki else ["None"])
    return chosen


class Life:
    """The server from its start to its end, or to its restart on the same port."""

    def __init__(self, chosen: argparse.Namespace, security: Security, shift: int, port: int) -> None:
        self._chosen, self._security, self._shift = chosen, security, shift
        self.guard = GuardedServer(values.APPLICATION_URI, "linegate test server", "/test", port=port)

    async def begin(self) -> Commands:
        """Builds the address space and listens."""
        gc.disable()  # else half of the time goes into looking through nodes that stay
        lacking.complete(self.guard.server)
        await self.guard.prepare()
        await self._security.prepare(self.guard.server)
        tree = await space.build(self.guard.server, self._shift, self._chosen.nodes)
        if self._chosen.machines:
            await machines.add(self.guard.server, tree.index)
        limits = Limits(self.guard.server)

        async def before(request: Request) -> None:
            await limits(request)
            self._security.check(request)

        self.guard.before = before
        await self.guard.start()
        self._security.send_chain(self.guard.server)
        gc.freeze()
        gc.enable()
        return Commands(self.guard, tree, limits, self._chosen.nodes)


class Process:
    """Standard input and output, and the life that they speak of."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self._chosen = chosen
        self._security = Security(chosen.pki, chosen.certificate, chosen.policies, chosen.users, chosen.trust)
        self._life = Life(chosen, self._security, chosen.shift, chosen.port)
        self._violations: list[str] = []

    async def run(self) -> int:
        """Serves until standard input ends; the exit code."""
        lines = asyncio.StreamReader(limit=1 << 24)
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
        self._commands = await self._life.begin()
        guard = self._life.guard
        _say({"port": guard.port, "url": guard.url, "pid": os.getpid(), **self._security.told})
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
        self._life = Life(self._chosen, self._security, self._chosen.shift if shift is None else shift, port)
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
