"""History in memory against a plain model: whatever the order, within its bounds, and behind any cursor."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.events import Envelope, Event, rfc3339
from gateway.history.history import History
from gateway.history.rows import milliseconds
from gateway.history.telling import Asked, told
from gateway.outbox.encode import encode
from tests.gateway.history.line import HOUR, JAM, NOW, STREAM, entry, interval, minute, stop, window

MACHINES = {"filler": 120_000, "capper": 120_000}
SPAN = (NOW - 8 * HOUR, NOW)
Answer = dict[str, Any]


def history_of(
    events: Sequence[Event], order: Iterable[int] | None = None, *, now: int = NOW, most_bytes: int = 10**9
) -> History:
    """One that was told events, which are numbered from 1 on, in an order."""
    history = History(Envelope("/x", STREAM), 0, lambda: now, most_bytes)
    rows = [encode(event)[0] for event in events]
    if order is None:
        history.loaded(None)
        for number, row in enumerate(rows, 1):
            history.committed(number, [row])
    else:
        for number in order:
            history.take(number, *rows[number - 1])
            history.tidy()
        history.last_seq = len(rows)
        history.loaded(None)
    return history


def answered(history: History, after: int | None = None, machine: str | None = None) -> Answer:
    """What /api/history says."""
    machines = MACHINES if machine is None else {machine: MACHINES[machine]}
    found: Answer = orjson.loads(asyncio.run(told(history, Asked(machines, *SPAN, after, machine is not None), "d")))
    return found


class Page:
    """What a page does with answers: rows replace those of the same id, stops those of the same root."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str, str], Any] = {}

    def take(self, answer: Answer) -> None:
        if answer["full"]:
            self.rows.clear()
        for name, machine in answer["machines"].items():
            for row in machine["intervals"]:
                one = dict(zip(answer["columns"]["intervals"], row, strict=True))
                self._put(("interval", name, one["interval"]), one, one["began_ms"] == one["ended_ms"])
            roots = {one["stop"].partition("/")[0] for one in machine["stops"]}
            for key in [key for key in self.rows if key[:2] == ("stop", name) and key[2].partition("/")[0] in roots]:
                del self.rows[key]
            for one in machine["stops"]:
                self._put(("stop", name, one["stop"]), one, one["began_ms"] == one["ended_ms"])
            for kind, windows in machine["kpi"].items():
                for one in windows:
                    self._put((kind, name, one["kpi"]), one, False)
        for one in answer["entries"]:
            self._put(("entry", one["subject"], one["entry"]), one, False)

    def _put(self, key: tuple[str, str, str], row: Any, is_none: bool) -> None:
        self.rows.pop(key, None)
        if not is_none:
            self.rows[key] = row


