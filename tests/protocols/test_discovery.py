"""Names that a configuration takes, whatever a device calls its things; filters, and the pace of requests."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.discovery import MOST_NAME, Pace, Wishes, device_name, names_of, plain_name, shown_line
from protocols.settings import NAME_PATTERN

PLACES = st.lists(st.lists(st.text(max_size=80), min_size=1, max_size=4), max_size=30)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("StateCurrent", "state_current"),
        ("WS_Cur_State", "ws_cur_state"),
        ("PLCStatus", "plc_status"),
        ("Füllstand [mm]", "fullstand_mm"),
        ("Maß", "mass"),
        ("3rd axis", "_3rd_axis"),
        ("速度", ""),
        ("a" * 500, "a" * MOST_NAME),
    ],
)
def test_a_plain_name(text: str, name: str) -> None:
    assert plain_name(text) == name


def test_names_take_as_many_parts_as_tell_them_apart() -> None:
    places = [("Tank", "Inlet", "Open"), ("Tank", "Outlet", "Open"), ("Tank", "Level"), ("Open",), ("Open",), ("速度",)]
    assert names_of(places) == ["inlet_open", "outlet_open", "level", "open", "open_2", "signal"]


def test_words_of_conditions_and_of_the_configuration_are_no_names() -> None:
    assert names_of([("not",), ("gateway",), ("Line",), ("3",)]) == ["not_", "gateway_", "line_", "_3"]


@given(PLACES)
def test_names_are_valid_and_told_apart(places: list[list[str]]) -> None:
    names = names_of(places)
    assert len(set(names)) == len(places)
    assert all(re.fullmatch(NAME_PATTERN, name) for name in names), names


LETTERS = st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(tuple), max_size=20, unique=True)


@given(LETTERS, st.randoms(use_true_random=False))
def test_names_do_not_depend_on_the_order(places: list[tuple[str, ...]], chance: random.Random) -> None:
    shuffled = list(places)
    chance.shuffle(shuffled)
    assert dict(zip(places, names_of(places), strict=True)) == dict(zip(shuffled, names_of(shuffled), strict=True))


def test_ten_thousand_places_that_are_alike_take_no_time() -> None:
    names = names_of([("Speed",)] * 10_000)
    assert names[-1] == "speed_10000"


def test_a_device_is_called_after_the_first_text_that_gives_a_name() -> None:
    assert device_name("速度", "Simulated Capper") == "simulated_capper"
    assert device_name("", "") == "plc"
    assert device_name("Line") == "line_plc"


def test_patterns_are_of_names_on_the_way_or_of_whole_paths() -> None:
    wishes = Wishes(match=("*speed*", "tank/*/open"))
    assert wishes.wants(("Motor", "CurSpeed"))
    assert wishes.wants(("Tank", "Inlet", "Open"))
    assert wishes.wants(("Speeds", "Open"))
    assert not wishes.wants(("Motor", "Open"))
    assert not wishes.wants(("Line", "Tank", "Inlet", "Open"))
    assert Wishes().wants(("anything",))


def test_requests_keep_their_distance() -> None:
    now = 100.0
    pace = Pace(10, lambda: now)
    waits = [pace.due() for _ in range(3)]
    assert waits == pytest.approx([0.0, 0.1, 0.2])
    now = 200.0
    assert pace.due() == 0.0
    assert pace.due() == pytest.approx(0.1)
    assert pace.asked == 5


def test_a_line_stays_a_line() -> None:
    assert shown_line("a\x1b[31m\r\nb\u202ec\u2028d") == "a?[31m??b?c?d"
    assert len(shown_line("x" * 10_000)) == 120
