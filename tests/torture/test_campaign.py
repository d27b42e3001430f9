"""A short crash campaign: `make torture` runs longer ones."""

from __future__ import annotations

from pathlib import Path

from tests.torture.campaign import Campaign
from tests.torture.steps import RANDOM

KILLS = 25


async def test_kills_at_named_steps_and_at_any_moment_lose_and_double_nothing(tmp_path: Path) -> None:
    figures = await Campaign(tmp_path, seed=7, kills=KILLS).run()
    assert figures.kills == KILLS
    assert sum(figures.steps.values()) >= KILLS * 4 // 5, figures.missed
    assert len(figures.steps) >= 12
    assert figures.steps[RANDOM] >= 5
    assert figures.events > figures.let_go > 20
    assert figures.made > figures.recovered > 100
