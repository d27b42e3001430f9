"""The simulated filler is exact, deterministic, and knows what it did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.simulated.machine import ACTIONS, CALM, CAP_JAM, LOW_PRESSURE, Filler, Observed, Part, Profile, State

NOW = replace(CALM, start_up_ms=0)
"""Executes from the first millisecond and has no trouble of its own."""

_scripts = st.lists(st.tuples(st.integers(0, 20_000), st.sampled_from(ACTIONS)), max_size=12)


def life(filler: Filler) -> tuple[object, ...]:
    """Everything that can be seen of a machine's past."""
    shown = (filler.bottles, filler.rejects, filler.speed, filler.fault)
    return (*filler.intervals, *filler.parts, filler.truth(), shown)


def test_one_millisecond_at_a_time_is_the_same_as_one_jump() -> None:
    steps, jump = Filler(seed=3), Filler(seed=3)
    for ms in range(120_001):
        steps.advance(ms)
    jump.advance(120_000)
    assert life(steps) == life(jump)
    assert len(jump.intervals) > 3


@settings(deadline=None)
@given(seed=st.integers(0, 1000), script=_scripts, stops=st.lists(st.integers(0, 20_000), max_size=20))
def test_any_stepping_gives_the_same_life(seed: int, script: list[tuple[int, str]], stops: list[int]) -> None:
    busy = Profile(start_up_ms=100, mean_run_ms=1_500)
    steps, jump = (Filler(seed, busy, script) for _ in range(2))  # type: ignore[arg-type]
    for ms in sorted(stops):
        steps.advance(ms)
    steps.advance(20_000)
    jump.advance(20_000)
    assert life(steps) == life(jump)


@given(script=_scripts)
def test_a_script_does_what_commands_at_the_same_times_do(script: list[tuple[int, str]]) -> None:
    scripted, commanded = Filler(5, script=script), Filler(5)  # type: ignore[arg-type]
    for at_ms, action in sorted(script, key=lambda entry: entry[0]):
        commanded.advance(at_ms)
        commanded.apply(action)  # type: ignore[arg-type]
    for filler in (scripted, commanded):
        filler.advance(20_000)
    assert life(scripted) == life(commanded)


def test_another_seed_is_another_life() -> None:
    lives = set()
    for seed in range(10):
        filler = Filler(seed)
        filler.advance(60_000)
        lives.add(life(filler))
    assert len(lives) == 10


@given(seed=st.integers(0, 200), script=_scripts)
def test_truth_is_the_sum_of_what_was_observed(seed: int, script: list[tuple[int, str]]) -> None:
    seen: list[Observed] = []
    filler = Filler(seed, Profile(mean_run_ms=4_000), script, observer=seen.append)  # type: ignore[arg-type]
    filler.advance(30_000)
    parts = [one for one in seen if isinstance(one, Part)]
    truth = filler.truth()
    assert parts == list(filler.parts)
    assert [part.total for part in parts] == list(range(1, truth.total + 1))
    assert truth.rejects == sum(not part.good for part in parts)
    assert truth.good == truth.total - truth.rejects
    assert all(before.ms < after.ms for before, after in pairwise(parts))


@given(seed=st.integers(0, 200), script=_scripts)
def test_parts_leave_only_while_it_executes(seed: int, script: list[tuple[int, str]]) -> None:
    filler = Filler(seed, Profile(mean_run_ms=4_000), script)  # type: ignore[arg-type]
    filler.advance(30_000)
    intervals = list(filler.intervals)
    ends = [after.began_ms for after in intervals[1:]] + [30_000]
    executed = [(one.began_ms, end) for one, end in zip(intervals, ends, strict=True) if one.state is State.EXECUTE]
    for part in filler.parts:
        assert any(began + 490 <= part.ms <= end for began, end in executed)


def test_it_makes_a_bottle_about_every_500_ms_and_rejects_about_two_in_a_hundred() -> None:
    filler = Filler(1, NOW)
    filler.advance(3_600_000)
    assert filler.truth().total == pytest.approx(3_600_000 / 510, rel=0.01)
    assert filler.truth().rejects / filler.truth().total == pytest.approx(0.02, abs=0.005)
    assert 60_000 / 530 <= filler.speed <= 60_000 / 490


def test_it_stands_until_it_has_started_up() -> None:
    filler = Filler(1, CALM)
    filler.advance(1_999)
    assert (filler.state, filler.speed, filler.bottles) == (State.STOPPED, 0, 0)
    filler.advance(2_000)
    assert filler.state is State.EXECUTE


