"""Takes events from a source: follows them, shows them, writes the new ones to a file, and keeps the state."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from gateway.receive.follower import Follower
from gateway.receive.show import Show
from gateway.receive.source import Enough
from protocols.driver import ConfigError

STATE = "linegate_receive"
"""Key by which a file is known as a state; its value is the version."""


class Consumer:
    """The receiver of one command; see `source.Receiver`."""

    def __init__(
        self,
        follower: Follower,
        show: Show,
        out: BinaryIO | None,
        state: Path | None,
        count: int | None,
        stop: Callable[[], None],
    ) -> None:
        """`out` takes new events, `state` the follower's, until there are `count`; `stop` is for what fails."""
        self.follower = follower
        self.is_ready = False
        """Whether the source has ever listened."""
        self.new = 0
        self.failed: OSError | None = None
        """What made it impossible to show or to store events."""
        self._show = show
        self._out = out
        self._state = state
        self._count = count
        self._stop = stop
        self._strange: set[str] = set()

    def ready(self, where: str) -> None:
        """See `Receiver`."""
        self.is_ready = True
        self._show.note(f"listening: {where}")

    @property
    def is_over(self) -> bool:
        """Whether there are as many as were asked for."""
        return self._count is not None and self.new >= self._count

    def note(self, words: str) -> None:
        """See `Receiver`."""
        self._show.note(words)

    def strange(self, where: str, why: str) -> None:
        """See `Receiver`. Said once a place."""
        if where not in self._strange and len(self._strange) < 1000:
            self._strange.add(where)
            self._show.note(f"left out what came from {where}: {why}")

    def fail(self, error: OSError) -> None:
        """What comes can be neither shown nor stored: that is the end."""
        self.failed = error
        self._stop()

    def take(self, events: Sequence[dict[str, Any]]) -> None:
        """See `Receiver`."""
        if self.is_over:
            raise Enough
        lines = []
        try:
            for event in events:
                taken = self.follower.take(event)
                if taken.is_new:
                    self.new += 1
                    lines.append(orjson.dumps(event) + b"\n")
                self._show.event(event, taken)
            self._store(lines)
        except OSError as error:
            self.fail(error)
            raise

    def _store(self, lines: Sequence[bytes]) -> None:
        if self._out is not None and lines:
            self._out.write(b"".join(lines))
            self._out.flush()
            os.fsync(self._out.fileno())
        if self._state is not None:
            save(self._state, self.follower)


def load(state: Path) -> Follower:
    """The follower as it was; a new one where there is no file. Raises ConfigError, OSError."""
    try:
        plain = orjson.loads(state.read_bytes())
        if plain[STATE] != 1:
            raise ValueError("it is of a newer version")
        return Follower.restored(plain)
    except FileNotFoundError:
        return Follower()
    except (ValueError, KeyError, TypeError) as error:
        words = f"{state} is no state that `linegate receive` wrote: {error!r}"
        raise ConfigError(words, "name another file, or move it away to begin anew") from None


def save(state: Path, follower: Follower) -> None:
    """Durably, whole or not at all. Raises OSError."""
    part = state.with_name(f"{state.name}.part")
    with part.open("wb") as file:
        file.write(orjson.dumps({STATE: 1, **follower.state()}))
        file.flush()
        os.fsync(file.fileno())
    part.replace(state)
