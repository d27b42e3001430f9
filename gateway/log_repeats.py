"""Holds back what the log has said again and again, and says how often: a fault at night must not fill the disk."""

from __future__ import annotations

import time
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from structlog import DropEvent

WINDOW_S = 60.0
MOST = 5
"""So many of one kind pass in a window."""
KINDS = 1000
"""Kinds that are told apart; beyond, those that were silent for longest are forgotten."""
WHOSE = ("device", "uplink", "endpoint", "machine", "signal", "path", "product", "input", "configuration")
"""What makes two of one name different kinds."""
AUDITED = "operator_entry"
"""What somebody entered is never held back; what was refused is."""


@dataclass(slots=True)
class _Kind:
    began: float
    said: int = 0
    held: int = 0


class Repeats:
    """A processor of structlog's: raises DropEvent for what is held back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kinds: dict[tuple[Any, ...], _Kind] = {}

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if event["event"] == AUDITED and "refused" not in event:
            return event
        now = self._clock()
        name = (event.get("logger"), event["event"], *(str(event.get(key)) for key in WHOSE))
        kind = self._kinds.pop(name, None)
        if kind is None or now - kind.began >= WINDOW_S:
            held = 0 if kind is None else kind.held
            kind = _Kind(now)
            if held:
                event["held_back"] = held
        self._kinds[name] = kind  # the one that spoke last is at the end
        if len(self._kinds) > KINDS:
            del self._kinds[next(iter(self._kinds))]
        if kind.said >= MOST:
            kind.held += 1
            raise DropEvent
        kind.said += 1
        return event