@pytest.mark.parametrize(
    ("begin", "end", "state", "reason"),
    [
        (("fault", LOW_PRESSURE), "clear", State.FAULTED, LOW_PRESSURE),
        (("fault",), "clear", State.FAULTED, CAP_JAM),
        (("starve",), "feed", State.STARVED, 0),
        (("stop",), "start", State.STOPPED, 0),
        (("estop",), "release", State.ESTOPPED, 0),
    ],
)
def test_scripted_trouble_lasts_exactly_as_scripted(
    begin: tuple[str, ...], end: str, state: State, reason: int
) -> None:
    filler = Filler(1, NOW, [(5_000, *begin), (8_123, end)])  # type: ignore[list-item]
    filler.advance(20_000)
    assert [(one.began_ms, one.state, one.reason) for one in filler.intervals] == [
        (0, State.EXECUTE, 0),
        (5_000, state, reason),
        (8_123, State.EXECUTE, 0),
    ]
    assert not any(5_000 < part.ms < 8_123 + 490 for part in filler.parts)


def test_the_gravest_of_several_troubles_shows() -> None:
    filler = Filler(1, NOW)
    seen = []
    for action in ("stop", "starve", "fault", "estop", "release", "clear", "feed", "start"):
        filler.apply(action)
        seen.append(filler.state.value)
    up, down = ["stopped", "starved", "faulted", "estopped"], ["faulted", "starved", "stopped", "execute"]
    assert seen == up + down


def test_another_code_is_another_interval() -> None:
    filler = Filler(1, NOW, [(1_000, "fault", 17), (2_000, "fault", 23)])
    filler.advance(3_000)
    assert [(one.began_ms, one.reason) for one in filler.intervals] == [(0, 0), (1_000, 17), (2_000, 23)]


def test_a_command_ends_random_trouble_too() -> None:
    filler = Filler(2)
    while filler.state is not State.FAULTED:
        filler.advance(filler.now_ms + 100)
    assert filler.fault in (CAP_JAM, LOW_PRESSURE)
    filler.apply("clear")
    assert (filler.state, filler.fault) == (State.EXECUTE, 0)


@pytest.mark.parametrize(("of", "modulus"), [("bottles", 1 << 32), ("rejects", 1 << 16)])
def test_counters_roll_over(of: str, modulus: int) -> None:
    half = replace(NOW, reject_ratio=0.5)
    show: Callable[[Filler], int] = {"bottles": lambda f: f.bottles, "rejects": lambda f: f.rejects}[of]
    filler = Filler(1, half, bottles=(1 << 32) - 5, rejects=(1 << 16) - 6)
    seen = [show(filler)]
    for ms in range(0, 20_000, 100):
        filler.advance(ms)
        seen.append(show(filler))
    steps = {(after - before) % modulus for before, after in pairwise(seen)}
    assert steps == {0, 1}
    assert seen[0] > modulus - 10
    assert seen[-1] < 100


def test_a_reset_zeroes_the_counters_and_not_the_truth() -> None:
    filler = Filler(1, NOW, [(10_000, "reset_counters")], bottles=700, rejects=70)
    filler.advance(9_999)
    assert filler.bottles == 700 + filler.truth().total
    filler.advance(10_000)
    made = filler.truth().total
    assert (filler.bottles, filler.rejects, made) == (0, 0, 19)
    filler.advance(20_000)
    assert filler.bottles == filler.truth().total - made > 10


def test_time_never_goes_back() -> None:
    filler = Filler()
    filler.advance(1_000)
    with pytest.raises(ValueError, match="999 ms has passed"):
        filler.advance(999)


def test_a_fault_has_a_code() -> None:
    with pytest.raises(ValueError, match="0 is not a fault code"):
        Filler().apply("fault", 0)


def test_memory_is_bounded_where_asked() -> None:
    filler = Filler(1, remember=10)
    filler.advance(3_600_000)
    assert len(filler.parts) == len(filler.intervals) == 10
    assert filler.truth().total == filler.parts[-1].total > 1_000


def test_the_default_life_shows_every_kind_of_trouble_within_ten_minutes() -> None:
    """What the demo lives on: a minute at speed 10."""
    filler = Filler()
    filler.advance(600_000)
    shown = {(one.state, one.reason) for one in filler.intervals}
    assert {(State.FAULTED, CAP_JAM), (State.FAULTED, LOW_PRESSURE)} <= shown
    assert {state for state, _ in shown} == set(State)
    assert len(filler.intervals) > 20
