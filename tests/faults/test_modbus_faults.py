"""The Modbus driver against devices that refuse, lag, garble and vanish, over each kind of frame and wire."""

from __future__ import annotations

import asyncio
import random
import struct
from pathlib import Path
from typing import Any

import pytest

from gateway.clock import EngineClock
from gateway.inputs import Input
from gateway.runner.device import DeviceRunner
from protocols.driver import NotConnected
from protocols.modbus import unit as unit_module
from protocols.modbus.driver import ModbusDriver
from protocols.modbus.mbap import MOST_UNASKED
from tests.mangler import Mangler
from tests.peers.kinds import KINDS, ON_A_LINE, peering
from tests.peers.master import Master, own, reading, tcp
from tests.peers.peer import Asked, Peer, Pieces, Unit, crc16
from tests.peers.processes import tcp_slave
from tests.processes import until


def said(master: Master, quarantined: bool) -> list[str]:
    """Addresses that notices were given of."""
    return sorted(notice.address for _, _, notice in master.notices if notice.quarantined is quarantined)


# Holes

HOLES = {7, 30, 31, 59}


@pytest.mark.parametrize("kind", KINDS)
async def test_holes_stand_alone_and_are_told_once(kind: str) -> None:
    signals = own(*(f"holding:{n}" for n in range(60)))
    async with peering(kind, {1: Unit(HOLES)}) as (peer, transport), reading(transport, signals) as master:
        bad = {f"holding_{n}" for n in HOLES}
        await master.until(lambda: master.bad() == bad, "the holes alone are bad", scans=5)
        for _ in range(10):
            await master.read()
            assert master.bad() == bad
        assert said(master, True) == sorted(f"holding:{n}" for n in HOLES)
        assert all("exception 2" in notice.why and notice.retry_s > 0 for _, _, notice in master.notices)
        assert all("exception 2" in why for why in master.whys().values())
        peer.asked.clear()
        await master.read()
        assert not [asked for asked in peer.asked if any(asked.covers(hole) for hole in HOLES)], "left alone"
        assert master.stats.timeouts == 0


@pytest.mark.parametrize("kind", ["tcp8", "rtu"])
@pytest.mark.usefixtures("short_timers")
async def test_hole_that_is_gone_is_found_and_told(kind: str) -> None:
    unit = Unit(HOLES)
    signals = own(*(f"holding:{n}" for n in range(60)))
    async with peering(kind, {1: unit}) as (_, transport), reading(transport, signals) as master:
        await master.until(lambda: len(said(master, True)) == len(HOLES), "all are quarantined")
        await master.read_for(0.8)  # two retries have passed
        assert len(said(master, True)) == len(HOLES), "a retry that fails is not told again"
        unit.holes = {30}
        await master.until(lambda: len(master.bad()) == 1, "three come back")
        await master.read()
        assert said(master, False) == ["holding:31", "holding:59", "holding:7"]
        unit.holes.clear()
        await master.until(master.good, "the last one too")
        assert len(master.notices) == 2 * len(HOLES)
        unit.holes = {5}
        await master.until(lambda: master.bad() == {"holding_5"}, "a new hole is found as well")
        assert said(master, True).count("holding:5") == 1


@pytest.mark.parametrize("kind", ["tcp", "rtu"])
async def test_hole_within_a_long_value_and_among_bits(kind: str) -> None:
    signals = {
        **{f"number{n}": {"address": f"holding:{4 * n}", "type": "uint64"} for n in range(8)},
        **own(*(f"coil:{n}" for n in range(100, 140)), *(f"discrete:{n}" for n in range(200, 260, 3))),
    }
    unit = Unit({4 * 3 + 2, 120, 227})
    async with peering(kind, {1: unit}) as (_, transport), reading(transport, signals) as master:
        bad = {"number3", "coil_120", "discrete_227"}
        await master.until(lambda: master.bad() == bad, "each hole costs its own signal")
        assert said(master, True) == ["coil:120", "discrete:227", "holding:12"]


async def test_gap_that_does_not_exist_costs_nothing() -> None:
    """A read that was coalesced over addresses that nobody asked for is split, and nothing is quarantined."""
    signals = own("holding:0", "holding:10", "holding:20", "holding:30")
    async with peering("tcp", {1: Unit({5, 15, 25})}) as (_, transport), reading(transport, signals) as master:
        await master.until(master.good, "all can be read alone", scans=5)
        assert master.notices == []


