"""A small outbox against its model: what goes, in which order, who is told, on disks that fail, shrink and are full."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

from tests.gateway.outbox.model_bounds import BoundsModel

TestBounds = BoundsModel.TestCase
TestBounds.settings = settings(
    max_examples=int(os.environ.get("TORTURE_EXAMPLES", "25")),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
