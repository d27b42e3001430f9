"""`gateway.gap` of events that are gone."""

from __future__ import annotations

import time
from typing import Literal

from gateway.events import Event, rfc3339


def gap(
    what: Literal["dropped", "damaged"],
    why: str,
    *,
    number: int | None = None,
    first: int | None = None,
    last: int | None = None,
    class_: str | None = None,
    began: int | None = None,
    ended: int | None = None,
    stream: str | None = None,
) -> Event:
    """The event; numbers are of this buffer or of `stream`, times UTC in milliseconds, now where they are not known."""
    now = time.time_ns() // 1_000_000
    data = {
        "what": what,
        "began": rfc3339(now if began is None else began),
        "ended": rfc3339(now if ended is None else ended),
        "from": None if first is None else str(first),
        "to": None if last is None else str(last),
        "class": class_,
        "count": number,
        "why": why,
    }
    if stream is not None:
        data["of_stream"] = stream
    return Event("gateway.gap", "gateway", now, data)
