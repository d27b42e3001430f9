"""What people ask the daemon and tell it of its machines, through the control socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import orjson

from gateway.control.wire import Refused
from gateway.engine import Engine
from gateway.health.glance import glance
from gateway.health.sources import Sources
from gateway.inputs import Mute, Verified

LONGEST_MUTE_S = 86_400.0

Items = AsyncIterator[dict[str, Any]]


class People:
    """Handlers by the names under which the control socket has them."""

    def __init__(self, engine: Engine, sources: Sources) -> None:
        self._engine, self._sources = engine, sources
        self.handlers: dict[str, Callable[[Mapping[str, Any]], Items]] = {
            "health": self._health,
            "metrics": self._metrics,
            "line": self._line,
            "machine.verified": self._verified,
            "machine.mute": self._mute,
        }

    async def _health(self, _request: Mapping[str, Any]) -> Items:
        """One item: what /health answers."""
        yield self._sources.report()

    async def _metrics(self, _request: Mapping[str, Any]) -> Items:
        """One item: what /metrics answers, as `text`."""
        from gateway.health.metrics import exposition  # its library is for those who ask

        yield {"text": exposition(self._sources).decode()}

    async def _line(self, _request: Mapping[str, Any]) -> Items:
        """One item: what /api/line?signals answers, with the engine's time in milliseconds as `at`."""
        line = orjson.loads(b"".join(glance(self._sources, with_signals=True)))
        yield {**line, "at": self._engine.clock.now()}

    async def _verified(self, request: Mapping[str, Any]) -> Items:
        """A count by hand that has ended; one empty item."""
        now = self._engine.clock.now()
        asked = {name: request[name] for name in ("gateway", "plc", "hand", "agrees", "who")}
        self._engine.submit(Verified(self._machine(request), min(request["began"], now), at=now, **asked))
        yield {}

    async def _mute(self, request: Mapping[str, Any]) -> Items:
        """For `seconds`, or no longer where that is 0; one empty item."""
        seconds = request["seconds"]
        if not 0 <= seconds <= LONGEST_MUTE_S:
            raise Refused(f"{seconds:g} s is more than a day", "mute it again tomorrow, if it still has to be")
        now = self._engine.clock.now()
        until = now + round(seconds * 1000)
        self._engine.submit(Mute(self._machine(request), until, request["who"], request["why"], now))
        yield {}

    def _machine(self, request: Mapping[str, Any]) -> str:
        name: str = request["machine"]
        machines = self._sources.config.machines
        if name not in machines:
            raise Refused(f"{name} is no machine of this line", f"machines are: {', '.join(machines) or 'none'}")
        return name
