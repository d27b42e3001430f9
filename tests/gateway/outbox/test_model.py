"""The outbox against a list: appended, read, acknowledged, refused, crashed, on disks that fail, as clocks are set."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

from tests.gateway.outbox.model import UPLINKS, OutboxModel


def test_events_that_went_while_no_uplink_was_listed_are_nobodys_backlog() -> None:
    """Retention begins at the start: what the clock has made old goes before anybody is listed again."""
    outbox = OutboxModel()
    try:
        outbox.begin()
        outbox.append(count=3, size=0)
        outbox.commit()
        outbox.somebody_sets_the_clock(step=5000.0)
        outbox.restart(listed=set())
        outbox.restart(listed=set(UPLINKS))
        outbox.numbers_agree()
        told = [len(outbox.made) - 1, len(outbox.made)]
        assert [outbox.next_of(name) for name in UPLINKS] == [told, told, told], "what the two that were away missed"
    finally:
        outbox.teardown()


TestOutbox = OutboxModel.TestCase
TestOutbox.settings = settings(
    max_examples=int(os.environ.get("TORTURE_EXAMPLES", "60")),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
