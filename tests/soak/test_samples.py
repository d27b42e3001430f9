"""What the soak calls flat: noise and peaks are, a slow leak is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from random import Random

import pytest

from tests.soak.samples import POINTS, Sample, growth, warm

HOUR = 3600.0
METRICS = """\
# TYPE linegate_process_resident_memory_bytes gauge
linegate_process_resident_memory_bytes 5.1e+07
# TYPE linegate_process_open_fds gauge
linegate_process_open_fds 21.0
# TYPE linegate_process_cpu_seconds counter
linegate_process_cpu_seconds_total 1.5
# TYPE linegate_threads gauge
linegate_threads 4
# TYPE linegate_tasks gauge
linegate_tasks 19
# TYPE linegate_loop_lag_seconds gauge
linegate_loop_lag_seconds 0.002
# TYPE linegate_endpoint_overruns counter
linegate_endpoint_overruns_total{endpoint="a"} 3
linegate_endpoint_overruns_total{endpoint="b"} 70
# TYPE linegate_endpoint_data_age_seconds gauge
linegate_endpoint_data_age_seconds{endpoint="a"} 0.2
linegate_endpoint_data_age_seconds{endpoint="b"} 9.0
# EOF
"""


def series(resident: Callable[[float], float], seconds: float = 8 * HOUR) -> Sequence[Sample]:
    others = dict.fromkeys([one.name for one in fields(Sample) if one.name not in ("at", "resident_bytes")], 0.0)
    times = [1000.0 + 2 * n for n in range(int(seconds / 2))]
    return [Sample(at=at, resident_bytes=resident(at - 1000), **others) for at in times]


def test_a_sample_is_of_the_process_and_of_one_endpoint() -> None:
    found = Sample.of(METRICS, "a")
    assert (found.resident_bytes, found.descriptors, found.threads, found.tasks) == (51e6, 21, 4, 19)
    assert (found.cpu_s, found.lag_s, found.overruns, found.age_s) == (1.5, 0.002, 3, 0.2)


def test_noise_and_peaks_are_flat() -> None:
    chance = Random(1)
    samples = series(lambda at: 80e6 + chance.gauss(0, 1e6) + (30e6 if chance.random() < 0.2 else 0))
    assert abs(growth(samples, "resident_bytes")) < 0.3e6


@pytest.mark.parametrize("seconds", [40.0, 8 * HOUR])
def test_a_leak_beneath_the_noise_is_found(seconds: float) -> None:
    chance = Random(2)
    samples = series(lambda at: 80e6 + chance.gauss(0, 1e6) + 6e6 * at / seconds, seconds)
    assert growth(samples, "resident_bytes") == pytest.approx(6e6, rel=0.3)


def test_what_grows_while_it_warms_up_does_not_count() -> None:
    samples = series(lambda at: 80e6 + min(at, 900) * 20e3, HOUR)
    assert growth(warm(samples), "resident_bytes") == 0
    assert len(warm(samples)) == 1200
    assert len(warm(series(lambda _: 0.0))) == 4 * (HOUR * 7.5) // 8
    assert len(samples) > POINTS