MOMENTS = st.integers(0, 40).map(lambda steps: NOW - 9 * HOUR + steps * HOUR // 4)
NAMES = st.sampled_from(sorted(MACHINES))


@st.composite
def lines(draw: st.DrawFn) -> list[Event]:
    """What an engine told of two machines, in the order in which it was committed."""
    events: list[Event] = []
    known: dict[str, list[str]] = {name: [] for name in MACHINES}
    said: list[tuple[str, str]] = []
    revs: dict[tuple[str, str, int], int] = {}
    for number in range(draw(st.integers(0, 30))):
        name, began = draw(NAMES), draw(MOMENTS)
        what = draw(st.sampled_from(["interval", "stop", "stop", "hour", "minute", "entry", "entry"]))
        ended = draw(st.sampled_from([None, began, began + 60_000, began + 20 * 60_000]))
        rev = revs[what, name, began] = revs.get((what, name, began), -1) + 1
        if what == "interval":
            events.append(interval(name, began, ended, rev))
        elif what == "stop":
            reason = draw(st.sampled_from([None, JAM, {**JAM, "source": "operator"}]))
            events.append(stop(name, began, ended, rev, reason=reason))
            known[name].append(f"{name}-stop-{began}")
        elif what == "hour":
            events.append(window(name, "hour", began - began % HOUR, began - began % HOUR + HOUR, rev))
        elif what == "minute":
            events.append(minute(name, began, number, draw(st.sampled_from([None, "cola"])), cycles=number % 2 > 0))
        elif known[name]:
            target = draw(st.sampled_from(known[name])) + draw(st.sampled_from(["", "", "/1", "/2"]))
            which = draw(st.sampled_from(["reason", "note", "split", "merge", "undo"]))
            if which == "undo":
                if not said:
                    continue
                name, target = draw(st.sampled_from(said))
            others: dict[str, dict[str, Any]] = {
                "reason": {"reason": {**JAM, "source": "operator"}},
                "note": {"note": "again"},
                "split": {"at": rfc3339(began + 30_000)},
                "merge": {"other": draw(st.sampled_from(known[name] or [target]))},
                "undo": {},
            }
            events.append(entry(name, number, NOW - 1000 + number, which, target, **others[which]))
            if which != "undo":
                said.append((name, events[-1].data["entry"]))
    return events


@given(lines(), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_what_is_known_does_not_depend_on_the_order_in_which_it_came(events: list[Event], random: Any) -> None:
    live = history_of(events)
    backward = history_of(events, range(len(events), 0, -1))
    order = list(range(1, len(events) + 1)) * 2
    random.shuffle(order)
    mixed = history_of(events, order)
    for machine in (None, *MACHINES):
        answer = answered(live, machine=machine)
        assert answered(backward, machine=machine) == answer
        assert answered(mixed, machine=machine) == answer


@given(lines())
@settings(max_examples=60, deadline=None)
def test_of_each_the_highest_revision_is_told_and_each_minute_once(events: list[Event]) -> None:
    history = history_of(events)
    page = Page()
    page.take(answered(history))
    standing: dict[tuple[str, str], Event] = {}
    for event in events:
        if (key := event.data.get("interval")) is not None:
            standing[event.subject, key] = event
    wanted = {
        ("interval", *key): event.data["rev"]
        for key, event in standing.items()
        if event.data["began"] != event.data["ended"] and _overlaps(event)
    }
    shown = {key: events[row["event"] - 1].data["rev"] for key, row in page.rows.items() if key[0] == "interval"}
    assert shown == wanted
    for name in MACHINES:
        answer = answered(history, machine=name)
        rows = [
            dict(zip(answer["columns"]["production"], row, strict=True))
            for row in answer["machines"][name]["production"]
        ]
        minutes = [e for e in events if e.type == "machine.production" and e.subject == name and _overlaps(e)]
        assert sorted(row["total"] for row in rows) == sorted(event.data["total"] for event in minutes)
        for row in rows:
            data = events[row["event"] - 1].data
            cycle = data["cycle"] or {}
            assert [row[key] for key in ("good", "scrap", "product", "recovered")] == [
                data["good"],
                None,
                data["product"],
                0,
            ]
            assert [row[key] for key in ("n", "mean_s", "p50_s", "p95_s", "ideal_s")] == [
                cycle.get(key) for key in ("n", "mean_s", "p50_s", "p95_s", "ideal_s")
            ]


def _overlaps(event: Event) -> bool:
    began, ended = milliseconds(event.data["began"]), event.data["ended"]
    if event.type == "machine.production":
        return began < SPAN[1] and milliseconds(ended) > SPAN[0]
    return began <= SPAN[1] and (ended is None or milliseconds(ended) >= SPAN[0])


@given(lines(), st.data())
@settings(max_examples=80, deadline=None)
def test_a_page_that_asks_behind_its_cursor_knows_what_one_that_asks_for_all_knows(
    events: list[Event], data: st.DataObject
) -> None:
    page, at = Page(), 0
    for cut in [*sorted(data.draw(st.sets(st.integers(0, len(events)), max_size=4))), len(events)]:
        history = history_of(events[:cut])
        page.take(answered(history, after=at or None))
        at = cut
    whole = Page()
    whole.take(answered(history_of(events)))
    assert page.rows == whole.rows


@given(lines(), st.integers(6_000, 20_000), st.booleans())
@settings(max_examples=60, deadline=None)
def test_where_there_is_no_room_the_oldest_go_and_that_is_said(
    events: list[Event], most_bytes: int, backward: bool
) -> None:
    order = range(len(events), 0, -1) if backward else None
    history = history_of(events, order, most_bytes=most_bytes)
    assert history.size <= most_bytes or all(
        row.ended is None
        for shelf in history.shelves.values()
        for kind in ("intervals", "stops")
        for row in shelf.all(kind)
    )
    answer, whole = answered(history), answered(history_of(events))
    since = SPAN[0] if answer["complete"] else answer["since_ms"]
    for name in MACHINES:
        missing = [
            row for row in whole["machines"][name]["intervals"] if row not in answer["machines"][name]["intervals"]
        ]
        assert all(row[2] <= since for row in missing)
