"""The check that holds every test's events to their schemas finds what is wrong with one."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import ValidationError

from tests.schemas import hold, hold_cloud_event

GAP: dict[str, Any] = {
    "what": "off", "began": "2026-11-23T06:00:00.000Z", "ended": "2026-11-23T06:01:00.000Z", "from": None, "to": None,
    "class": None, "count": None, "why": "it was off",
}  # fmt: skip


@pytest.mark.parametrize("wrong", [{"count": "5"}, {"undescribed": 1}, {"why": None}, {"what": "forgotten"}])
def test_what_is_wrong_is_found_after_what_is_right(wrong: dict[str, Any]) -> None:
    hold("gateway.gap", GAP)
    with pytest.raises(ValidationError):
        hold("gateway.gap", GAP | wrong)


def test_an_envelope_names_its_schema() -> None:
    event = {"type": "linegate.gateway.gap.v1", "dataschema": "urn:linegate:gateway.gap.v1", "data": GAP}
    hold_cloud_event(event)
    with pytest.raises(AssertionError):
        hold_cloud_event(event | {"dataschema": "urn:linegate:machine.state.v1"})
