"""Stops as people put them: the same pure function for figures and for what is shown."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.entries.overlay import SaidStop, divided, overlay
from gateway.entries.word import Word

SHORT = 120


def stop(began: int, ended: int | None, **more: Any) -> SaidStop:
    name = f"m-stop-{began}"
    return SaidStop(name, "own", "unplanned_stop", ((began, ended),), of=(name,), **more)


def word(number: int, what: Any, target: str | None, **more: Any) -> Word:
    return Word(entry=f"e{number}", what=what, at=1000 + number, who="anna", target=target, **more)


JAM, TOOLS = {"code": "jam"}, {"code": "tools", "failure": False}
ONE, TWO, THREE = stop(100, 200), stop(300, 350), stop(400, None)


def shown(stops: list[SaidStop]) -> list[tuple[Any, ...]]:
    return [(one.stop, one.stretches, one.reason and one.reason["code"]) for one in stops]


def test_a_reason_and_a_note_stand_until_they_are_taken_back() -> None:
    said = [word(1, "reason", ONE.stop, reason=JAM), word(2, "note", ONE.stop, note="cap upside down")]
    (first, *_) = overlay([ONE, TWO], said)
    assert (first.reason, first.note, first.entries) == (JAM, "cap upside down", ("e1", "e2"))
    assert overlay([ONE, TWO], [*said, word(3, "undo", "e1"), word(4, "undo", "e2")]) == [ONE, TWO]


def test_the_last_reason_stands_and_the_one_before_comes_back() -> None:
    said = [word(1, "reason", ONE.stop, reason=JAM), word(2, "reason", ONE.stop, reason=TOOLS)]
    assert overlay([ONE], said)[0].reason == TOOLS
    assert overlay([ONE], [*said, word(3, "undo", "e2")])[0].reason == JAM


def test_parts_have_names_and_can_be_split_and_named_again() -> None:
    said = [
        word(1, "reason", ONE.stop, reason=JAM),
        word(2, "split", ONE.stop, moment=150),
        word(3, "split", f"{ONE.stop}/2", moment=170),
        word(4, "reason", f"{ONE.stop}/2/1", reason=TOOLS),
    ]
    assert shown(overlay([ONE], said)) == [
        ("m-stop-100/1", ((100, 150),), "jam"),
        ("m-stop-100/2/1", ((150, 170),), "tools"),
        ("m-stop-100/2/2", ((170, 200),), "jam"),
    ]
    assert shown(overlay([ONE], [*said, word(5, "undo", "e2")])) == [("m-stop-100", ((100, 200),), "jam")]


def test_merged_stops_are_as_long_as_both_and_what_is_between_is_none() -> None:
    one = overlay([ONE, TWO, THREE], [word(1, "merge", ONE.stop, other=TWO.stop)])[0]
    assert (one.stretches, one.of, one.length(1000)) == (((100, 200), (300, 350)), (ONE.stop, TWO.stop), 150)
    assert ONE.is_minor(SHORT, 1000) is TWO.is_minor(SHORT, 1000) is True
    assert (one.is_minor(SHORT, 1000), one.is_failure(False)) == (False, True)


def test_a_merged_stop_has_the_first_reason_that_there_is() -> None:
    other = stop(300, 350, reason=TOOLS)
    assert overlay([ONE, other], [word(1, "merge", ONE.stop, other=other.stop)])[0].reason == TOOLS
    first = stop(100, 200, reason=JAM)
    assert overlay([first, other], [word(1, "merge", ONE.stop, other=other.stop)])[0].reason == JAM


def test_parts_put_together_again_are_the_stop() -> None:
    said = [word(1, "split", ONE.stop, moment=150), word(2, "merge", f"{ONE.stop}/1", other=f"{ONE.stop}/2")]
    assert overlay([ONE], said)[0].stretches == ONE.stretches


def test_what_is_about_nothing_changes_nothing() -> None:
    said = [
        word(1, "reason", "m-stop-9", reason=JAM),
        word(2, "split", ONE.stop, moment=100),
        word(3, "merge", TWO.stop, other=ONE.stop),
        word(4, "scrap", None, amount=3),
        word(5, "undo", "e77"),
    ]
    assert overlay([ONE, TWO], said) == [ONE, TWO]


def test_a_failure_is_a_downtime_whose_reason_does_not_say_otherwise() -> None:
    long = stop(100, 900)
    assert [long.is_failure(minor) for minor in (None, True, False)] == [None, False, True]
    assert stop(100, 900, reason=TOOLS).is_failure(False) is False
    assert SaidStop("m-stop-1", "external", "starved", ((1, 900),)).is_failure(False) is False


def test_a_word_is_read_from_its_event() -> None:
    data = {
        "entry": "e1", "what": "job", "target": None, "reason": None, "note": None, "amount": None, "who": "anna",
        "other": None, "given_job": "A", "given_product": "4711", "crew": None,
    }  # fmt: skip
    told = Word.told(data, 7, None)
    assert (told.job, told.product, told.at, told.what) == ("A", "4711", 7, "job")
    assert Word.restored(told.checkpoint()) == told


times = st.integers(0, 60)
words = st.lists(
    st.builds(
        lambda number, what, target, other, moment: word(number, what, target, other=other, moment=moment, reason=JAM),
        st.integers(0, 5),
        st.sampled_from(["reason", "split", "merge", "undo"]),
        st.sampled_from(["m-stop-0", "m-stop-20", "m-stop-20/1", "m-stop-20/2", "m-stop-40", "e0", "e1", "e2"]),
        st.sampled_from(["m-stop-0", "m-stop-20", "m-stop-20/2", "m-stop-40"]),
        times,
    ),
    max_size=8,
)


@given(words)
def test_all_time_of_stops_stays_in_some_stop_and_once(said: list[Word]) -> None:
    stops = [stop(0, 10), stop(20, 40), stop(40, None)]
    laid = overlay(stops, said)
    covered = sorted(
        moment
        for one in laid
        for began, ended in one.stretches
        for moment in range(began, 60 if ended is None else ended)
    )
    assert covered == [*range(10), *range(20, 60)]
    assert len({one.stop for one in laid}) == len(laid)
    assert all(one.stretches == tuple(sorted(one.stretches, key=lambda s: s[0])) for one in laid)


@given(st.integers(0, 50), st.integers(0, 50))
def test_what_is_divided_is_whole(moment: int, began: int) -> None:
    parts = divided(stop(began, 40 + began), moment)
    assert (parts is None) == (not began < moment < 40 + began)
    assert parts is None or sum(one.length(0) for one in parts) == 40
