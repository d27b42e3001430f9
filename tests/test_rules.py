"""The page of rules (tests/cases/rules.md) names what is there, and every recording."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
ROWS = [line for line in (HERE / "cases" / "rules.md").read_text().splitlines() if line.startswith("| ")]
HELD_BY = [set(re.findall(r"`([^`]+)`", row.removesuffix(" |").rpartition(" | ")[2])) for row in ROWS]
NAMED = set[str]().union(*HELD_BY)
RECORDINGS = {path.name for path in (HERE / "cases" / "engine").iterdir()}


def is_there(name: str) -> bool:
    """A recording, a file of tests, or one test in it."""
    file, _, test = name.partition("::")
    found = [path.read_text() for path in HERE.rglob(file)] if file.endswith(".py") else []
    return name in RECORDINGS or any(not test or f"def {test}(" in text for text in found)


def test_every_rule_is_held_by_something_that_is_there() -> None:
    rules = [
        row for row, held in zip(ROWS, HELD_BY, strict=True) if "---" not in row and not row.startswith("| rule |")
    ]
    assert len(rules) > 60
    assert [row for row, held in zip(ROWS, HELD_BY, strict=True) if row in rules and not held] == []
    assert [name for name in sorted(NAMED) if not is_there(name)] == []


def test_every_recording_is_of_a_rule() -> None:
    assert not RECORDINGS - NAMED
