"""A peer that sends more than anybody asked for: the link stays quick, and keeps no more than one frame."""

from __future__ import annotations

import asyncio
import time

from protocols.ethernet_ip.frames import HEADER, NOP
from tests.mangler import Mangler
from tests.protocols.ethernet_ip.client import controller, reading

SIGNALS = {"count": "Labeler_Count", "running": "Labeler_Running"}


async def test_frames_that_say_nothing_cost_little() -> None:
    """NOPs may come at any time (CIP Volume 2, 2-4.1); as many as fit into a moment are no reason to stop."""
    nops = HEADER.pack(NOP, 0, 0, 0, 0, 0) * 40_000
    async with controller() as plc, Mangler(plc.port) as wire:
        async with reading(wire.port, SIGNALS, timeout="5s") as one:
            await one.read()
            wire.mangle = lambda reply: nops + reply
            await one.read()
            assert not one.whys()
            link = one.driver._link
            assert link is not None
            began = time.process_time()
            link.data_received(nops)
            assert time.process_time() - began < 0.2
            assert not link._partial


async def test_half_a_frame_in_many_pieces_is_kept_once() -> None:
    async with controller() as plc, reading(plc.port, SIGNALS, timeout="5s") as one:
        await one.read()
        link = one.driver._link
        assert link is not None
        link.data_received(HEADER.pack(NOP, 0xFFFF, 0, 0, 0, 0))
        for _ in range(0xFFFF - 1):
            link.data_received(b"x")
        assert len(link._partial) == HEADER.size + 0xFFFF - 1
        link.data_received(b"x")
        assert not link._partial
        await asyncio.sleep(0)
        await one.read()
        assert not one.whys()
