"""What the tests of faults share: the C slave, compiled once a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.peers.toolchain import SLAVE, compile_c


@pytest.fixture(scope="session")
def slave(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The slave of `tests/peers/slave.c` as a program."""
    return compile_c(SLAVE, tmp_path_factory.mktemp("slave"))
