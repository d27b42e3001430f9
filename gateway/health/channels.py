"""What viewers are sent: of each kind the newest message, made and packed once for all of them, bit by bit."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import orjson

from gateway.health.answers import FASTEST, json_object
from gateway.health.glance import glance
from gateway.health.sources import Sources
from protocols.model import Value

REST = 9
"""For each second that a message took to make, so many without it: viewers get a tenth of the loop at the most."""
HEALTH_S = 5.0
"""How often the health report is sent where nothing in it changed."""
GZIP_HEAD = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
"""Before the first packed message (RFC 1952)."""
SOME = 100
"""So many signals are looked at until others have their turn."""

_Reading = tuple[Value, int, str | None]


class Message(NamedTuple):
    """The bytes that one or more events of a stream are."""

    plain: bytes
    packed: bytes
    """Blocks of deflate (RFC 1951) that refer to nothing before them and end with a byte: what follows what does not
    matter, so that all viewers get the same."""


class Packer:
    """Makes a message of pieces."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(FASTEST, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._plain: list[bytes] = []
        self._packed: list[bytes] = []

    def add(self, piece: bytes) -> None:
        """What comes next."""
        self._plain.append(piece)
        self._packed.append(self._deflate.compress(piece))

    def message(self) -> Message:
        """All that was added."""
        return Message(b"".join(self._plain), b"".join(self._packed) + self._deflate.flush(zlib.Z_SYNC_FLUSH))


def packed(pieces: Iterable[bytes]) -> Message:
    """All at once."""
    packer = Packer()
    for piece in pieces:
        packer.add(piece)
    return packer.message()


def message(event: str, data: Any) -> Message:
    """One event of a stream (HTML standard, server-sent events); `data` becomes a line of JSON."""
    return packed(_framed(event, [orjson.dumps(data)]))


def _framed(event: str, data: Iterable[bytes]) -> Iterator[bytes]:
    yield b"event: %s\ndata: " % event.encode()
    yield from data
    yield b"\n\n"


RETRY = packed([b"retry: 1000\n\n"])
"""How soon a browser comes again when the stream breaks: what every viewer is sent first."""


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
        self._message = Message(b"", b"")
        self._made = self._took = 0.0

    @property
    def due(self) -> float:
        """When it is to be made again."""
        return self._made + max(self.least_s if self.is_stale else self.most_s, REST * self._took)

    def make(self) -> Iterator[None]:
        """Look, and have a newer message if there is one: to be gone through, step by step."""
        self.is_stale = False
        packer = None
        for piece in self._look():
            packer = packer or Packer()
            packer.add(piece)
            yield
        if packer is not None:
            self._message = packer.message()
            self.number += 1

    def made(self, took: float) -> None:
        """It was gone through, which took so many seconds."""
        self._made, self._took = time.monotonic(), took

    def since(self, _seen: int) -> Message | None:
        """What whoever has seen the message number `_seen` does not know yet; None where that is still to be made."""
        return self._message

    def _look(self) -> Iterator[bytes]:
        """The pieces of a message, or none."""
        raise NotImplementedError


class LineChannel(Channel):
    """The line as it is, like /api/line."""

    def _look(self) -> Iterator[bytes]:
        return _framed("line", glance(self._sources))


class HealthChannel(Channel):
    """Like /health: when a check changes its mind, and now and then."""

    most_s = 1.0

    def __init__(self, sources: Sources) -> None:
        super().__init__(sources)
        self._said: list[str] = []
        self._said_at = 0.0

    def _look(self) -> Iterator[bytes]:
        report = self._sources.report()
        said = [check["status"] + check.get("output", "") for (check,) in report["checks"].values()]
        now = time.monotonic()
        if said != self._said or now - self._said_at >= HEALTH_S:
            self._said, self._said_at = said, now
            yield from _framed("health", [orjson.dumps(report)])


class SignalsChannel(Channel):
    """Every signal by device: all to whoever comes or has missed something, else what changed."""

    least_s = most_s = 0.5
    is_for_all = False

    def __init__(self, sources: Sources) -> None:
        super().__init__(sources)
        self.is_whole_wanted = False
        """Whether somebody waits for all of them."""
        self._known: dict[str, list[_Reading]] = {}
        self._all: dict[str, dict[str, Any]] = {}
        self._whole = Message(b"", b"")
        self._whole_number = 0

    @property
    def due(self) -> float:
        return self._made + REST * self._took if self.is_whole_wanted else super().due

    def make(self) -> Iterator[None]:
        yield from super().make()
        if not self.is_whole_wanted:
            return
        packer = Packer()
        for piece in _framed("signals", json_object(self._all.items())):
            packer.add(piece)
            yield
        self._whole, self._whole_number = packer.message(), self.number
        self.is_whole_wanted = False

    def since(self, seen: int) -> Message | None:
        """The last change where that alone is new, or all."""
        if seen == self.number - 1 and seen:
            return self._message
        if self._whole_number != self.number:
            self.is_whole_wanted = True
            return None
        return self._whole

    def _look(self) -> Iterator[bytes]:
        view, now = self._sources.view, self._sources.clock.utc()
        opening = b"event: signals\ndata: {"
        for device in view.config.devices:
            names, noticed = view.names(device), now if device in self._known else None
            numbers = self._changed(device)
            for first in range(0, len(numbers), SOME):
                news = {names[n]: view.signal(device, n, noticed) for n in numbers[first : first + SOME]}
                self._all.setdefault(device, {}).update(news)
                begin = opening + orjson.dumps(device) + b":{" if first == 0 else b","
                yield begin + orjson.dumps(news)[1:-1] + (b"}" if first + SOME >= len(numbers) else b"")
                opening = b","
        if opening == b",":
            yield b"}\n\n"

    def _changed(self, device: str) -> Sequence[int]:
        """Numbers of a device's signals that are others than at the last look."""
        readings, before = self._sources.view.readings(device), self._known.get(device)
        self._known[device] = readings
        if before is None:
            return range(len(readings))
        if readings == before:
            return ()
        return [number for number, reading in enumerate(readings) if reading != before[number]]
