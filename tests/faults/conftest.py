"""What the tests of faults share: the C slave, compiled once a run, and timers that a test can wait for."""

from __future__ import annotations

from pathlib import Path

import pytest

from protocols.modbus import unit
from tests.peers.toolchain import SLAVE, compile_c


@pytest.fixture(scope="session")
def slave(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The slave of `tests/peers/slave.c` as a program."""
    return compile_c(SLAVE, tmp_path_factory.mktemp("slave"))


@pytest.fixture
def short_timers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes a minute in a plant takes a moment here."""
    for name, seconds in (
        ("QUARANTINE_RETRY_S", 0.3), ("ACKNOWLEDGE_RETRY_S", 0.3), ("DEMOTED_RETRY_S", 0.3), ("DEMOTED_TIMEOUTS", 2),
    ):  # fmt: skip
        monkeypatch.setattr(unit, name, seconds)
