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
from gateway.history.minutes import Minutes
from gateway.history.rows import milliseconds
from gateway.history.telling import Asked, stops, told
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
        is_before = row.get("ended_ms") is not None and row["ended_ms"] < SPAN[0]
        if not is_none and not is_before:
            self.rows[key] = row


MOMENTS = st.sampled_from([NOW - 9 * HOUR, *(NOW - 8 * HOUR + step * HOUR // 2 for step in range(4)), NOW])
LENGTHS = st.sampled_from([None, 0, 60_000, 20 * 60_000])
NAMES = st.sampled_from(sorted(MACHINES))


class Story:
    """What an engine told of two machines, in the order in which it was committed."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.stops: dict[str, dict[str, int]] = {name: {} for name in MACHINES}
        self._said: list[tuple[str, str]] = []
        self._revs: dict[tuple[str, str, int], int] = {}

    def does(self, draw: st.DrawFn) -> None:
        """An interval or a stop begins, goes on or ends; an hour is told; parts are made."""
        name, began, length = draw(NAMES), draw(MOMENTS), draw(LENGTHS)
        what = draw(st.sampled_from(["interval", "stop", "hour", "minute"]))
        ended = None if length is None else began + length
        rev = self._revs[what, name, began] = self._revs.get((what, name, began), -1) + 1
        if what == "interval":
            self.events.append(interval(name, began, ended, rev))
        elif what == "stop":
            reason = draw(st.sampled_from([None, JAM, {**JAM, "source": "operator"}]))
            self.events.append(stop(name, began, ended, rev, reason=reason))
            self.stops[name][f"{name}-stop-{began}"] = began
        elif what == "hour":
            self.events.append(window(name, "hour", began - began % HOUR, began - began % HOUR + HOUR, rev))
        else:
            number = len(self.events)
            product = draw(st.sampled_from([None, "cola"]))
            self.events.append(minute(name, began, number, product, cycles=number % 2 > 0))

    def says(self, draw: st.DrawFn) -> None:
        """Somebody says something of a stop, or takes it back."""
        what = draw(st.sampled_from(["reason", "note", "split", "merge", "undo"]))
        name = draw(NAMES)
        known = sorted(self.stops[name])
        if not known or (what == "undo" and not self._said):
            return
        which = draw(st.integers(0, len(known) - 1))
        target = known[which]
        others: dict[str, dict[str, Any]] = {
            "reason": {"reason": {**JAM, "code": f"{len(self.events)}", "source": "operator"}},
            "note": {"note": f"note {len(self.events)}"},
            "split": {"at": rfc3339(self.stops[name][target] + 30_000)},
            "merge": {"other": known[min(which + 1, len(known) - 1)]},
            "undo": {},
        }
        if what == "undo":
            name, target = draw(st.sampled_from(self._said))
        else:
            target += draw(st.sampled_from(["", "", "/1", "/2"]))
        number = len(self.events)
        self.events.append(entry(name, number, NOW - 1000 + number, what, target, **others[what]))
        if what != "undo":
            self._said.append((name, self.events[-1].data["entry"]))


@st.composite
def lines(draw: st.DrawFn) -> list[Event]:
    """A story of up to 30 events."""
    story = Story()
    for _ in range(draw(st.integers(0, 12))):
        story.does(draw)
    for _ in range(draw(st.integers(0, 18))):
        (story.says if draw(st.integers(0, 3)) else story.does)(draw)
    return story.events


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
@settings(max_examples=60, deadline=None)
def test_a_page_that_asks_behind_its_cursor_knows_what_one_that_asks_for_all_knows(
    events: list[Event], data: st.DataObject
) -> None:
    history = history_of([])
    page = Page()
    page.take(answered(history))
    cursor = 0
    for number, event in enumerate(events, 1):
        history.committed(number, [encode(event)[0]])
        if number < len(events) and data.draw(st.booleans()):
            continue
        page.take(answered(history, after=cursor))
        cursor, whole, answer = number, Page(), answered(history)
        whole.take(answer)
        assert page.rows == whole.rows
        lasting = [row for one in answer["machines"].values() for row in one["stops"]]
        assert all(row["began_ms"] != row["ended_ms"] for row in lasting), "what turned out to be none is left out"
        lasted = [row for one in answer["machines"].values() for row in one["intervals"]]
        assert all(row[2] != row[3] for row in lasted)


@given(lines())
@settings(max_examples=40, deadline=None)
def test_the_queue_has_what_has_no_reason_as_people_put_it(events: list[Event]) -> None:
    history = history_of(events)
    page = Page()
    page.take(answered(history))
    wanted = {
        (name, row["stop"]): row
        for (kind, name, _), row in page.rows.items()
        if kind == "stop" and row["kind"] in ("own", "unknown", "external") and row["reason"] is None
    }
    everything = orjson.loads(asyncio.run(stops(history, MACHINES, False, 1000)))["stops"]
    waiting = orjson.loads(asyncio.run(stops(history, MACHINES, True, 1000)))
    queue = {(row.pop("machine"), row["stop"]): row for row in waiting["stops"]}
    assert wanted.items() <= queue.items()
    assert waiting["total"] == len(queue)
    assert [row["began_ms"] for row in waiting["stops"]] == sorted(
        (r["began_ms"] for r in queue.values()), reverse=True
    )
    assert all(row["reason"] is None for row in queue.values())
    assert len(everything) >= sum(1 for kind, _, _ in page.rows if kind == "stop")


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
    whole = history_of(events)
    for name in MACHINES:
        some, every = answered(history, machine=name), answered(whole, machine=name)
        since = SPAN[0] if some["complete"] else some["since_ms"]
        for kind, end in (("intervals", 2), ("production", 1)):
            shown = some["machines"][name][kind]
            missing = [row for row in every["machines"][name][kind] if row not in shown]
            assert all(row[end] <= since for row in missing), "from then on all is there"
        assert not missing or not shown or max(row[-1] for row in missing) < min(row[-1] for row in shown)


def test_an_old_revision_of_what_is_too_old_to_be_kept_does_not_come_back_while_it_is_loaded() -> None:
    history = History(Envelope("/x", STREAM), 9, lambda: NOW, 10**9)
    began = NOW - 26 * HOUR
    for seq, event in ((9, interval("filler", began, began + HOUR, 1)), (8, interval("filler", began))):
        history.take(seq, *encode(event)[0])
        for _ in range(3):
            history.tidy()
    history.loaded(None)
    assert answered(history)["machines"]["filler"]["intervals"] == []


def test_a_lower_revision_does_not_win_for_being_stored_later() -> None:
    """As after a damaged buffer, where the engine goes on from a checkpoint before what it had told."""
    began = NOW - HOUR
    history = history_of([interval("filler", began, began + 60_000, 5), interval("filler", began, None, 3)])
    (row,) = answered(history)["machines"]["filler"]["intervals"]
    assert row[3] == began + 60_000


def test_whoever_follows_is_told_of_what_turned_out_to_have_ended_before_the_time_asked_for() -> None:
    began = SPAN[0] - HOUR
    lasting = [interval("filler", began), stop("filler", began)]
    history, page = history_of(lasting), Page()
    page.take(answered(history))
    assert len(page.rows) == 2
    for number, event in enumerate([interval("filler", began, began + 1, 1), stop("filler", began, began + 1, 1)], 3):
        history.committed(number, [encode(event)[0]])
    page.take(answered(history, after=2))
    assert page.rows == {}


def test_minutes_that_are_gone_for_want_of_room_leave_no_hole() -> None:
    minutes = Minutes()
    for seq in range(100, 60, -1):
        minutes.add(seq, minute("filler", NOW - HOUR, seq).data)
    assert minutes.drop_oldest(10) == NOW - HOUR + 60_000
    minutes.add(60, minute("filler", NOW - HOUR, 60).data)
    assert [seq for seq, _ in minutes.rows(0, NOW, None)] == list(range(71, 101))
    assert [seq for seq, _ in minutes.rows(0, NOW, 90)] == list(range(91, 101))


def test_what_is_told_of_a_time_after_now_is_not_missed_by_who_follows() -> None:
    """As it is while the wall clock is set back: the cursor passes it."""
    history = history_of([interval("filler", NOW + HOUR)])
    for after in (None, 0):
        body = asyncio.run(told(history, Asked(MACHINES, NOW - HOUR, after=after), "d"))
        assert orjson.loads(body)["machines"]["filler"]["intervals"][0][2] == NOW + HOUR
        assert orjson.loads(body)["to_ms"] == NOW


def told_stops(*said: Event, **changed: Any) -> list[Answer]:
    """Two stops of a quarter of an hour that follow each other, with what was said of them."""
    first, second = NOW - HOUR, NOW - HOUR // 2
    events = [
        stop("filler", first, first + 900_000, minor=False, lost_parts=7, **changed),
        stop("filler", second, second + 900_000, minor=False),
    ]
    found: list[Answer] = answered(history_of([*events, *said]))["machines"]["filler"]["stops"]
    return found


def test_stops_are_as_people_put_them() -> None:
    first, second = f"filler-stop-{NOW - HOUR}", f"filler-stop-{NOW - HOUR // 2}"
    given = {**JAM, "source": "operator"}
    reason = entry("filler", 1, NOW - 50, "reason", first, reason=given, note="cap")
    other = entry("filler", 2, NOW - 40, "reason", first, reason={**given, "code": "4", "failure": False})
    row, untouched = told_stops(reason, other)
    assert (row["reason"]["code"], row["note"], row["failure"]) == ("4", "cap", False)
    assert row["entries"] == ["filler-reason-1", "filler-reason-2"]
    assert (untouched["reason"], untouched["entries"]) == (None, [])
    undo = entry("filler", 3, NOW - 30, "undo", "filler-reason-2")
    assert told_stops(reason, other, undo)[0]["reason"]["code"] == "17"
    undone = entry("filler", 4, NOW - 20, "undo", "filler-reason-1")
    row, _ = told_stops(reason, other, undo, undone, reason=given)
    assert (row["reason"], row.get("note"), row["entries"]) == (None, None, []), (
        "though the engine told it with the stop"
    )
    split = entry("filler", 5, NOW - 15, "split", first, at=rfc3339(NOW - HOUR + 60_000))
    part, rest, _ = told_stops(reason, split, entry("filler", 6, NOW - 14, "reason", f"{first}/2", reason=JAM))
    assert [part["stop"], rest["stop"]] == [f"{first}/1", f"{first}/2"]
    assert [part["minor"], rest["minor"]] == [True, False], "a minute of it is short"
    assert (part["ended_ms"], rest["began_ms"], rest["duration_s"]) == (NOW - HOUR + 60_000, NOW - HOUR + 60_000, 840)
    assert (part["of"], part["lost_parts"]) == ([first], None)
    out = {"signal": "filler_plc.fault", "value": 17, "time": rfc3339(NOW - HOUR)}
    assert [one["first_out"] for one in told_stops(split, first_out=out)[:2]] == [out, None], "it began only once"
    merge = entry("filler", 7, NOW - 13, "merge", first, other=second)
    (merged,) = told_stops(reason, other, merge)
    assert (merged["reason"]["code"], merged["of"], merged["duration_s"]) == ("4", [first, second], 1800)
    assert merged["stretches"] == [[NOW - HOUR, NOW - HOUR + 900_000], [NOW - HOUR // 2, NOW - HOUR // 2 + 900_000]]
