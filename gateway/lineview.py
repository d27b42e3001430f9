"""The line as it is now, for whoever looks at it (the endpoint, uplinks that carry current values): read-only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gateway.pipeline import Pipeline

if TYPE_CHECKING:
    from ext.table import SignalTable


class LineView:
    """Current signals and machines. What is read here is newer than any event, and is not a record."""

    def __init__(self, pipeline: Pipeline, tables: Mapping[str, SignalTable]) -> None:
        self._pipeline = pipeline
        self._tables = tables
