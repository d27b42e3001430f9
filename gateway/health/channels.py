"""What viewers are sent: of each kind the newest message, made once for all of them."""

from __future__ import annotations

import time
from typing import Any

import orjson

from gateway.health.sources import Sources
from protocols.model import Value

REST = 9
"""For each second that a message took to make, so many without it: viewers get a tenth of the loop at the most."""
HEALTH_S = 5.0
"""How often the health report is sent where nothing in it changed."""


def message(event: str, data: Any) -> bytes:
    """One event of a stream (HTML standard, server-sent events); `data` becomes a line of JSON."""
    return b"event: %s\ndata: %s\n\n" % (event.encode(), orjson.dumps(data))


class Channel:
    """The newest message of one kind, which is `number`; times are monotonic seconds."""

    least_s = 0.25
    """Time between two messages at the least."""
    most_s = 2.0
    """And at the most, where nothing was said to have changed."""
    is_for_all = True
    """Whether every viewer gets it, or those who ask for signals."""

    def __init__(self, sources: Sources) -> None:
        self.number = 0
        self.is_stale = True
        """Whether something changed since it was made."""
        self._sources = sources
        self._message = b""
        self._made = self._took = 0.0

    @property
    def due(self) -> float:
        """When it is to be made again."""
        return self._made + max(self.least_s if self.is_stale else self.most_s, REST * self._took)

    def make(self) -> None:
        """Look, and have a newer message if there is one."""
        self.is_stale = False
        began = time.monotonic()
        try:
            if (made := self._look()) is not None:
                self._message = made
                self.number += 1
        finally:
            self._made = time.monotonic()
            self._took = self._made - began

    def since(self, _seen: int) -> bytes:
        """What whoever has seen the message number `_seen` does not know yet."""
        return self._message

    def _look(self) -> bytes | None:
        raise NotImplementedError


class LineChannel(Channel):
    """The line as it is, like /api/line."""

    def _look(self) -> bytes:
        return message("line", self._sources.line(with_signals=False))


class HealthChannel(Channel):
    """Like /health: when a check changes its mind, and now and then."""

    most_s = 1.0

    def __init__(self, sources: Sources) -> None:
        super().__init__(sources)
        self._said: list[str] = []
        self._said_at = 0.0

    def _look(self) -> bytes | None:
        report = self._sources.report()
        said = [check["status"] + check.get("output", "") for (check,) in report["checks"].values()]
        now = time.monotonic()
        if said == self._said and now - self._said_at < HEALTH_S:
            return None
        self._said, self._said_at = said, now
        return message("health", report)


class SignalsChannel(Channel):
    """Every signal by device: all to whoever comes or has missed something, else what changed."""

    least_s = most_s = 0.5
    is_for_all = False

    def __init__(self, sources: Sources) -> None:
        super().__init__(sources)
        self._known: dict[str, list[tuple[Value, int, str | None]]] = {}
        self._all: dict[str, dict[str, dict[str, Any]]] = {}
        self._whole: tuple[int, bytes] | None = None

    def since(self, seen: int) -> bytes:
        """The last change where that alone is new, or all."""
        if seen == self.number - 1 and seen:
            return self._message
        if self._whole is None or self._whole[0] != self.number:
            self._whole = self.number, message("signals", self._all)
        return self._whole[1]

    def _look(self) -> bytes | None:
        view, now = self._sources.view, self._sources.clock.utc()
        news: dict[str, dict[str, dict[str, Any]]] = {}
        for device in view.config.devices:
            readings = view.readings(device)
            before = self._known.get(device)
            if readings == before:
                continue
            self._known[device] = readings
            if before is None:
                news[device] = view.signals(device)
                self._all[device] = news[device]
                continue
            names = view.names(device)
            changed = [number for number, reading in enumerate(readings) if reading != before[number]]
            news[device] = {names[number]: view.signal(device, number, now) for number in changed}
            self._all[device] |= news[device]
        return message("signals", news) if news else None
