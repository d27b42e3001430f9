"""docs/sparkplug.md maps every rule of Sparkplug 3.0.0 that binds an edge node to a test that exists and runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]
HERE = Path(__file__).parent
RULES = (ROOT / "tests" / "cases" / "sparkplug-edge-ids.txt").read_text().split()
ROW = re.compile(r"\| `(tck-id-[\w-]+)` \| `(test_\w+\.py::test_\w+)` \|")


def mapped() -> list[tuple[str, str]]:
    rows = (ROOT / "docs" / "sparkplug.md").read_text().partition("\n| rule | test |\n| --- | --- |\n")[2].splitlines()
    found = [ROW.fullmatch(row) for row in rows]
    assert all(found), [row for row, match in zip(rows, found, strict=True) if match is None]
    return [(match[1], match[2]) for match in found if match is not None]


def test_every_rule_has_its_line() -> None:
    assert len(RULES) == len(set(RULES)) == 202
    assert [rule for rule, _ in mapped()] == RULES


def test_every_test_that_is_named_is_collected() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", str(HERE)],
        capture_output=True, text=True, timeout=60, check=True, cwd=ROOT,
    )  # fmt: skip
    collected = {line.rpartition("/")[2].partition("[")[0] for line in done.stdout.splitlines() if "::" in line}
    assert {test for _, test in mapped()} <= collected
