"""What a step of one counter says of produced, good, scrapped and reworked parts: any two of three give the third."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple


class Share(NamedTuple):
    """Parts for each that the counter counts."""

    pq: int = 0
    gq: int = 0
    sq: int = 0
    rq: int = 0


REWORK = Share(rq=1)


def shares(roles: Collection[str]) -> dict[str, Share]:
    """By role, for the counters that a machine has; with one alone all that is produced is good."""
    has = set(roles) & {"total", "good", "scrap"}
    if has == {"total", "good"}:
        found = {"total": Share(pq=1, sq=1), "good": Share(gq=1, sq=-1)}
    elif has == {"total", "scrap"}:
        found = {"total": Share(pq=1, gq=1), "scrap": Share(gq=-1, sq=1)}
    elif has == {"good", "scrap"}:
        found = {"good": Share(pq=1, gq=1), "scrap": Share(pq=1, sq=1)}
    elif has == {"total", "good", "scrap"}:
        found = {"total": Share(pq=1), "good": Share(gq=1), "scrap": Share(sq=1)}
    else:
        found = {"total": Share(pq=1, gq=1), "good": Share(pq=1, gq=1)}
    return {**found, "rework": REWORK}
