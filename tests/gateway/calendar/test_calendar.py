"""The calendar against a model that asks the clock on the wall minute by minute, over clock changes too."""

from __future__ import annotations

from bisect import bisect_left
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import accumulate
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.calendar.calendar import Calendar
from gateway.calendar.rests import rests
from gateway.config.model import CalendarConfig
from gateway.linetime import LineTime

MINUTE, HOUR = 60_000, 3_600_000
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEK = ["mon", "tue", "wed", "thu", "fri"]
BERLIN = {
    "production_day": "06:00",
    "shifts": {
        "early": {"days": WEEK, "from": "06:00", "to": "14:00", "breaks": [{"from": "10:00", "to": "10:15"}]},
        "late": {"days": WEEK, "from": "14:00", "to": "22:00"},
        "night": {"days": WEEK, "from": "22:00", "to": "06:00", "breaks": [{"from": "01:45", "to": "02:15"}]},
    },
    "exceptions": [{"date": "2026-12-25", "closed": "Christmas"}, {"date": "2026-12-26", "shifts": ["early"]}],
    "maintenance": [{"machine": "filler", "from": "2026-11-24 07:30", "to": "2026-11-24 09:00"}],
}
# zones and the weeks around their clock changes; Lord Howe moves by half an hour
CHANGES = [
    ("Europe/Berlin", date(2026, 3, 28)),
    ("Europe/Berlin", date(2026, 10, 24)),
    ("America/New_York", date(2026, 3, 7)),
    ("America/Santiago", date(2026, 9, 5)),
    ("Australia/Lord_Howe", date(2026, 4, 4)),
    ("Asia/Kolkata", date(2026, 1, 1)),
]


def calendar(**changed: Any) -> CalendarConfig:
    return CalendarConfig.model_validate({**BERLIN, **changed})