async def test_device_without_any_of_the_addresses_is_not_lost() -> None:
    unit = Unit(range(100))
    signals = own(*(f"holding:{n}" for n in range(100)))
    async with peering("tcp", {1: unit, 2: Unit()}) as (_, transport):
        async with reading(transport, signals, units=(1, 2)) as master:
            await master.until(lambda: len(said(master, True)) == 100, "each of them is quarantined")
            assert master.good("unit2")


# Exceptions

APART = own("holding:10", "holding:300", "coil:7")


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 6, 8, 10, 11, 99])
@pytest.mark.parametrize("kind", ["tcp", "tcp8", "rtu"])
@pytest.mark.usefixtures("short_timers")
async def test_each_exception_costs_its_block_while_it_lasts(kind: str, code: int) -> None:
    unit = Unit({10}, code)
    async with peering(kind, {1: unit}) as (_, transport), reading(transport, APART) as master:
        for _ in range(6):
            await master.read()
            assert master.bad() == {"holding_10"}
            assert f"exception {code}" in master.whys()["holding_10"]
        assert len(master.notices) == (code in (1, 2, 3))
        unit.holes.clear()
        await master.until(master.good, "it comes back")
        assert master.stats.timeouts == 0


@pytest.mark.parametrize("kind", ["tcp", "rtu"])
async def test_busy_device_is_asked_again_in_the_same_scan(kind: str) -> None:
    busy = [True, False] * 50
    async with peering(kind, {1: Unit()}) as (peer, transport):

        def script(asked: Asked, frame: bytes) -> Pieces:
            if asked.covers(10) and busy.pop():
                return [(0, peer.frame(asked, bytes((asked.function | 0x80, 6))))]
            return [(0, frame)]

        busy.reverse()
        peer.script = script
        async with reading(transport, APART) as master:
            for _ in range(5):
                await master.read()
                assert master.good()


@pytest.mark.parametrize("kind", ["tcp", "rtu"])
async def test_device_that_acknowledges_is_left_in_peace(kind: str) -> None:
    """Exception 5: it works on the request; asking again at once would begin the work anew."""
    async with peering(kind, {1: Unit({10}, code=5)}) as (peer, transport), reading(transport, APART) as master:
        for _ in range(20):
            await master.read()
        assert sum(asked.covers(10) for asked in peer.asked) == 1
        assert sum(asked.covers(300) for asked in peer.asked) == 20


# Slow and silent


@pytest.mark.parametrize("kind", KINDS)
async def test_slow_device_is_read_at_its_own_pace(kind: str) -> None:
    async with peering(kind, {1: Unit()}) as (peer, transport), reading(transport, APART, timeout="2s") as master:
        peer.script = lambda _, frame: [(0.3, frame)]
        for _ in range(2):
            await master.read()
            assert master.good()
        assert master.stats.timeouts == 0
        assert master.stats.overruns > 0
        assert peer.most_waiting == (3 if kind == "tcp8" else 1)


@pytest.mark.parametrize(("in_flight", "most"), [(1, 1), (3, 3), (8, 8), (32, 20)])
async def test_no_more_in_flight_than_allowed(in_flight: int, most: int) -> None:
    signals = own(*(f"holding:{n}" for n in range(0, 1000, 50)))
    async with peering("tcp", {1: Unit()}) as (peer, transport):
        peer.script = lambda _, frame: [(0.01, frame)]
        async with reading({**transport, "in_flight": in_flight}, signals) as master:
            for _ in range(3):
                await master.read()
                assert master.good()
        assert peer.most_waiting == most


@pytest.mark.parametrize("kind", KINDS)
async def test_pause_between_requests(kind: str) -> None:
    async with peering(kind, {1: Unit()}) as (peer, transport), reading(transport, APART, pause="40ms") as master:
        for _ in range(3):
            await master.read()
            assert master.good()
        gaps = [later.at - earlier.at for earlier, later in zip(peer.asked, peer.asked[1:], strict=False)]
        assert min(gaps) > 0.02  # without pauses they are below 1 ms


PERIOD_S = 0.8
A_BUSY_MACHINES = 6
"""Scans of some 170 that may be skipped where the tests' machine is busy; a unit that delays others costs dozens."""


