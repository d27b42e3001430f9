"""Machines that feed each other: what one has not made, the next cannot have."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.simulated.belt import LEAST
from protocols.simulated.machine import ACTIONS, CALM, Filler, Part, Profile, State

BUSY = Profile(start_up_ms=100, mean_run_ms=1_500)
NOW = replace(CALM, start_up_ms=0)
_scripts = st.lists(st.tuples(st.integers(0, 30_000), st.sampled_from(ACTIONS)), max_size=12)


def line_of(seed: int, script: list[tuple[int, str]]) -> tuple[Filler, Filler, Filler]:
    first = Filler(seed, BUSY)
    second = Filler(seed + 1, BUSY, script, source=first)  # type: ignore[arg-type]
    return first, second, Filler(seed + 2, BUSY, source=second)


@settings(deadline=None)
@given(seed=st.integers(0, 1000), script=_scripts, stops=st.lists(st.integers(0, 30_000), max_size=20))
def test_any_stepping_of_any_machine_gives_the_same_lives(
    seed: int, script: list[tuple[int, str]], stops: list[int]
) -> None:
    steps, jump = line_of(seed, script), line_of(seed, script)
    for number, ms in enumerate(sorted(stops)):
        steps[number % 3].advance(max(ms, steps[number % 3].now_ms))
    for machine in (*steps, jump[2]):
        machine.advance(30_000)
    for stepped, jumped in zip(steps, jump, strict=True):
        assert (*stepped.intervals, *stepped.parts) == (*jumped.intervals, *jumped.parts)


@settings(deadline=None)
@given(seed=st.integers(0, 1000), script=_scripts)
def test_nobody_works_on_what_is_not_there(seed: int, script: list[tuple[int, str]]) -> None:
    line = line_of(seed, script)
    line[2].advance(60_000)
    for before, after in pairwise(line):
        arrived = [part.ms for part in before.parts if part.good]
        assert len(after.parts) <= len(arrived)
        assert all(left.ms > came for left, came in zip(after.parts, arrived, strict=False))


def test_it_starves_when_the_machine_before_it_stops_and_goes_on_when_enough_is_there() -> None:
    first = Filler(1, NOW)
    second = Filler(2, NOW, source=first)
    second.advance(60_000)
    first.apply("stop")
    made = first.truth().good
    second.advance(90_000)
    assert second.state is State.STARVED
    assert second.truth().total == made
    first.apply("start")
    second.advance(120_000)
    began = next(one.began_ms for one in second.intervals if one.began_ms > 90_000)
    new: list[Part] = [part for part in first.parts if part.good and part.ms > 90_000]
    assert began == new[LEAST - 1].ms
    assert second.intervals[-1].state is State.EXECUTE
