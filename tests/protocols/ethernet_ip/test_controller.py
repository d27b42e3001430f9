"""The plan and the decoder against a controller over real sockets: every kind of tag that it has, whole uploads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pycomm3 import LogixDriver

from ext.cip import TypeChanged
from ext.table import SignalTable
from protocols.ethernet_ip.attributes import EDITION_REQUEST
from protocols.ethernet_ip.config import EthernetIpDevice
from protocols.ethernet_ip.plan import LARGE, SMALL, Limits, Planner
from protocols.ethernet_ip.types import Symbol
from protocols.simulated.ethernet_ip import LabelerPlc
from protocols.simulated.ethernet_ip.objects import Fault, Mode
from protocols.simulated.ethernet_ip.showcase import SHOWN
from protocols.simulated.machine import CALM, Filler
from tests.peers.logix_upload import from_upload
from tests.protocols.ethernet_ip.controller import asked, exchanged, leaves

READABLE = [one for one in SHOWN if one.name not in ("Secret", "Wide")]
ALL = [leaf for one in READABLE for leaf in leaves(one)]
"""pycomm3 loses the number of a bit above 7, and with it the place of Wide's."""


@pytest.fixture
async def plc() -> AsyncIterator[LabelerPlc]:
    machine = Filler(1, CALM, bottles=70_000, rejects=500)
    machine.advance(30_000)
    plc = LabelerPlc(machine, lambda: machine.now_ms, shows_all=True)
    await plc.start()
    yield plc
    await plc.close()


class Reader:
    """A device's signals, read once from a controller through pycomm3's session."""

    def __init__(
        self,
        driver: LogixDriver,
        symbols: list[Symbol],
        signals: dict[str, Any],
        limits: Limits,
        edition: bytes | None = None,
    ) -> None:
        written = {"protocol": "ethernet_ip", "host": "127.0.0.1", "signals": signals}
        self.table = SignalTable(signals)
        self.planner = Planner(EthernetIpDevice.model_validate(written), self.table, symbols, edition)
        self.packets = self.planner.packets(limits)
        self.driver, self.limits = driver, limits
        self.refused: list[tuple[str, int, int]] = []
        self.sent = 0

    def read(self) -> list[Any]:
        for packet in self.packets:
            offset = 0
            while True:
                request = packet.fragment(offset) if packet.is_fragmented else packet.request
                reply = exchanged(self.driver, request)
                self.sent += 1
                assert len(request) <= self.limits.most
                assert len(reply) <= packet.reply_size
                for service, status, extended in packet.decode.decode(reply):
                    self.refused.append((packet.services[service].name, status, extended))
                offset = packet.decode.received
                if not offset:
                    break
        return [self.table.read(number)[1] for number in range(len(self.table))]


def opened(plc: LabelerPlc) -> LogixDriver:
    driver = LogixDriver(f"127.0.0.1:{plc.port}/0")
    driver.open()  # type: ignore[no-untyped-call]
    return driver


@pytest.mark.parametrize(
    "limits",
    [
        Limits(LARGE),
        Limits(SMALL),
        Limits(LARGE, by_instance=False),
        Limits(SMALL, multiple=False),
    ],
    ids=["large", "small", "by name", "small, one service a packet"],
)
async def test_every_value_of_every_tag(plc: LabelerPlc, limits: Limits) -> None:
    def run() -> None:
        driver = opened(plc)
        try:
            if limits.size == SMALL:
                driver.close()  # type: ignore[no-untyped-call]
                driver._cfg.update({"extended forward open": False, "connection_size": SMALL})
                driver.open()  # type: ignore[no-untyped-call]
            reader = Reader(driver, from_upload(driver.tags), asked(address for address, _ in ALL), limits)
            assert reader.planner.unresolved == {}
            values = reader.read()
            assert reader.refused == []
            assert values == [value for _, value in ALL]
            assert [type(value) for value in values] == [type(value) for _, value in ALL]
        finally:
            driver.close()  # type: ignore[no-untyped-call]

    assert len(ALL) > 9_000
    await asyncio.wait_for(asyncio.to_thread(run), 300)
    assert plc.violations == []


