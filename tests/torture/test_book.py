"""The checker of the crash campaign finds what it is there to find, and the campaign says it with its seed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from tests.torture.__main__ import main
from tests.torture.book import Book, Broken
from tests.torture.campaign import Campaign, Figures


def event(seq: int, kind: str = "signal.trend", subject: str = "filler", **data: Any) -> bytes:
    stream = data.pop("stream", "s")
    prevseq = data.pop("prevseq", seq - 1)
    body = {"id": f"{stream}-{seq}", "stream": stream, "seq": str(seq), "prevseq": str(prevseq), "subject": subject}
    return orjson.dumps({**body, "type": f"linegate.{kind}.v1", "data": data})


def state(seq: int, rev: int, final: bool, began: str = "1", ended: str | None = None, interval: str = "a") -> bytes:
    data: dict[str, Any] = {"interval": interval, "rev": rev, "final": final, "began": began, "ended": ended}
    return event(seq, "machine.state", **data)


def made(seq: int, total: int | None, scrap: int | None = 0, **more: Any) -> bytes:
    data: dict[str, Any] = {"total": total, "scrap": scrap, "recovered": None, "ambiguous": None, **more}
    return event(seq, "machine.production", **data)


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([event(2)], "missing"),
        ([event(1), event(3)], "missing"),
        ([event(1), event(2, prevseq=0)], "came before it"),
        ([event(1), event(1, value=2)], "another story"),
        ([event(1), event(2, stream="other")], "another stream"),
        ([event(1), event(2)[:-3]], "after event 1 comes"),
        ([state(1, 0, False), state(2, 2, False)], "is rev 2 after"),
        ([state(1, 1, False)], "is rev 1 after None"),
        ([state(1, 0, True), state(2, 1, True)], "revises what was final"),
        ([made(1, 3, ambiguous={"low": 3, "high": 4})], "how many parts"),
        ([event(1, "gateway.gap", what="dropped")], "should not be"),
        ([event(1, "counter.fault", why="range")], "should not be"),
    ],
)
def test_what_is_wrong_is_said(lines: list[bytes], why: str) -> None:
    book = Book("mes")
    for line in lines[:-1]:
        book.take(line)
    with pytest.raises(Broken, match=why):
        book.take(lines[-1])


def test_what_is_right_passes_and_is_summed() -> None:
    book = Book("mes")
    lines = [
        state(1, 0, False), made(2, 3, 1), state(3, 1, True, ended="2"), state(4, 0, False, "2", interval="b"),
        made(5, 2, 0, recovered=2), event(6, "gateway.gap", what="off"),
    ]  # fmt: skip
    for line in [*lines[:4], *lines[2:]]:
        book.take(line)
    assert (book.last, book.duplicates) == (6, 2)
    book.is_produced({"filler": {"total": 5, "rejects": 1}})
    book.is_without_gaps_of_time()
    assert book.production["filler"]["recovered"] == 2


@pytest.mark.parametrize("truth", [(6, 1), (5, 0), (4, 1)])
def test_parts_that_differ_from_the_truth(truth: tuple[int, int]) -> None:
    book = Book("mes")
    book.take(made(1, 5, 1))
    with pytest.raises(Broken, match="filler made"):
        book.is_produced({"filler": {"total": truth[0], "rejects": truth[1]}})


@pytest.mark.parametrize(("final", "ended"), [(False, "2"), (True, "3"), (True, None)])
def test_time_that_is_missing_or_open(final: bool, ended: str | None) -> None:
    book = Book("mes")
    book.take(state(1, 0, final, ended=ended))
    book.take(state(2, 0, False, began="2", interval="b"))
    with pytest.raises(Broken, match="is not followed by"):
        book.is_without_gaps_of_time()


def test_the_last_intervals_may_wait_for_what_makes_them_final() -> None:
    book = Book("mes")
    for seq, (interval, final) in enumerate((("a", False), ("b", False), ("c", False)), 1):
        book.take(state(seq, 0, final, began=str(seq), ended=str(seq + 1), interval=interval))
    book.is_without_gaps_of_time(some_wait=True)
    book.take(state(4, 1, True, began="2", ended="3", interval="b"))
    with pytest.raises(Broken, match="is not followed by"):
        book.is_without_gaps_of_time(some_wait=True)


def test_two_uplinks_that_differ() -> None:
    one, other = Book("mes"), Book("plant")
    one.take(event(1))
    one.take(event(2))
    other.take(event(1))
    one.agrees_with(other)
    other.take(event(2, value=1))
    with pytest.raises(Broken, match="event 2 is not what plant holds"):
        one.agrees_with(other)


async def _breaks(self: Campaign) -> Figures:
    self.figures.kills = 12
    raise Broken("mes: event 7 is missing")


async def _holds(self: Campaign) -> Figures:
    self.figures.kills = 20
    return self.figures


@pytest.mark.parametrize(("run", "code", "said"), [(_breaks, 1, "event 7 is missing"), (_holds, 0, "Nothing is")])
def test_the_command_says_what_broke_and_how_to_repeat_it(
    run: Callable[[Campaign], Any],
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(Campaign, "run", run)
    monkeypatch.setattr(sys, "argv", ["torture", "--kills", "20", "--seed", "42"])
    assert main() == code
    shown = capsys.readouterr().out
    assert said in " ".join(shown.split())
    assert ("--kills 20 --seed 42" in shown) == bool(code)
    assert "\x1b" not in shown
