"""The dashboard and the alert rules: every expression is PromQL, over metrics that the daemon has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
from ruamel.yaml import YAML

DOCS = Path(__file__).parents[3] / "docs"


def documented() -> set[str]:
    """Names of all metrics; that they are those of the daemon is held beside the endpoint's tests."""
    return set(re.findall(r"^\| `(linegate_\w+)` \|", (DOCS / "operations.md").read_text(), re.MULTILINE))


def alerts() -> list[dict[str, Any]]:
    (group,) = YAML(typ="safe").load(DOCS / "monitoring" / "alerts.yaml")["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((DOCS / "monitoring" / "grafana.json").read_text())["panels"]
    return found


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in alerts())
    yield from (target["expr"] for panel in panels() for target in panel["targets"])


@pytest.mark.parametrize("expression", [*expressions()])
def test_every_expression_is_over_metrics_that_there_are(expression: str) -> None:
    promql_parser.parse(expression)  # raises ValueError
    names = set(re.findall(r"linegate_\w+", expression))
    assert names <= documented()
    assert names or expression.startswith("up{")


def test_every_alert_says_what_to_do() -> None:
    for rule in alerts():
        assert set(rule["annotations"]) == {"summary", "remedy"}
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert len({rule["alert"] for rule in alerts()}) == len(alerts())


def test_a_duration_is_the_value_of_its_rule() -> None:
    """`$value` is what stands on the left."""
    durations = [rule["expr"] for rule in alerts() if "humanizeDuration" in rule["annotations"]["summary"]]
    assert durations
    assert all(re.match(r"linegate_\w+_seconds ", expression) for expression in durations)


def test_two_lines_with_machines_of_one_name_are_told_apart() -> None:
    for panel in panels():
        for target in panel["targets"]:
            assert target["legendFormat"].startswith("{{instance}} ")
            assert all("instance" in labels for labels in re.findall(r"(?:by|on) \(([^)]*)\)", target["expr"]))


def test_panels_lie_side_by_side() -> None:
    cells: set[tuple[int, int]] = set()
    for panel in panels():
        at = panel["gridPos"]
        mine = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & mine, panel["title"]
        assert at["x"] + at["w"] <= 24
        cells |= mine
