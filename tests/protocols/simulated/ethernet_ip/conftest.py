"""A labeler's controller on loopback, with every kind of tag."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from protocols.simulated.ethernet_ip import LabelerPlc
from protocols.simulated.machine import CALM, Filler


@pytest.fixture
def machine() -> Filler:
    machine = Filler(1, CALM, bottles=70_000, rejects=500)
    machine.advance(30_000)
    return machine


@pytest.fixture
async def plc(machine: Filler) -> AsyncIterator[LabelerPlc]:
    plc = LabelerPlc(machine, lambda: machine.now_ms, shows_all=True)
    await plc.start()
    yield plc
    await plc.close()
