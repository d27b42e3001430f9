"""What the soak measures of the daemon every few seconds, and whether it stays flat."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

from prometheus_client.openmetrics.parser import text_string_to_metric_families

WARM_UP = 1 / 3
"""Of the samples; within that part SQLite's page cache fills (about 2 MB) and the allocator finds its size."""
LONGEST_WARM_UP_S = 1800.0
POINTS = 200
"""To which samples are condensed by medians, so that a night's slope is found in a moment."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at /metrics."""

    at: float
    """Monotonic seconds."""
    resident_bytes: float
    descriptors: float
    threads: float
    tasks: float
    cpu_s: float
    lag_s: float
    """The event loop's worst lateness in the last minute."""
    overruns: float
    """Of the witness: a device that nothing is done to."""
    age_s: float
    """Of the witness's data."""

    @classmethod
    def of(cls, metrics: str, witness: str) -> Sample:
        """Made of the text of /metrics; `witness` is the name of its endpoint."""
        found: dict[str, float] = {}
        families = text_string_to_metric_families(metrics)  # type: ignore[no-untyped-call]
        for family in families:
            for sample in family.samples:
                if sample.labels.get("endpoint", witness) == witness:
                    found[sample.name.removeprefix("linegate_")] = sample.value
        return cls(
            time.monotonic(),
            found["process_resident_memory_bytes"],
            found["process_open_fds"],
            found["threads"],
            found["tasks"],
            found["process_cpu_seconds_total"],
            found["loop_lag_seconds"],
            found["endpoint_overruns_total"],
            found["endpoint_data_age_seconds"],
        )


def warm(samples: Sequence[Sample]) -> Sequence[Sample]:
    """Those after the warm-up."""
    begin, end = samples[0].at, samples[-1].at
    since = begin + min((end - begin) * WARM_UP, LONGEST_WARM_UP_S)
    return [sample for sample in samples if sample.at >= since]


def growth(samples: Sequence[Sample], of: str) -> float:
    """By how much a figure grew from the first of these to the last, in its own unit.

    The slope is the median of those between all pairs (Theil and Sen), so that peaks during faults do not count.
    """
    size = -(-len(samples) // POINTS)
    groups = [samples[begin : begin + size] for begin in range(0, len(samples), size)]
    points = [(median(one.at for one in group), median(getattr(one, of) for one in group)) for group in groups]
    slopes = [(last[1] - first[1]) / (last[0] - first[0]) for first, last in combinations(points, 2)]
    return float(median(slopes)) * (samples[-1].at - samples[0].at)
