"""Cancellation that a library has swallowed is raised again, so that an ended runner really ends."""

from __future__ import annotations

import asyncio


def raise_if_cancelled() -> None:
    """Raise CancelledError where the current task has been cancelled and somebody below kept it.

    Python 3.11's `wait_for` returns a result that comes together with the cancellation, and its TaskGroup
    reports a failing child instead of it.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
