"""Events: CloudEvents 1.0 envelopes around the data that `schemas/` describes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

TYPE_PREFIX = "linegate."
TYPE_VERSION = ".v1"
_1970 = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, before the outbox gave it a number.

    `type` is the short name (`machine.state`), `time` UTC in milliseconds, `data` plain JSON values.
    """

    type: str
    subject: str
    time: int
    data: dict[str, Any]


class StoredEvent(NamedTuple):
    """An event that is committed, as one uplink is to deliver it.

    `prevseq` is the seq delivered before it to the same uplink, 0 at a chain's start; `data` is JSON. Numbers below 1
    are of buffers before this one (`Former`).
    """

    seq: int
    prevseq: int
    type: str
    subject: str
    time: int
    data: bytes


def rfc3339(utc_ms: int) -> str:
    """RFC 3339 in UTC with milliseconds: `2026-11-22T06:00:00.250Z`."""
    seconds, milliseconds = divmod(utc_ms, 1000)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    return f"{_date(days)}T{hour:02d}:{minute:02d}:{second:02d}.{milliseconds:03d}Z"


@lru_cache(maxsize=64)
def _date(days: int) -> str:
    """Since 1970: events tell of a few days at a time, and a date costs more than the rest."""
    return date.fromordinal(_1970 + days).isoformat()


class Former(NamedTuple):
    """A buffer before this one, of which events were saved: what it gave the number s is stored here as s + `base`."""

    base: int
    stream: str


@dataclass(frozen=True, slots=True)
class Envelope:
    """Makes CloudEvents of stored events: `source` is the line, `stream` the buffer that numbers them."""

    source: str
    stream: str
    former: tuple[Former, ...] = ()
    """Buffers before this one, the youngest first."""

    def numbered(self, seq: int) -> Former:
        """The stream to which a stored number belongs, and what to subtract from it for the number that all know."""
        return Former(0, self.stream) if seq > 0 else next(one for one in self.former if one.base < seq)

    def stored_seq(self, stream: str, seq: int) -> int | None:
        """Under which number an event is stored; None for a stream, or a number of one, that this buffer never had."""
        end = None
        for base, known in (Former(0, self.stream), *self.former):
            if known == stream:
                return base + seq if end is None or base + seq <= end else None
            end = base
        return None

    def id(self, event: StoredEvent) -> str:
        """The same whenever and wherever the event is delivered."""
        base, stream = self.numbered(event.seq)
        return f"{stream}-{event.seq - base}"

    def attributes(self, event: StoredEvent) -> dict[str, Any]:
        """The CloudEvents attributes and our extensions, without the data."""
        base, stream = self.numbered(event.seq)
        return {
            "specversion": "1.0",
            "id": self.id(event),
            "source": self.source,
            "type": f"{TYPE_PREFIX}{event.type}{TYPE_VERSION}",
            "subject": event.subject,
            "time": rfc3339(event.time),
            "datacontenttype": "application/json",
            "dataschema": f"urn:linegate:{event.type}{TYPE_VERSION}",
            "stream": stream,
            "seq": str(event.seq - base),
            "prevseq": str(max(event.prevseq - base, 0)),
        }

    def json(self, event: StoredEvent) -> bytes:
        """The event in CloudEvents' JSON format, one line."""
        return orjson.dumps({**self.attributes(event), "data": orjson.Fragment(event.data)})