@pytest.mark.parametrize(
    ("kind", "how"),
    [("tcp", "exception 11"), ("rtu_over_tcp", "silent"), ("rtu_over_tcp", "exception 10"),
     ("rtu", "silent")],
)  # fmt: skip
async def test_silent_unit_among_thirty_delays_nobody(kind: str, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unit_module, "DEMOTED_RETRY_S", 2.0)
    monkeypatch.setattr(unit_module, "DEMOTED_TIMEOUTS", 1)
    units = {number: Unit() for number in range(1, 31)}
    dumb = units[13]
    async with peering(kind, units) as (peer, transport):

        def script(asked: Asked, frame: bytes) -> Pieces:
            """The gateway waits for the unit before it says that there is none."""
            return [(0.16 if asked.unit == 13 and dumb.holes else 0.0, frame)]

        peer.script = script
        signals = own("holding:10")
        settings: dict[str, Any] = {"scan_interval": f"{PERIOD_S}s", "timeout": "200ms"}
        async with reading(transport, signals, units=range(1, 31), **settings) as master:
            await master.until(lambda: all(master.good(name) for name in master.tables), "all answer")
            if how == "silent":
                dumb.silent = True
            else:
                dumb.holes, dumb.code = {10}, int(how.split()[1])
            await master.read_for(3 * PERIOD_S)
            assert master.bad("unit13") == set(signals), "its silence was noticed"
            peer.asked.clear()
            overruns = master.stats.overruns
            scans, passed = await master.read_for(5 * PERIOD_S)
            neighbours = {name for name in master.tables if name != "unit13"}
            assert min(scans[name] for name in neighbours) >= int(passed / PERIOD_S) - 2
            assert max(scans[name] for name in neighbours) <= int(passed / PERIOD_S) + 2
            assert master.stats.overruns - overruns <= A_BUSY_MACHINES
            tried = sum(asked.unit == 13 for asked in peer.asked)
            assert 1 <= tried <= 6, "tried on a timer"
            assert all(master.good(name) for name in neighbours)
            dumb.silent, dumb.holes = False, set()
            await master.until(lambda: master.good("unit13"), "it is back")


async def test_all_units_silent_is_a_lost_connection() -> None:
    units = {1: Unit(), 2: Unit()}
    async with peering("tcp", units) as (_, transport), reading(transport, APART, units=(1, 2)) as master:
        await master.until(lambda: master.good("unit1") and master.good("unit2"), "all answer")
        units[1].silent = units[2].silent = True
        with pytest.raises(NotConnected) as error:
            await master.until(lambda: False, "the connection is given up", scans=20)
        assert error.value.remedy


# Disconnects


@pytest.mark.parametrize("cut", [0, 1, 3, 5, 6, 7, 8])
@pytest.mark.parametrize("kind", ["tcp", "tcp8", "rtu_over_tcp", "rtu"])
async def test_disconnect_within_a_reply_is_seen_at_once(kind: str, cut: int) -> None:
    async with peering(kind, {1: Unit()}) as (peer, transport):
        async with reading(transport, APART, timeout="30s") as master:
            await master.read()
            peer.script = lambda asked, frame: [(0, frame[:cut]), (0, None)] if asked.covers(300) else [(0, frame)]
            async with asyncio.timeout(3):
                with pytest.raises(NotConnected):
                    await master.until(lambda: False, "it is noticed")


async def test_real_slave_behind_a_proxy_that_cuts(slave: Path) -> None:
    async with tcp_slave(slave, 1) as port, Mangler(port) as mangler:
        async with reading(tcp(mangler.port), APART, timeout="30s") as master:
            await master.read()
            assert master.good()
            mangler.mangle = lambda _: None
            with pytest.raises(NotConnected):
                async with asyncio.timeout(3):
                    await master.read()
            assert mangler.connections == 1


# Replies that are not the answer


def spoilt(peer: Peer, how: str, asked: Asked, frame: bytes) -> bytes:
    """The right frame made wrong."""
    size = 2 * asked.count
    data = struct.pack(f">{asked.count}H", *range(asked.address + 7, asked.address + 7 + asked.count))
    wrong = bytes((asked.function, size)) + data
    match how:
        case "another unit":
            return peer.frame(asked, wrong, unit=asked.unit + 1)
        case "another function":
            return peer.frame(asked, bytes((7 - asked.function,)) + wrong[1:])
        case "an unknown function":
            return peer.frame(asked, b"\x63" + wrong[1:])
        case "one register too many":
            return peer.frame(asked, bytes((asked.function, size + 2)) + data + b"\0\7")
        case "one register too few":
            return peer.frame(asked, bytes((asked.function, size - 2)) + data[2:])
        case "an odd byte":
            return peer.frame(asked, bytes((asked.function, size + 1)) + data + b"\7")
        case "more announced than there is":
            return peer.frame(asked, bytes((asked.function, size + 2)) + data)
        case "less announced than there is":
            return peer.frame(asked, wrong + b"\0\7")
        case "function code alone":
            return peer.frame(asked, wrong[:1])
        case "unit alone":
            return peer.frame(asked, b"")
        case "an exception of another function":
            return peer.frame(asked, b"\x84\x02")
        case "an exception without a code":
            return peer.frame(asked, b"\x83")
        case "another transaction":
            return peer.frame(asked, wrong, transaction=asked.transaction ^ 0x4321)
        case "another protocol":
            return frame[:2] + b"\0\1" + frame[4:6] + frame[6:7] + wrong
        case "a length of nothing":
            return frame[:4] + b"\0\0" + frame[6:7] + wrong
        case "a length beyond all bounds":
            return frame[:4] + b"\xff\xff" + frame[6:7] + wrong
        case "a wrong check":
            return frame[:1] + wrong + b"\x12\x34"
        case "nothing":
            return b""
    raise AssertionError(how)


