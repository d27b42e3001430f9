"""Events of a replay as CloudEvents, one a line, numbered like those of a buffer.

The stream is a UUID made from what is replayed and how (version 5, RFC 9562): the same replay gives the same bytes, and
no consumer takes them for the daemon's.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from gateway.config.model import Config
from gateway.events import Envelope, Event, StoredEvent
from gateway.outbox.encode import encode

NAMESPACE = uuid.UUID("6f0f7d1c-54a0-5c7e-9a52-6c1a8d2f4f10")


class Told:
    """Makes lines of events."""

    def __init__(self, config: Config, replayed: str) -> None:
        """`replayed` names the recording."""
        stream = str(uuid.uuid5(NAMESPACE, f"{config.digest} {replayed}"))
        self._envelope = Envelope(config.source, stream)
        self.events = 0

    def lines(self, events: Iterable[Event]) -> bytes:
        """The next events."""
        lines = []
        for event in events:
            self.events += 1
            row, _ = encode(event)
            stored = StoredEvent(self.events, self.events - 1, row.type, row.subject, row.time, row.data)
            lines.append(self._envelope.json(stored) + b"\n")
        return b"".join(lines)
