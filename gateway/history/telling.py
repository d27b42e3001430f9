"""The history as JSON: what overlaps a time, or of that what changed behind a number; machine by machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Any

import orjson

from gateway.health.answers import TURN_S
from gateway.history.history import OF_ALL, History
from gateway.history.minutes import COLUMNS as MINUTE
from gateway.history.rows import ENTRIES, GAPS, INTERVAL, INTERVALS, OTHERS, WINDOWS, Row, event_name
from gateway.history.said import laid
from gateway.history.shelf import Shelf

LINE = "line"
FOREVER = 2**62
"""After every time, in milliseconds."""
EMPTY = Shelf()
NONE = b"{}"


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants to know of which machines. Times are UTC milliseconds."""

    machines: Mapping[str, int]
    """By name, how long a stop has to be in order not to be a minor one, in milliseconds."""
    from_ms: int
    to_ms: int = FOREVER
    after: int | None = None
    """Only what changed behind this number; None for all."""
    with_minutes: bool = False


async def told(history: History, asked: Asked, digest: str) -> bytes:
    """The answer of /api/history. What is committed meanwhile may be in it, and is told again behind its cursor."""
    head = _head(history, asked, digest)
    parts: list[bytes] = []
    until = time.monotonic() + TURN_S
    for name, short_stop in asked.machines.items():
        if made := _machine(history, _shelf(history, name), asked, short_stop):
            parts.append(orjson.dumps(name) + b":" + made)
        if time.monotonic() > until:
            await asyncio.sleep(0)
            until = time.monotonic() + TURN_S
    kpi = _windows(_shelf(history, LINE), asked)
    common = history.shelves[OF_ALL]
    span = asked.from_ms, asked.to_ms, asked.after
    of_people = [row for name in (*asked.machines, LINE) for row in _shelf(history, name).rows(ENTRIES, *span)]
    entries = _bodies(sorted(of_people, key=attrgetter("seq")))
    others = _bodies([*common.rows(OTHERS, *span), *common.rows(GAPS, *span)])
    return b'%s,"machines":{%s},"line":{"kpi":%s},"entries":%s,"others":%s}' % (
        orjson.dumps(head)[:-1], b",".join(parts), kpi, entries, others,
    )  # fmt: skip


async def stops(history: History, machines: Mapping[str, int], waiting: bool, limit: int) -> bytes:
    """The answer of /api/stops: the newest of all that are kept, or of those that wait for a reason."""
    now = history.now()
    found: list[tuple[int, str, Row]] = []
    for name, short_stop in machines.items():
        rows = laid(_shelf(history, name), history.kept_from, FOREVER, None, short_stop, now)
        found += [(row.began, name, row) for row in rows if row.waits or not waiting]
        await asyncio.sleep(0)
    found.sort(key=itemgetter(0, 1), reverse=True)
    bodies = [b'{"machine":%s,%s' % (orjson.dumps(name), row.body[1:]) for _, name, row in found[:limit]]
    return b'{"last_seq":%d,"total":%d,"stops":%s}' % (history.last_seq, len(found), _array(bodies))


def said(history: History, limit: int) -> bytes:
    """The answer of /api/entries: what people said in the hours that are kept, the newest first."""
    since = history.kept_from
    rows = [row for shelf in history.shelves.values() for row in shelf.rows(ENTRIES, since, FOREVER)]
    rows.sort(key=attrgetter("began", "seq"), reverse=True)
    return b'{"last_seq":%d,"total":%d,"entries":%s}' % (history.last_seq, len(rows), _bodies(rows[:limit]))


def _head(history: History, asked: Asked, digest: str) -> dict[str, Any]:
    stream, last = history.envelope.stream, history.last_seq
    until = min(asked.to_ms, history.now())
    since = history.complete_from(asked.from_ms, until, (*asked.machines, LINE))
    return {
        "from_ms": asked.from_ms,
        "to_ms": until,
        "digest": digest,
        "stream": stream,
        "last_seq": last,
        "cursor": None if history.loading else f"{stream}-{last}",
        "full": asked.after is None,
        "complete": not history.loading and since is None,
        "since_ms": since,
        "loading": history.loading,
        "columns": {"intervals": INTERVAL, "production": MINUTE},
    }


def _shelf(history: History, name: str) -> Shelf:
    return history.shelves.get(name, EMPTY)


def _machine(history: History, shelf: Shelf, asked: Asked, short_stop: int) -> bytes:
    """One machine's part; nothing where nothing has changed."""
    since = asked.from_ms if asked.after is None else 0  # what is known to last may turn out to have ended before
    span = since, asked.to_ms, asked.after
    intervals = shelf.rows(INTERVALS, *span)
    if asked.after is None:  # what turned out to have been none matters to those alone who know of it
        intervals = [row for row in intervals if row.ended != row.began]
    stopped = laid(shelf, *span, short_stop, history.now())
    kpi = _windows(shelf, asked)
    minutes = list(shelf.minutes.rows(asked.from_ms, *span[1:])) if asked.with_minutes else []
    if asked.after is not None and not (intervals or stopped or kpi != NONE or minutes):
        return b""
    parts = b'{"intervals":%s,"stops":%s,"kpi":%s' % (_bodies(intervals), _bodies(stopped), kpi)
    if asked.with_minutes:
        rows = sorted([*row, event_name(history.envelope, seq)] for seq, row in minutes)
        parts += b',"production":' + orjson.dumps(rows)
    return parts + b"}"


def _windows(shelf: Shelf, asked: Asked) -> bytes:
    found = {kind: shelf.rows(kind, asked.from_ms, asked.to_ms, asked.after) for kind in WINDOWS}
    return b"{%s}" % b",".join(b'"%s":%s' % (kind.encode(), _bodies(rows)) for kind, rows in found.items() if rows)


def _bodies(rows: Iterable[Row]) -> bytes:
    return _array(row.body for row in rows)


def _array(bodies: Iterable[bytes]) -> bytes:
    return b"[%s]" % b",".join(bodies)
