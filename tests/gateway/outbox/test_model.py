"""The outbox against a list: appended, read, acknowledged, refused, crashed, on disks that fail, as clocks are set."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

from tests.gateway.outbox.model import OutboxModel

TestOutbox = OutboxModel.TestCase
TestOutbox.settings = settings(
    max_examples=int(os.environ.get("TORTURE_EXAMPLES", "60")),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
