"""A short soak: `make soak` runs longer ones."""

from __future__ import annotations

from pathlib import Path

from tests.soak.samples import growth, warm
from tests.soak.soak import LOOK_S, Soak

SECONDS = 20.0


async def test_faults_on_every_side_leave_the_daemon_as_it_was(tmp_path: Path) -> None:
    """Memory, descriptors and tasks are flat, scans are on their grid, and every uplink has all that was made."""
    figures = await Soak(tmp_path, seed=7, seconds=SECONDS).run()
    assert {fault.partition(":")[0] for fault in figures.faults} == {
        "filler", "capper", "labeler", "mqtt", "http", "disk", "configuration"
    }  # fmt: skip
    assert figures.faults.total() >= 25
    assert figures.events > 300
    assert figures.made > figures.recovered > 0
    assert figures.scans >= SECONDS * 2 - 2
    assert figures.skipped == 0
    assert len(figures.samples) >= SECONDS / LOOK_S / 2
    first, last = figures.samples[0], figures.samples[-1]
    share = (last.cpu_s - first.cpu_s) / (last.at - first.at)
    assert share < 0.5, "of a core: nothing turns in circles, whatever goes wrong"
    assert growth(warm(figures.samples), "resident_bytes") < 4e6