WRONG = [
    "another unit", "another function", "an unknown function", "one register too many", "one register too few",
    "an odd byte", "more announced than there is", "less announced than there is", "function code alone", "unit alone",
    "an exception of another function", "an exception without a code", "nothing",
]  # fmt: skip
WRONG_MBAP = ["another transaction", "another protocol", "a length of nothing", "a length beyond all bounds"]


@pytest.mark.parametrize(
    ("kind", "how"),
    [(kind, how) for kind in ("tcp", *ON_A_LINE) for how in WRONG]
    + [(kind, how) for kind in ("tcp", "tcp8") for how in WRONG_MBAP]
    + [(kind, "a wrong check") for kind in ON_A_LINE],
)
@pytest.mark.usefixtures("short_timers")
async def test_wrong_reply_never_becomes_a_value(kind: str, how: str) -> None:
    signals = own("holding:10", "holding:11", "holding:300", "holding:500", "coil:7")
    bad = {"holding_10", "holding_11"}
    async with peering(kind, {1: Unit()}) as (peer, transport):
        async with reading(transport, signals, timeout="80ms") as master:
            await master.read()
            peer.script = lambda asked, frame: [
                (0, spoilt(peer, how, asked, frame) if asked.covers(10) and asked.function == 3 else frame)
            ]
            for _ in range(3):
                await master.read()
                assert bad <= master.bad()
            await master.until(lambda: master.bad() == bad, "the other blocks are good")
            assert all(master.whys()[name] for name in bad)
            peer.script = lambda _, frame: [(0, frame)]
            await master.until(master.good, "it heals")
            assert master.notices == []


@pytest.mark.parametrize("kind", KINDS)
async def test_reply_in_pieces(kind: str) -> None:
    async with peering(kind, {1: Unit()}) as (peer, transport), reading(transport, APART, timeout="1s") as master:
        free_at = 0.0

        def script(asked: Asked, frame: bytes) -> Pieces:
            nonlocal free_at
            begins, free_at = max(free_at, asked.at), max(free_at, asked.at) + 0.002 * len(frame)
            return [(begins - asked.at + 0.002 * at, frame[at : at + 1]) for at in range(len(frame))]

        peer.script = script
        for _ in range(3):
            await master.read()
            assert master.good()


@pytest.mark.parametrize("kind", KINDS)
async def test_reply_that_comes_twice(kind: str) -> None:
    """As radio modems do; where frames have no ids, what came before a request must not answer it."""
    signals = own(*(f"holding:{n}" for n in range(0, 400, 50)))
    async with peering(kind, {1: Unit()}) as (peer, transport), reading(transport, signals) as master:
        peer.script = lambda _, frame: [(0, frame + frame)]
        for _ in range(4):
            await master.read()
            assert master.good()


async def test_flood_of_replies_that_nobody_asked_for() -> None:
    """It would take the time of every other device; a few, as of a late device, cost nothing."""
    unasked = struct.pack(">HHHBBBH", 0, 0, 5, 99, 3, 2, 0)
    async with peering("tcp", {1: Unit()}) as (peer, transport), reading(transport, own("holding:1")) as master:
        peer.script = lambda _, frame: [(0, MOST_UNASKED * unasked + frame)]
        for _ in range(3):
            await master.read()
            assert master.good()
        peer.script = lambda _, frame: [(0, (MOST_UNASKED + 1) * unasked), (0.1, frame)]
        with pytest.raises(NotConnected, match="nobody asked for"):
            await master.read()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("short_timers")
