"""`make soak` says what it measured, and what broke with the seed to repeat it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.soak.__main__ import main
from tests.soak.samples import Sample
from tests.soak.soak import Figures, Soak
from tests.torture.book import Broken


async def _holds(self: Soak) -> Figures:
    samples = [Sample(10.0 + n, 80e6, 21, 4, 19, 0.1 * n, 0.002, 0, 0.4) for n in range(30)]
    self.figures.samples = samples
    self.figures.rest = samples[0], samples[-1]
    self.figures.faults["http: 413"] = 5
    return self.figures


async def _breaks(self: Soak) -> Figures:
    await _holds(self)
    raise Broken("tasks grew by 900")


@pytest.mark.parametrize(
    ("run", "code", "said"), [(_holds, 0, "nothing leaked"), (_breaks, 1, "seed 42: tasks grew by 900")]
)
def test_what_a_soak_says(
    run: Callable[[Soak], Any],
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(Soak, "run", run)
    monkeypatch.setattr(sys, "argv", ["soak", "--for", "8h", "--seed", "42"])
    assert main() == code
    out = capsys.readouterr().out
    assert said in out.replace("\n", " ")
    assert "processor 10.0% of a core" in out
    assert "http: 413" in out
