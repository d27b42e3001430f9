"""What stands of a line's events after all revisions: of each interval, stop and window the highest `rev`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from gateway.events import TYPE_PREFIX, TYPE_VERSION
from gateway.replay.lines import lines_of

KEYS = {"machine.state": "interval", "machine.stop": "stop", "machine.kpi": "kpi", "line.kpi": "kpi"}
"""The field that names what an event is about."""
PRODUCTION = "machine.production"
"""Events that are never revised, but added up."""


def utc_ms(text: str) -> int:
    """Milliseconds of an event's time."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


class Standing:
    """Events between two instants of UTC, in milliseconds; of what lasts, all that overlaps them."""

    def __init__(self, began: int, ended: int | None = None) -> None:
        """`ended`: None while it is not known yet."""
        self.began, self.ended = began, ended
        self.others = 0
        """Events of other lines, which were left out."""
        self._latest: dict[str, dict[tuple[str, str], dict[str, Any]]] = {kind: {} for kind in KEYS}
        self._production: list[tuple[str, dict[str, Any]]] = []

    def add(self, kind: str, subject: str, data: dict[str, Any]) -> None:
        """One event, by its short type."""
        if kind == PRODUCTION:
            self._production.append((subject, data))
        elif kind in KEYS:
            key = (subject, str(data[KEYS[kind]]))
            known = self._latest[kind].get(key)
            if known is None or data["rev"] >= known["rev"]:
                self._latest[kind][key] = data

    def of(self, kind: str, subject: str) -> list[dict[str, Any]]:
        """What stands of one machine, in order of its begin, and overlaps the time."""
        found = [data for (owner, _), data in self._latest[kind].items() if owner == subject and self._overlaps(data)]
        return sorted(found, key=lambda data: str(data["began"]))

    def made(self, subject: str) -> dict[str, int]:
        """Parts that one machine published in the time: total, good, scrap."""
        sums = {"total": 0, "good": 0, "scrap": 0}
        for owner, data in self._production:
            if owner == subject and self.began < utc_ms(data["ended"]) <= self._end:
                for key in sums:
                    sums[key] += data[key] or 0
        return sums

    @property
    def subjects(self) -> set[str]:
        """All that has a state or a KPI."""
        return {owner for latest in self._latest.values() for owner, _ in latest}

    @property
    def _end(self) -> int:
        return 2**63 if self.ended is None else self.ended

    def _overlaps(self, data: dict[str, Any]) -> bool:
        ended = data.get("ended")
        return utc_ms(data["began"]) < self._end and (ended is None or utc_ms(ended) > self.began)


def read_sent(paths: Sequence[Path], source: str, standing: Standing) -> Iterator[str]:
    """Add the events of some files, as an uplink wrote them; what cannot be used is told. Raises OSError.

    `source` is the line: events of others are left out. An event that is there twice counts once.
    """
    seen: set[str] = set()
    for path in paths:
        for number, line in enumerate(lines_of(path), 1):
            if not line.strip():
                continue
            try:
                event = orjson.loads(line)
                if event["source"] != source:
                    standing.others += 1
                    continue
                kind = _short(event["type"])
                if kind == PRODUCTION and event["id"] in seen:
                    continue
                seen.update([event["id"]] if kind == PRODUCTION else [])
                standing.add(kind, event["subject"], event["data"])
            except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
                yield f"{path}:{number}: no event: expected a CloudEvent of linegate, one a line; it is left out"


def _short(kind: str) -> str:
    return kind.removeprefix(TYPE_PREFIX).removesuffix(TYPE_VERSION)


def names(sides: Iterable[Standing], first: Sequence[str]) -> list[str]:
    """All subjects of both sides, in the configuration's order."""
    known = set().union(*(side.subjects for side in sides))
    return [name for name in first if name in known] + sorted(known - set(first))