async def test_aliases_bits_and_what_the_controller_says_of_itself(plc: LabelerPlc) -> None:
    signals: dict[str, Any] = {
        "alias": {"tag": "Alias_Of_Dints[3]"},
        "member": {"tag": "alias_of_member"},
        "bit": {"tag": "Alias_Of_Bit"},
        "third": {"tag": "Word_Bits.2"},
        "top": {"tag": "Word_Bits.30", "type": "bool"},
        "field": {"tag": "Word_Bits", "bits": [28, 31]},
        "timing": {"tag": "Delays[2].EN"},
        "length": {"tag": "Text.LEN"},
        "letter": {"tag": "Text.DATA[0]", "type": "int8"},
        "scaled": {"tag": "Dints[10]", "scale": 0.5, "offset": 1.0},
        "mode": {"tag": "identity:mode"},
        "keyswitch": {"tag": "identity:keyswitch"},
        "fault": {"tag": "identity:major_fault"},
        "minor": {"tag": "identity:minor_fault"},
        "serial": {"object": {"class": 1, "attribute": 6, "type": "uint32"}},
        "name": {"object": {"class": 1, "attribute": 7, "type": "short_string"}},
        "wrong": {"object": {"class": 1, "attribute": 6, "type": "uint16"}},
        "none": {"object": {"class": 1, "attribute": 200, "type": "uint16"}},
    }

    def run() -> list[list[Any]]:
        driver = opened(plc)
        try:
            reader = Reader(driver, from_upload(driver.tags), signals, Limits())
            assert reader.planner.unresolved == {}
            states = []
            for mode, faults in ((Mode.REMOTE_RUN, ()), (Mode.PROGRAM, (Fault.MAJOR_RECOVERABLE,))):
                plc.identity.mode, plc.identity.faults = mode, faults
                states.append(reader.read())
            assert [name for name, _, _ in reader.refused] == ["object 0x1/1/6", "object 0x1/1/200"] * 2
            assert reader.sent == 2
            return states
        finally:
            driver.close()  # type: ignore[no-untyped-call]

    running, stopped = await asyncio.wait_for(asyncio.to_thread(run), 300)
    constant = [-41, 13.5, True, True, True, 4, True, 17, ord("G"), 26.0]
    identity = [plc.identity.serial, plc.identity.name, None, None]
    assert running == [*constant, 6, 3, False, False, *identity]
    assert stopped == [*constant, 7, 2, True, False, *identity]


async def test_after_a_download_nothing_is_believed(plc: LabelerPlc) -> None:
    """Instances are those of other tags by then, some of the very same type."""
    addresses = [address for address, value in ALL if type(value) is int][:200]

    def run() -> None:
        driver = opened(plc)
        try:
            edition = exchanged(driver, EDITION_REQUEST)[4:]
            reader = Reader(driver, from_upload(driver.tags), asked(addresses), Limits(SMALL), edition)
            before = reader.read()
            assert reader.read() == before
            plc.download(keep_connections=True)
            for packet in reader.packets:
                with pytest.raises(TypeChanged, match=r"another edition|was planned"):
                    packet.decode.decode(exchanged(driver, packet.request))
            assert [reader.table.read(number)[1] for number in range(len(addresses))] == before
            driver.get_tag_list(program="*")
            edition = exchanged(driver, EDITION_REQUEST)[4:]
            fresh = Reader(driver, from_upload(driver.tags), asked(addresses), Limits(SMALL), edition)
            assert fresh.read() == before
            assert [one.request for one in fresh.packets] != [one.request for one in reader.packets]
        finally:
            driver.close()  # type: ignore[no-untyped-call]

    await asyncio.wait_for(asyncio.to_thread(run), 300)
