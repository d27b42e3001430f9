"""How long an outage may last: what an hour of events takes, against the room that a buffer has for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from gateway.config.model import BufferConfig
from gateway.outbox.bounds import Bounds
from gateway.outbox.errors import BufferError

HOUR_MS = 3_600_000
LEAST_MEASURED_MS = 60_000
"""A shorter span says nothing of the hours to come."""


class Estimate(NamedTuple):
    """What fits, and by which bound."""

    hours: float
    bound: str
    """The key of `buffer:` that ends it: max_size or min_free_disk."""
    events_per_hour: float
    bytes_per_event: float
    room: dict[str, float]
    """Bytes that each bound leaves."""


def estimate(stats: Mapping[str, Any], stored: int, disk_free: int, limits: BufferConfig) -> Estimate:
    """From the item of `buffer.stats`, the number of events stored, and what the disk has left.

    What every uplink has acknowledged is room: it is the first to go. Raises BufferError before a rate is known.
    """
    measured = stats["measured"]
    if measured["ms"] < LEAST_MEASURED_MS or not measured["events"]:
        raise BufferError("less than a minute of events is stored, which says no rate", "let the line run first")
    per_hour = measured["events"] * HOUR_MS / measured["ms"]
    used = stats["size_bytes"] - stats["free_bytes"]
    each = used / stored
    settled = each * max(0, stored - max(stats["backlog"].values(), default=0))
    room = {
        "max_size": limits.max_size - Bounds.of(limits).log - used + settled,
        "min_free_disk": disk_free - limits.min_free_disk + stats["free_bytes"] + settled,
    }
    bound = min(room, key=lambda key: room[key])
    return Estimate(max(0, room[bound]) / (per_hour * each), bound, per_hour, each, room)
