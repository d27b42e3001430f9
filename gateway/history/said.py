"""A machine's stops as people put them: what was said of them is laid over what the machine told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any
from weakref import WeakKeyDictionary

import orjson

from gateway.entries.overlay import SaidStop, overlay, root
from gateway.entries.word import Word
from gateway.history.rows import ASKED, ENTRIES, STOPS, Row
from gateway.history.shelf import Shelf

OF_STOPS = frozenset({"reason", "note", "split", "merge"})


@dataclass(slots=True)
class _Group:
    """Stops that are told together, for somebody said that they were one, and all that was said of them."""

    stops: set[str]
    words: list[Word]
    seq: int
    """The highest of what was said."""


_KNOWN: WeakKeyDictionary[Shelf, tuple[int, list[_Group]]] = WeakKeyDictionary()


def laid(shelf: Shelf, from_ms: int, to_ms: int, after: int | None, short_stop: int, now: int) -> list[Row]:
    """The stops of one machine that overlap a time, by their begin; `short_stop` in milliseconds.

    With `after` those that follow from something behind that number, also those of which nothing is left; without,
    only what there is.
    """
    if after is not None and not shelf.has_news((STOPS, ENTRIES), after):
        return []
    told = {row.key: row for row in shelf.rows(STOPS, from_ms, to_ms)}
    found = []
    for group in _groups(shelf):
        if not group.stops.isdisjoint(told):
            found += _put(group, shelf, short_stop, now)
            for name in group.stops:
                told.pop(name, None)
    found += told.values()
    found = [row for row in found if (row.ended != row.began if after is None else row.seq > after)]
    found.sort(key=attrgetter("began", "key"))
    return found


def _groups(shelf: Shelf) -> list[_Group]:
    """What was said of stops; made anew only when more was said."""
    version, groups = _KNOWN.get(shelf, (-1, []))
    if version != shelf.version(ENTRIES):
        groups = _grouped(shelf.all(ENTRIES))
        _KNOWN[shelf] = shelf.version(ENTRIES), groups
    return groups


def _grouped(entries: Iterable[Row]) -> list[_Group]:
    """What was said of stops, together with what was taken back of that."""
    owners: dict[str, _Group] = {}
    names: dict[str, set[str]] = {}
    order: dict[str, int] = {}
    for row in sorted(entries, key=attrgetter("seq")):
        data = orjson.loads(row.body)
        word = Word.told(data, row.began, data["moment_ms"])
        if word.what in OF_STOPS:
            names[word.entry] = {root(name) for name in (word.target, word.other) if name}
        elif word.what == "undo":
            names[word.entry] = names.get(word.target or "", set())
        if stops := names.get(word.entry):
            order[word.entry] = row.seq
            joined = {id(group): group for name in stops if (group := owners.get(name)) is not None}.values()
            words = [one for group in joined for one in group.words]
            if len(joined) > 1:
                words.sort(key=lambda one: order[one.entry])
            group = _Group(stops.union(*(group.stops for group in joined)), [*words, word], row.seq)
            owners.update((name, group) for name in group.stops)
    return list({id(group): group for group in owners.values()}.values())


def _put(group: _Group, shelf: Shelf, short_stop: int, now: int) -> list[Row]:
    rows = {name: row for name in group.stops if (row := shelf.get(STOPS, name)) is not None}
    told = {name: orjson.loads(row.body) for name, row in rows.items()}
    seq = max(group.seq, *(row.seq for row in rows.values()))
    said = overlay((_own(data, group.words) for data in told.values()), group.words)
    found = [_row(stop, rows[root(stop.stop)], told[root(stop.stop)], seq, short_stop, now) for stop in said]
    for name in rows.keys() - {root(stop.stop) for stop in said}:
        into = next((stop.stop for stop in said if name in stop.of), None)
        began = rows[name].began
        body: dict[str, Any] = {"stop": name, "merged_into": into, "entries": []}
        body |= {"began_ms": began, "ended_ms": began}
        found.append(Row(STOPS, name, began, began, rows[name].rev, seq, orjson.dumps(body)))
    return found


def _own(data: Mapping[str, Any], words: Iterable[Word]) -> SaidStop:
    """A stop as the machine told it: what a person said meanwhile is for the entries to say, which may be undone."""
    reason = data["reason"]
    if reason is not None and reason["source"] == "operator" and any(word.what == "reason" for word in words):
        reason = None
    stretch = (data["began_ms"], data["ended_ms"])
    return SaidStop(data["stop"], data["kind"], data["category"], (stretch,), reason, of=(data["stop"],))


def _row(stop: SaidStop, row: Row, data: Mapping[str, Any], seq: int, short_stop: int, now: int) -> Row:
    minor = data["minor"]
    body: dict[str, Any] = {**data, "stop": stop.stop, "reason": stop.reason, "entries": stop.entries}
    if stop.note is not None:
        body["note"] = stop.note
    if stop.stretches != ((row.began, row.ended),):
        minor = stop.is_minor(short_stop, now)
        body |= {"began_ms": stop.began, "ended_ms": stop.ended, "minor": minor, "of": stop.of}
        body |= {"duration_s": None if stop.ended is None else stop.length(now) / 1000}
        body |= {"planned_overlap_s": None, "lost_parts": None, "stretches": stop.stretches}
        if stop.began != row.began:
            body["first_out"] = None  # it tells of the whole stop's begin
    body["failure"] = stop.is_failure(minor)
    waits = stop.kind in ASKED and stop.reason is None and stop.began != stop.ended
    return Row(STOPS, stop.stop, stop.began, stop.ended, row.rev, seq, orjson.dumps(body), waits)
