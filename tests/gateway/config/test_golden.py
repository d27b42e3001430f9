"""Golden folders of bad files: what a person reads, to the letter."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config.loader import load_config
from gateway.config.problems import ConfigProblems

CASES = Path(__file__).parents[2] / "cases" / "config"


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir()))
def test_every_problem_at_once(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CASES / case)
    with pytest.raises(ConfigProblems) as raised:
        load_config(Path("config.yaml"))
    assert f"{raised.value}\n" == Path("expected.txt").read_text(encoding="utf-8")
    places = [(one.file != "config.yaml", one.file, one.line, one.column) for one in raised.value.problems]
    assert places == sorted(places)
    assert all(word not in str(raised.value) for word in ("pydantic", "Input should", "hunter2", "ValidationError"))
