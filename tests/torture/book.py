"""What an uplink holds, checked event by event as it comes: the proof of completeness that any consumer can make."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import orjson

_REVISED = {"machine.state": "interval", "machine.stop": "stop", "machine.kpi": "kpi", "line.kpi": "kpi"}
"""What each revised type calls that which it revises."""


class Broken(Exception):
    """What was promised of events does not hold."""


@dataclass(slots=True)
class Revised:
    """The latest revision of an interval, stop or window."""

    kind: str
    rev: int
    final: bool
    subject: str
    began: str
    ended: str | None


@dataclass(slots=True)
class Book:
    """The events of one uplink that holds all of one stream, duplicates dropped; `take` raises Broken."""

    name: str
    stream: str = ""
    duplicates: int = 0
    production: dict[str, Counter[str]] = field(default_factory=dict)
    """Sums of total, scrap and recovered of `machine.production`, by machine."""
    revised: dict[str, Revised] = field(default_factory=dict)
    kinds: Counter[str] = field(default_factory=Counter)
    _lines: list[int] = field(default_factory=list)
    """A hash of each event, the first of which has seq 1."""

    @property
    def last(self) -> int:
        """The last seq."""
        return len(self._lines)

    def take(self, line: bytes) -> None:
        """The next event that came, new or again."""
        try:
            event = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise Broken(f"{self.name}: after event {self.last} comes {line[:200]!r}: {error}") from None
        self.enter(event)

    def enter(self, event: dict[str, Any]) -> None:
        """The same of an event that is decoded already."""
        line = orjson.dumps(event)
        seq = int(event["seq"])
        self._is(event["stream"] == (self.stream or event["stream"]), seq, f"is of another stream, {event['stream']}")
        self._is(event["id"] == f"{event['stream']}-{seq}", seq, f"is called {event['id']}")
        self.stream = event["stream"]
        if seq <= self.last:
            self._is(hash(line) == self._lines[seq - 1], seq, "came again and tells another story")
            self.duplicates += 1
            return
        self._is(seq == self.last + 1, seq, f"comes after {self.last}: what is between them is missing")
        self._is(int(event["prevseq"]) == self.last, seq, f"says that {event['prevseq']} came before it")
        self._lines.append(hash(line))
        kind = event["type"].removeprefix("linegate.").removesuffix(".v1")
        self.kinds[kind] += 1
        self._fold(kind, seq, event["subject"], event["data"])

    def agrees_with(self, other: Book) -> None:
        """What both hold is the same. Raises Broken."""
        for seq, (mine, theirs) in enumerate(zip(self._lines, other._lines, strict=False), 1):
            self._is(mine == theirs, seq, f"is not what {other.name} holds")

    def is_produced(self, truths: dict[str, dict[str, Any]]) -> None:
        """All that the machines made was told, no part twice. Raises Broken."""
        for machine, truth in truths.items():
            told = self.production.get(machine, Counter())
            made = (truth["total"], truth["rejects"])
            if (told["total"], told["scrap"]) != made:
                raise Broken(f"{self.name}: {machine} made {made} parts and rejects, told are {dict(told)}")

    def is_without_gaps_of_time(self, *, some_wait: bool = False) -> None:
        """Each machine's latest intervals follow one another, all but the last final. Raises Broken.

        `some_wait`: the last ones may all wait for what makes them final, as between a reload and the next stop.
        """
        of_machine: dict[str, list[Revised]] = {}
        for one in self.revised.values():
            if one.kind == "machine.state":
                of_machine.setdefault(one.subject, []).append(one)
        for machine, intervals in of_machine.items():
            ordered = sorted(intervals, key=lambda one: one.began)
            for before, after in itertools.pairwise(ordered):
                is_settled = before.final or (some_wait and not after.final)
                if not is_settled or before.ended != after.began:
                    raise Broken(f"{self.name}: of {machine}, {before} is not followed by {after}")

    def _fold(self, kind: str, seq: int, subject: str, data: dict[str, Any]) -> None:
        if kind == "machine.production":
            self._is(data["ambiguous"] is None, seq, "does not know how many parts there were")
            sums = self.production.setdefault(subject, Counter())
            sums.update({name: data[name] or 0 for name in ("total", "scrap", "recovered")})
        elif kind in ("gateway.gap", "counter.fault"):
            self._is(kind == "gateway.gap" and data["what"] == "off", seq, f"says what should not be: {data}")
        elif kind in _REVISED:
            known = self.revised.get(f"{kind} {data[_REVISED[kind]]}")
            self._is(data["rev"] == (known.rev + 1 if known else 0), seq, f"is rev {data['rev']} after {known}")
            self._is(known is None or not known.final, seq, f"revises what was final: {known}")
            self.revised[f"{kind} {data[_REVISED[kind]]}"] = Revised(
                kind, data["rev"], data["final"], subject, data["began"], data["ended"]
            )

    def _is(self, holds: bool, seq: int, otherwise: str) -> None:
        if not holds:
            raise Broken(f"{self.name}: event {seq} {otherwise}")