def utc(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


@lru_cache
class Wall:
    """What the clock on the wall shows at each minute of some days, and the first minute of each reading."""

    def __init__(self, zone: str, day: date) -> None:
        begin = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000 - 96 * HOUR
        self.minutes = range(begin, begin + 216 * HOUR, MINUTE)
        self.face = [
            datetime.fromtimestamp(moment / 1000, UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
            for moment in self.minutes
        ]
        self._latest = list(accumulate(self.face, max))

    def first(self, face: datetime) -> int:
        """The first minute at which it shows this or later."""
        return self.minutes[bisect_left(self._latest, face)]


moments = st.integers(0, 95).map(lambda quarter: quarter * 15)


@st.composite
def shifts(draw: st.DrawFn) -> dict[str, Any]:
    """Up to three shifts, each with a break; they may overlap."""
    described: dict[str, Any] = {}
    for index in range(draw(st.integers(1, 3))):
        began, length = draw(moments), draw(st.integers(4, 96)) * 15
        rest = draw(st.integers(0, length - 30)) if length > 30 else 0
        described[f"s{index}"] = {
            "days": draw(st.lists(st.sampled_from(DAYS), unique=True)),
            "from": clock(began),
            "to": clock((began + length) % 1440),
            "breaks": [{"from": clock((began + rest) % 1440), "to": clock((began + rest + 15) % 1440)}],
        }
    return described


def expected(wall: Any, config: CalendarConfig, day: date, moment: int) -> tuple[str | None, bool, str]:
    """Shift, planned and production date by looking at the wall."""
    dates = [day + timedelta(days=offset) for offset in (-1, 0, 1)]
    found: tuple[int, str | None, bool] = (-1, None, False)
    for name, shift in config.shifts.items():
        for one in dates:
            if DAYS[one.weekday()] not in shift.days:
                continue
            midnight = datetime(one.year, one.month, one.day)  # noqa: DTZ001
            began = wall.first(midnight + timedelta(minutes=shift.from_))
            ended = wall.first(midnight + timedelta(minutes=shift.from_ + ((shift.to - shift.from_ - 1) % 1440) + 1))
            (rest,) = shift.breaks
            rests = shift.from_ + (rest.from_ - shift.from_) % 1440
            breaks = [wall.first(midnight + timedelta(minutes=rests + extra)) for extra in (0, 15)]
            if began <= moment < ended and began > found[0]:
                found = (began, name, not breaks[0] <= moment < breaks[1])
    begins = [
        (wall.first(datetime(one.year, one.month, one.day) + timedelta(minutes=config.day_begins)), one)  # noqa: DTZ001
        for one in dates
    ]
    return (*found[1:], max(one for began, one in begins if began <= moment).isoformat())


@given(st.sampled_from(CHANGES), shifts(), moments, st.lists(st.integers(0, 47), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_spans_say_what_the_clock_on_the_wall_says(
    change: tuple[str, date], described: dict[str, Any], day_begins: int, hours: list[int]
) -> None:
    zone, changes = change
    config = CalendarConfig.model_validate({"production_day": clock(day_begins), "shifts": described})
    wall, plan = Wall(zone, changes), Calendar(zone, config)
    for hour in hours:
        moment = wall.minutes[96 * 60] + hour * HOUR + 7 * MINUTE
        span = plan.span(moment)
        assert span.began <= moment < span.ended
        for inside in {moment, span.began, span.ended - MINUTE}:
            day = wall.face[(inside - wall.minutes[0]) // MINUTE].date()
            assert (span.shift, span.planned, span.production_date) == expected(wall, config, day, inside)


@given(st.sampled_from(CHANGES), shifts(), st.integers(0, 47))
@settings(max_examples=60, deadline=None)
def test_spans_follow_each_other_without_gap(change: tuple[str, date], described: dict[str, Any], hour: int) -> None:
    zone, changes = change
    plan = Calendar(zone, CalendarConfig.model_validate({"shifts": described}))
    moment = Wall(zone, changes).minutes[0] + hour * HOUR
    for _ in range(12):
        span = plan.span(moment)
        assert plan.span(span.began) == plan.span(span.ended - 1) == span
        assert plan.span(span.ended).began == span.ended
        moment = span.ended


@pytest.mark.parametrize(
    ("moment", "shift", "planned", "day"),
    [
        ("2026-11-23T04:59:59.999", None, False, "2026-11-22"),  # 05:59:59 on a Monday
        ("2026-11-23T05:00", "early", True, "2026-11-23"),
        ("2026-11-23T09:00", "early", False, "2026-11-23"),
        ("2026-11-23T09:15", "early", True, "2026-11-23"),
        ("2026-11-23T21:00", "night", True, "2026-11-23"),
        ("2026-11-24T04:59", "night", True, "2026-11-23"),
        ("2026-11-28T04:59", "night", True, "2026-11-27"),  # Friday's, on Saturday
        ("2026-11-28T05:00", None, False, "2026-11-28"),
        ("2026-12-25T04:00", "night", True, "2026-12-24"),  # Thursday's night shift ends on the holiday
        ("2026-12-25T06:00", None, False, "2026-12-25"),
        ("2026-12-26T06:00", "early", True, "2026-12-26"),  # a Saturday
        ("2026-12-26T14:00", None, False, "2026-12-26"),
    ],
)
def test_a_plants_week(moment: str, shift: str | None, planned: bool, day: str) -> None:
    span = Calendar("Europe/Berlin", calendar()).span(utc(moment))
    assert (span.shift, span.planned, span.production_date) == (shift, planned, day)


@pytest.mark.parametrize(("friday", "hours"), [("2026-03-27", 8), ("2026-10-23", 8)])
def test_a_shift_over_a_clock_change_has_its_true_length(friday: str, hours: int) -> None:
    saturday = [*WEEK, "sat"]
    config = calendar(shifts={"night": {"days": saturday, "from": "22:00", "to": "06:00"}}, production_day="22:00")
    plan = Calendar("Europe/Berlin", config)
    ordinary = plan.span(utc(f"{friday}T22:00"))
    changed = plan.span(utc(f"{friday}T22:00") + 24 * HOUR)
    assert ordinary.ended - ordinary.began == hours * HOUR
    assert changed.ended - changed.began == {"2026-03-27": 7, "2026-10-23": 9}[friday] * HOUR


def test_planned_maintenance_is_one_machines() -> None:
    plan = Calendar("Europe/Berlin", calendar())
    before, within, after = (plan.of_machine("filler", utc(f"2026-11-24T{at}")) for at in ("06:00", "06:30", "08:00"))
    assert [one.planned for one in (before, within, after)] == [True, False, True]
    assert (before.ended, within.ended) == (utc("2026-11-24T06:30"), utc("2026-11-24T08:00"))
    assert plan.of_machine("capper", utc("2026-11-24T06:30")).planned


def test_why_nothing_is_meant_to_be_made() -> None:
    """Breaks, the time between shifts, which is one over the day's begin, and one machine's maintenance, each whole."""
    maintenance = [{"machine": "filler", "from": "2026-11-24 09:00", "to": "2026-11-24 10:05"}]
    shift = {"days": ["mon", "tue"], "from": "06:00", "to": "14:00", "breaks": [{"from": "10:00", "to": "10:15"}]}
    given = calendar(shifts={"early": shift}, maintenance=maintenance, exceptions=[], production_day="04:00")
    of_line = Calendar("UTC", given)
    monday, tuesday = utc("2026-11-23 10:05"), utc("2026-11-24 12:00")
    found = rests(of_line, None, monday, tuesday)
    assert [tuple(one) for one in found] == [
        (utc("2026-11-23 10:00"), utc("2026-11-23 10:15"), "break"),
        (utc("2026-11-23 14:00"), utc("2026-11-24 06:00"), "no_shift"),
        (utc("2026-11-24 10:00"), utc("2026-11-24 10:15"), "break"),
    ]
    assert of_line.maintained == {"filler"}
    assert [tuple(one) for one in rests(of_line, "filler", tuesday - 4 * 3_600_000, tuesday)] == [
        (utc("2026-11-24 09:00"), utc("2026-11-24 10:05"), "maintenance"),
        (utc("2026-11-24 10:05"), utc("2026-11-24 10:15"), "break"),
    ]
    assert rests(Calendar("UTC", None), None, monday, tuesday) == []


def test_without_a_calendar_all_time_is_planned_and_days_begin_at_midnight() -> None:
    span = Calendar("Europe/Berlin", None).span(utc("2026-11-22T23:00"))
    assert (span.shift, span.planned, span.production_date) == (None, True, "2026-11-23")
    assert span.ended - span.began == 24 * HOUR


def test_an_instant_keeps_its_name_over_steps_of_the_clock() -> None:
    time = LineTime("UTC")
    time.set_offset(HOUR, 1000)
    time.set_offset(-HOUR, 2000)
    assert [time.utc(at) for at in (999, 1000, 2000)] == [999, 1000 + HOUR, 2000 - HOUR]
    other = LineTime("UTC")
    other.restore(time.checkpoint())
    assert other.text(999) == time.text(999) == "1970-01-01T00:00:00.999Z"


def test_boundaries_are_told_in_engine_time() -> None:
    time = LineTime("Europe/Berlin", calendar())
    time.set_offset(utc("2026-11-23T08:30") - 5000, 5000)
    planned = time.planned("capper", 5000)
    assert (planned.shift, planned.planned, planned.until) == ("early", True, 5000 + HOUR // 2)
