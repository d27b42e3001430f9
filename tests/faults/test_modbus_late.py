"""Late answers: whatever a device answers when, no value is another signal's, and none is older than its request."""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from protocols.driver import LinkStats, NotConnected
from tests.peers.kinds import KINDS, ON_A_LINE, peering
from tests.peers.master import Master, own, reading
from tests.peers.peer import Asked, Peer, Pieces, Unit

SAME_SHAPE = own(*(f"holding:{n}" for n in range(0, 600, 50)))
"""Twelve requests whose replies differ in their data alone."""


async def read_through(master: Master, scans: int) -> bool:
    """Each scan checks that every value is its signal's own; giving the connection up is allowed: False."""
    for _ in range(scans):
        try:
            await master.read()
        except NotConnected:
            return False
    return True


class InOrder:
    """A device as real ones are: one request at a time, each taking its time while later ones wait for it."""

    def __init__(self, takes_s: Callable[[], float]) -> None:
        self._takes_s = takes_s
        self._free_at = 0.0

    def __call__(self, asked: Asked, frame: bytes) -> Pieces:
        """A script."""
        self._free_at = max(self._free_at, asked.at) + self._takes_s()
        return [(self._free_at - asked.at, frame)]


LATE_TIMEOUT_S = 0.1


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("short_timers")
async def test_device_that_is_often_late(kind: str, seed: int) -> None:
    chance = random.Random(seed)
    async with peering(kind, {1: Unit()}) as (peer, transport):
        peer.script = InOrder(lambda: LATE_TIMEOUT_S * chance.choice((0.02, 0.02, 0.02, 0.05, 1.2, 1.8)))
        async with reading(transport, SAME_SHAPE, timeout=f"{LATE_TIMEOUT_S * 1000:g}ms") as master:
            await read_through(master, 4)
            assert master.stats.timeouts > 0


@pytest.mark.parametrize("seed", range(2))
async def test_replies_out_of_order_and_late_where_ids_tell(seed: int) -> None:
    chance = random.Random(seed)
    async with peering("tcp8", {1: Unit()}) as (peer, transport):
        peer.script = lambda _, frame: [(LATE_TIMEOUT_S * chance.choice((0, 0.3, 0.6, 1.2, 2.5, 4.0)), frame)]
        async with reading(transport, SAME_SHAPE, timeout=f"{LATE_TIMEOUT_S * 1000:g}ms") as master:
            await read_through(master, 12)
            assert master.stats.timeouts > 0


@pytest.mark.parametrize("kind", ON_A_LINE)
async def test_late_reply_of_another_unit(kind: str) -> None:
    """Two units of the same make, with the same registers: only the unit id tells them apart.

    The first one's answer comes after its time and the quiet behind it, while the second one's is waited for.
    """
    units = {1: Unit(), 2: Unit()}
    async with peering(kind, units) as (peer, transport):
        peer.script = lambda asked, frame: [
            ((0.3 if asked.covers(50) else 0) if asked.unit == 1 else 0.08, frame),
        ]
        async with reading(transport, own("holding:0", "holding:50"), units=(1, 2), timeout="200ms") as master:
            for _ in range(12):
                await master.read()
                assert not any(why.startswith("the reply") for why in master.whys("unit2").values())
            assert master.stats.timeouts > 0
            await master.until(lambda: master.good("unit2"), "the second one is read all the time", scans=20)


# A device whose values tell which request they answer

NUMBERED = {f"s{n}": {"address": f"holding:{50 * n}", "type": "uint16"} for n in range(8)}


class Numbered(Unit):
    """Registers hold which block they are of, and how many requests had come when it was asked.

    `others` is what it does when another function code than 3 is asked of it.
    """

    def __init__(self, peer_asked: list[Asked], others: str) -> None:
        super().__init__()
        self._asked = peer_asked
        self._others = others

    def answer(self, asked: Asked) -> bytes | None:
        """The reply PDU."""
        if asked.function != 3 and self._others != "answers":
            return None if self._others == "ignores" else bytes((asked.function | 0x80, 1))
        if asked.function in (1, 2):
            return super().answer(asked)
        value = asked.address // 50 << 12 | len(self._asked) & 0xFFF
        return bytes((asked.function, 2 * asked.count)) + struct.pack(f">{asked.count}H", *[value] * asked.count)


async def follow(peer: Peer, transport: Mapping[str, Any], ends: Callable[[Master], bool], scans: int) -> int:
    """Read over as many connections as it takes, and check every value; how many scans it took."""
    stats, done = LinkStats(), 0
    while done < scans:
        async with reading(transport, NUMBERED, stats=stats, timeout=f"{LATE_TIMEOUT_S * 1000:g}ms") as master:
            try:
                while done < scans:
                    done += 1
                    before = len(peer.asked)
                    for number, value, *_ in (await master.read()).changes:
                        if value is not None:
                            assert isinstance(value, int)
                            assert value >> 12 == number, f"s{number} got the value of s{value >> 12}"
                            assert value & 0xFFF > before, f"s{number} got a value from before it was asked"
                    if ends(master):
                        return done
            except NotConnected:
                continue
    raise AssertionError(f"not within {scans} scans: {master.whys()}")


