"""docs/field-reports.md maps every report to tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
REPORTS = (ROOT / "tests" / "cases" / "field-reports.txt").read_text().splitlines()
PAGE = (ROOT / "docs" / "field-reports.md").read_text()
TEST = re.compile(r"  - `(tests/[\w/]+\.py)::(\w+)`")


def mapped() -> dict[str, list[str]]:
    """The lines below each report."""
    reports: dict[str, list[str]] = {}
    for line in PAGE.splitlines():
        if line.startswith("- "):
            lines = reports.setdefault(line[2:], [])
        elif line.startswith("  - "):
            lines.append(line)
    return reports


def test_every_report_is_mapped() -> None:
    assert len(REPORTS) == 26
    assert set(mapped()) == set(REPORTS)
    assert all(mapped().values())


def test_every_line_names_a_test_that_exists() -> None:
    for lines in mapped().values():
        for line in lines:
            found = TEST.fullmatch(line)
            assert found, line
            tree = ast.parse((ROOT / found[1]).read_text())
            names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
            assert found[2] in names, f"{found[1]} has no {found[2]}"
