"""Writes what the simulated machines really did, one JSON object a line, to be held against what the daemon says."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from protocols.simulated.clock import SimulatedClock
from protocols.simulated.machine import Interval, Observed, Truth


class TruthLog:
    """A line a change of state (`state`, `reason`) and a line a part (`part`, `good`, running totals) of a `machine`.

    `ms` is simulated time, `utc` the wall clock's at that instant. The last line is `{"final": {machine: totals}}`; a
    file without it was not closed. A `path` of None writes nothing.
    """

    def __init__(self, path: Path | None, clock: SimulatedClock) -> None:
        self._clock = clock
        self._file: TextIO | None = path.open("w", encoding="utf-8") if path is not None else None

    def of(self, machine: str) -> Callable[[Observed], None]:
        """To be given to a machine."""
        return partial(self._observe, machine)

    def _observe(self, machine: str, observed: Observed) -> None:
        if self._file is None:
            return
        line: dict[str, Any]
        if isinstance(observed, Interval):
            line = {"ms": observed.began_ms, "state": observed.state.value, "reason": observed.reason}
        else:
            totals = {"total": observed.total, "rejects": observed.rejects}
            line = {"ms": observed.ms, "part": observed.total, "good": observed.good, **totals}
        self._write({"machine": machine, **line, "utc": rfc3339(self._clock.utc_ms(line["ms"]))})

    def flush(self) -> None:
        """What has been observed is in the file."""
        if self._file is not None:
            self._file.flush()

    def close(self, truths: Mapping[str, Truth]) -> None:
        """Writes the final line."""
        if self._file is not None:
            final = {
                machine: {"total": truth.total, "good": truth.good, "rejects": truth.rejects}
                for machine, truth in truths.items()
            }
            self._write({"final": final})
            self._file.close()
            self._file = None

    def _write(self, line: dict[str, Any]) -> None:
        assert self._file is not None
        self._file.write(json.dumps(line) + "\n")


def as_json(truth: Truth) -> dict[str, Any]:
    """The truth as JSON values."""
    return {**asdict(truth), "state": truth.state.value}


def rfc3339(utc_ms: int) -> str:
    """RFC 3339 in UTC with milliseconds."""
    seconds, milliseconds = divmod(utc_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{milliseconds:03d}Z"