async def test_random_damage(kind: str, seed: int) -> None:
    """Wherever a check, a length or an id can tell: TCP loses no bytes, and has nothing over its data."""
    chance = random.Random(seed)

    def script(_: Asked, frame: bytes) -> Pieces:
        spoiled = bytearray(frame)
        for _flip in range(chance.choice((0, 0, 1, 2))):
            at = chance.randrange(2, 9) if kind.startswith("tcp") else chance.randrange(len(frame))
            spoiled[at] = chance.randrange(256)
        whole = kind == "tcp8" or chance.random() < 0.7
        return [(0, bytes(spoiled if whole else spoiled[: chance.randrange(len(frame))]))]

    signals = own("input:20", "input:100", "input:200", "holding:300")
    async with peering(kind, {1: Unit()}) as (peer, transport):
        peer.script = script
        async with reading(transport, signals, timeout="30ms") as master:
            for _ in range(8):
                try:
                    await master.read()
                except NotConnected:
                    return  # given up: nothing usable came
            peer.script = lambda _, frame: [(0, frame)]
            await master.until(master.good, "it heals")


# Noise


@pytest.mark.parametrize("where", ["before", "within", "after", "alone"])
@pytest.mark.parametrize("noise", ["00", "0103fa", "55aa55aa55aa55aa", "random"])
@pytest.mark.parametrize("kind", ON_A_LINE)
@pytest.mark.usefixtures("short_timers")
async def test_noise_on_the_line(kind: str, noise: str, where: str) -> None:
    """The values stay right (Master.read sees to it), and come back when the noise ends."""
    bits = random.Random(noise + where).randbytes(40) if noise == "random" else bytes.fromhex(noise)
    turn = 0

    def script(_: Asked, frame: bytes) -> Pieces:
        nonlocal turn
        turn += 1
        if turn % 3:
            return [(0, frame)]
        spoiled = {"before": bits + frame, "within": frame[:4] + bits + frame[4:], "after": frame + bits, "alone": bits}
        return [(0, spoiled[where])]

    async with peering(kind, {1: Unit()}) as (peer, transport):
        peer.script = script
        async with reading(transport, APART, timeout="40ms") as master:
            for _ in range(5):
                await master.read()
            peer.script = lambda _, frame: [(0, frame)]
            await master.until(master.good, "it heals", scans=20)


@pytest.mark.parametrize("kind", ON_A_LINE)
async def test_noisy_line_is_told_from_a_dead_one(kind: str) -> None:
    """Every reply has a bit flipped, then every one is cut, and then none comes."""
    async with peering(kind, {1: Unit()}) as (peer, transport):
        async with reading(transport, APART, timeout="60ms") as master:
            await master.read()
            peer.script = lambda _, frame: [(0, frame[:4] + bytes((frame[4] ^ 1,)) + frame[5:])]
            for _ in range(4):
                await master.read()
                assert master.bad() == set(APART)
            for why in master.whys().values():
                assert why.startswith("garbled: wrong checksum")
                assert "termination, the baud rate and the parity" in why
            assert (master.stats.garbled, master.stats.request_errors, master.stats.timeouts) == (12, 12, 0)
            peer.script = lambda _, frame: [(0, frame[:4])]
            await master.read()
            assert all("cut" in why for why in master.whys().values())
            assert (master.stats.garbled, master.stats.timeouts) == (15, 0)
            peer.script = lambda _, frame: []
            await master.read()
            assert all("no answer" in why or "not asked" in why for why in master.whys().values())
            assert (master.stats.garbled, master.stats.timeouts) == (15, 1)


def test_check_is_the_standards() -> None:
    assert crc16(bytes.fromhex("0207")) == bytes.fromhex("4112")  # Modbus over Serial Line V1.02, 6.2.2


# One connection


@pytest.mark.parametrize("trouble", ["silence", "disconnect"])
@pytest.mark.parametrize("kind", ["tcp8", "rtu_over_tcp"])
async def test_device_that_accepts_one_connection(kind: str, trouble: str) -> None:
    """A runner reconnects several times; the peer counts a violation when it sees two connections at once."""
    async with peering(kind, {1: Unit(), 2: Unit()}, only_one=True) as (peer, transport):

        def script(_: Asked, frame: bytes) -> Pieces:
            if len(peer.asked) % 20 < 10:
                return [(0, frame)]
            return [(0, None)] if trouble == "disconnect" else []

        peer.script = script
        async with reading(transport, APART, units=(1, 2), timeout="30ms") as built:
            endpoint, tables = built.endpoint, built.tables
        assert peer.connections == 1
        seen: list[Input] = []
        runner = DeviceRunner(
            endpoint, lambda stats: ModbusDriver(endpoint, tables, stats), tables, EngineClock(), seen.append
        )
        task = asyncio.create_task(runner.run())
        try:
            await until(lambda: peer.connections >= 4, 15)
        finally:
            task.cancel()
            await asyncio.wait([task], timeout=5)
        assert runner.reconnects >= 2
