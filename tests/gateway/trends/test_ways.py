"""What is sent of a signal proves what is left out: windows sum to the truth, lines and deadbands stay near it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.linetime import LineTime
from gateway.trends.ways import OnChange, Point, Seen, Span, SwingingDoor, Trend, Windows
from protocols.model import Quality, Value

T0 = 1_795_327_200_000  # 2026-11-22T06:00:00Z
FIGURES = ("mean", "min", "max", "first", "last")
MINUTE = 60_000


def point(at: int, value: Value) -> Point:
    return Point(at, value, Quality.BAD if value is None else Quality.GOOD)


def feed(
    trend: Trend, scans: list[tuple[int, Value]], until: int | None = None, hold: int = 10**9, restart: Any = None
) -> list[Point | Span]:
    """Scans as the engine passes them on: only changes, each with what was seen before; deadlines when they are due.

    `restart` makes the trend anew from its checkpoint after every scan.
    """
    said: list[Point | Span] = []
    for number, (at, value) in enumerate(scans):
        seen = Seen(scans[number - 1][0] if number else None, hold, number)
        while trend.deadline is not None and trend.deadline <= at:
            said += trend.fire(trend.deadline, seen)
        if number == 0 or scans[number - 1][1] != value:
            said += trend.sample(point(at, value), seen)
        if restart is not None:
            saved, trend = trend.checkpoint(), restart()
            trend.restore(saved)
    while until is not None and trend.deadline is not None and trend.deadline <= until:
        said += trend.fire(trend.deadline, Seen(scans[-1][0], hold, len(scans)))
    return said


steps = st.lists(st.tuples(st.integers(1, 5_000), st.integers(-40, 40)), min_size=1, max_size=60)


def times(of: list[tuple[int, int]]) -> list[tuple[int, Value]]:
    at = T0
    scans: list[tuple[int, Value]] = []
    for step, value in of:
        at += step
        scans.append((at, float(value)))
    return scans


@given(steps, st.sampled_from([0.5, 3.0, 15.0]))
def test_lines_between_what_is_said_stay_near_every_scan(walk: list[tuple[int, int]], deviation: float) -> None:
    door = SwingingDoor(deviation, None)
    scans = times(walk)
    said = [one for one in [*feed(door, scans), *door.close(scans[-1][0], Seen(None, 0, 0))] if isinstance(one, Point)]
    assert [one.at for one in said] == sorted({one.at for one in said})
    for at, value in scans:
        left = max((one for one in said if one.at <= at), key=lambda one: one.at)
        right = min((one for one in said if one.at >= at), key=lambda one: one.at, default=left)
        assert isinstance(left.value, float)
        assert isinstance(right.value, float)
        assert isinstance(value, float)
        share = (at - left.at) / (right.at - left.at) if right.at > left.at else 0.0
        # an unchanged tail is said no more: it is what the last point was
        assert abs(left.value + share * (right.value - left.value) - value) <= deviation + 1e-9


def test_a_ramp_is_two_points_and_a_corner_one_more() -> None:
    up = [(T0 + 100 * n, float(n)) for n in range(50)]
    down = [(T0 + 5_000 + 100 * n, 49.0 - 2 * n) for n in range(20)]
    door = SwingingDoor(0.1, None)
    said = [
        one for one in [*feed(door, [*up, *down]), *door.close(T0 + 7_000, Seen(None, 0, 0))] if isinstance(one, Point)
    ]
    assert [(one.at - T0, one.value) for one in said] == [(0, 0.0), (4_900, 49.0), (5_000, 49.0), (6_900, 11.0)]


def test_a_step_is_said_with_the_scan_before_it() -> None:
    scans: list[tuple[int, Value]] = [(T0 + 250 * n, 1.0 if n < 40 else 9.0) for n in range(42)]
    said = [one for one in feed(SwingingDoor(0.5, None), scans) if isinstance(one, Point)]
    assert [(one.at - T0, one.value) for one in said] == [(0, 1.0), (9_750, 1.0)]


def test_a_bad_signal_is_said_at_once_with_what_came_before() -> None:
    scans: list[tuple[int, Value]] = [(T0, 1.0), (T0 + 1_000, 1.1), (T0 + 2_000, None), (T0 + 3_000, 1.2)]
    said = [one for one in feed(SwingingDoor(0.5, None), scans) if isinstance(one, Point)]
    assert [(one.at - T0, one.value) for one in said] == [(0, 1.0), (1_000, 1.1), (2_000, None), (3_000, 1.2)]


@given(steps, st.sampled_from([0.0, 2.0, 10.0]))
def test_on_change_is_never_a_deadband_away(walk: list[tuple[int, int]], deadband: float) -> None:
    scans, trend = times(walk), OnChange(deadband, None)
    said: dict[int, Value] = {}
    latest: Value = None
    for one in feed(trend, scans):
        assert isinstance(one, Point)
        assert one.at not in said
        said[one.at] = one.value
    for at, value in scans:
        latest = said.get(at, latest)
        assert isinstance(latest, float)
        assert isinstance(value, float)
        assert latest == value or abs(latest - value) < deadband
    for before, after in pairwise(said.values()):
        assert isinstance(before, float)
        assert isinstance(after, float)
        assert abs(after - before) >= max(deadband, 1e-9)


@pytest.mark.parametrize("trend", [OnChange(5.0, 10_000), SwingingDoor(5.0, 10_000)])
def test_silence_has_an_end(trend: Trend) -> None:
    said = feed(trend, [(T0, 1.0), (T0 + 4_000, 2.0)], until=T0 + 25_000)
    last = [(one.at - T0, one.value) for one in said if isinstance(one, Point)]
    assert last == [(0, 1.0), (10_000, 2.0), (20_000, 2.0)]


@pytest.mark.parametrize("way", [OnChange(0.0, None), SwingingDoor(1.0, None)])
def test_texts_are_said_as_they_change(way: Trend) -> None:
    said = feed(way, [(T0, "a"), (T0 + 1_000, "a"), (T0 + 2_000, "b")])
    assert "b" in [one.value for one in said if isinstance(one, Point)]


@given(st.lists(st.tuples(st.integers(1, 20_000), st.none() | st.integers(-9, 9)), min_size=1, max_size=40))
@example([(983, 5), (59_000, 7), (1_000, 8)])
@example([(983, 5), (59_000, None), (1_000, 8)])
def test_windows_are_what_a_person_would_add_up(walk: list[tuple[int, int | None]]) -> None:
    at, scans = T0 + 17, []
    for step, value in walk:
        at += step
        scans.append((at, None if value is None else float(value)))
    time, end = LineTime("UTC"), at + 3 * MINUTE
    windows = Windows(MINUTE, FIGURES, time)
    found = {one.ended: one for one in feed(windows, list(scans), until=end) if isinstance(one, Span)}
    held = [(began, ended, value) for (began, value), (ended, _) in pairwise([*scans, (end, None)])]
    for window in range(T0, end - MINUTE + 1, MINUTE):
        parts = [(min(e, window + MINUTE) - max(b, window), v) for b, e, v in held]
        known = [(length, v) for length, v in parts if length > 0 and v is not None]
        figures = found.pop(window + MINUTE).figures if window + MINUTE in found else None
        if not known:
            assert figures is None
            continue
        assert figures is not None
        total = sum(length for length, _ in known)
        assert figures["bad_s"] == (MINUTE - total) / 1000
        assert figures["mean"] == pytest.approx(sum(length * v for length, v in known) / total)
        assert (figures["min"], figures["max"]) == (min(v for _, v in known), max(v for _, v in known))
        assert (figures["first"], figures["last"]) == (known[0][1], known[-1][1])
        assert figures["n"] == sum(1 for b, v in scans if window <= b < window + MINUTE and v is not None)
    assert not found


@pytest.mark.parametrize(
    ("way", "again"),
    [
        (lambda: Windows(MINUTE, FIGURES, LineTime("UTC")), "windows"),
        (lambda: SwingingDoor(2.0, 7_000), "door"),
        (lambda: OnChange(2.0, 7_000), "change"),
    ],
)
def test_a_checkpoint_anywhere_changes_nothing(way: Any, again: str) -> None:
    scans: list[tuple[int, Value]] = [(T0 + 900 * n, float((n * 7) % 11)) for n in range(120)]
    whole = feed(way(), scans)
    assert whole, again
    assert feed(way(), scans, restart=way) == whole


def test_what_nobody_looked_at_is_not_known() -> None:
    later = T0 + 3 * 24 * 60 * MINUTE
    scans: list[tuple[int, Value]] = [(T0, 5.0), (T0 + 1_000, 5.0), (later, 7.0)]
    windows = feed(Windows(MINUTE, FIGURES, LineTime("UTC")), scans, later + MINUTE, hold=2_000)
    assert [(one[0] - T0, one[2]["bad_s"], one[2]["mean"]) for one in windows if isinstance(one, Span)] == [
        (0, 57.0, 5.0),
        (later - T0, 58.0, 7.0),
    ]
    for way in (OnChange(0.0, 10_000), SwingingDoor(1.0, 10_000)):
        said = [one for one in feed(way, scans, hold=2_000) if isinstance(one, Point)]
        assert [(one.at - T0, one.value) for one in said] == [(0, 5.0), (3_000, None), (later - T0, 7.0)]
