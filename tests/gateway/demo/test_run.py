"""The demo's verdict is 0 exactly where the daemon counted what the machine made."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.demo import run_demo
from gateway.demo.children import ChildError, Simulator
from gateway.demo.journal import Journal
from gateway.demo.run import verdict

TRUTHS = {"filler": {"total": 50, "rejects": 2}, "capper": {"total": 0, "rejects": 0}}


@pytest.fixture
def journal_of(tmp_path: Path) -> Callable[[int, int], Journal]:
    def make(total: int, scrap: int) -> Journal:
        event = {
            "type": "linegate.machine.production.v1",
            "subject": "filler",
            "stream": "a",
            "seq": "1",
            "data": {"total": total, "scrap": scrap},
        }
        path = tmp_path / "events.ndjson"
        path.write_text(json.dumps(event) + "\n")
        journal = Journal(path)
        assert len(list(journal.news())) == 1
        journal.close()
        return journal

    return make


@pytest.mark.parametrize(
    ("counted", "violations", "at_once", "code", "words"),
    [
        ((50, 2), False, False, 0, "They agree."),
        ((49, 2), False, False, 1, "They differ."),
        ((50, 3), False, False, 1, "They differ."),
        ((50, 2), True, False, 1, "They agree."),
        ((49, 2), False, True, 1, "They differ: nobody waited until the daemon had published everything."),
    ],
)
def test_verdict(
    counted: tuple[int, int], violations: bool, at_once: bool, code: int, words: str,
    journal_of: Callable[[int, int], Journal], capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert verdict(journal_of(*counted), TRUTHS, violations=violations, at_once=at_once) == code
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == words
    assert ("more than reading" in out) == violations


def test_a_directory_in_use_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "something").touch()
    assert run_demo(1, 10, 1, tmp_path) == 2
    assert "is not an empty directory" in capsys.readouterr().err


def test_a_simulator_that_ended_is_said(tmp_path: Path) -> None:
    simulator = Simulator(1, 10, tmp_path / "truth.ndjson")
    simulator.ready()
    assert {truth["total"] for truth in simulator.tell("thaw").values()} == {0}
    assert simulator.end() == 0
    other = Simulator(1, 10, tmp_path / "nowhere" / "truth.ndjson")
    with pytest.raises(ChildError, match="ended with exit code 2"):
        other.ready()
    assert other.end() == 2