@pytest.mark.parametrize("late", [1.02, 1.3, 1.9, 3.1, 3.6, 5, 10])
@pytest.mark.parametrize("kind", ["tcp8", *ON_A_LINE])
@pytest.mark.usefixtures("short_timers")
async def test_late_reply_is_nobody_elses_answer(kind: str, late: float) -> None:
    takes = iter([late if number in (3, 20, 21, 40) else 0 for number in range(41)])
    units: dict[int, Unit] = {}
    async with peering(kind, units) as (peer, transport):
        units[1] = Numbered(peer.asked, "answers")
        peer.script = InOrder(lambda: next(takes, 0) * LATE_TIMEOUT_S)
        await follow(peer, transport, lambda master: len(peer.asked) > 50 and master.good(), scans=100)


class Turbulent:
    """In order as a device is, but late by any time; some replies are lost, spoilt, refused, or come twice at once."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._free_at = 0.0
        self.calm = False

    @property
    def is_free(self) -> bool:
        """Whether it has answered all that it will."""
        return asyncio.get_running_loop().time() > self._free_at

    def __call__(self, asked: Asked, frame: bytes) -> Pieces:
        """A script."""
        takes = 0.0 if self.calm else self._chance.choice((0, 0, 0, 0.02, 0.5, 1.1, 3.6, 5, 10))
        self._free_at = max(self._free_at, asked.at) + takes * LATE_TIMEOUT_S
        what = "right" if self.calm else self._chance.choice(("right",) * 5 + ("lost", "spoilt", "twice", "cut"))
        at = self._chance.randrange(len(frame))
        pieces = {
            "right": frame,
            "lost": b"",
            "spoilt": frame[:at] + bytes((frame[at] ^ 0x10,)) + frame[at + 1 :],
            "twice": frame + frame,
            "cut": frame[:at],
        }
        return [(self._free_at - asked.at, pieces[what])]


@pytest.mark.parametrize("others", ["answers", "refuses", "ignores"])
@pytest.mark.parametrize(("kind", "seed"), [("rtu", 0), ("rtu_over_tcp", 1)])
@pytest.mark.usefixtures("short_timers")
async def test_turbulent_device_gives_no_wrong_value_and_is_soon_back(kind: str, others: str, seed: int) -> None:
    script = Turbulent(seed)
    units: dict[int, Unit] = {}
    async with peering(kind, units) as (peer, transport):
        units[1] = Numbered(peer.asked, others)
        peer.script = script
        calm_scans = 0

        def ends(master: Master) -> bool:
            nonlocal calm_scans
            script.calm = script.calm or len(peer.asked) > 24
            calm_scans += script.calm and script.is_free
            return script.calm and master.good()

        await follow(peer, transport, ends, scans=400)
        assert calm_scans <= 12, "the device is read again within a few scans"


@pytest.mark.parametrize("late", [3.6, 10])
@pytest.mark.parametrize("others", ["answers", "refuses", "ignores"])
@pytest.mark.usefixtures("short_timers")
async def test_restarted_gateway_takes_nothing_that_was_asked_before(late: float, others: str) -> None:
    """Whoever held the line before was not answered; his answer comes to us."""
    units: dict[int, Unit] = {}
    async with peering("rtu", units) as (peer, transport):
        units[1] = Numbered(peer.asked, others)
        takes = iter([late * LATE_TIMEOUT_S])
        peer.script = InOrder(lambda: next(takes, 0.0))
        async with reading(transport, {"s7": NUMBERED["s7"]}, timeout=f"{LATE_TIMEOUT_S * 1000:g}ms") as before:
            await before.read()
            assert before.bad() == {"s7"}
        assert await follow(peer, transport, Master.good, scans=60) > 1


@pytest.mark.parametrize("others", ["answers", "refuses", "ignores"])
async def test_fence_that_the_device_understands_is_found_once(others: str) -> None:
    """What its answers have shown is kept; a healthy line has no further fences."""
    units: dict[int, Unit] = {}
    async with peering("rtu", units) as (peer, transport):
        units[1] = Numbered(peer.asked, others)
        async with reading(transport, NUMBERED, timeout="300ms") as master:
            await master.until(master.good, "it is read", scans=4)
            assert sum(asked.function != 3 for asked in peer.asked) == 1
            peer.asked.clear()
            for _ in range(5):
                await master.read()
            assert len(peer.asked) == 5 * len(NUMBERED)
            peer.script = lambda _, frame: []
            await master.read()
            assert master.bad() == set(NUMBERED)
            peer.script = lambda _, frame: [(0, frame)]
            peer.asked.clear()
            await master.until(master.good, "it is back", scans=4)
            assert sum(asked.function != 3 for asked in peer.asked) == (others != "ignores")
