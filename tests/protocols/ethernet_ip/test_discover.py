"""Looking at a Logix controller: who it is, its tags as signals with their values, and what is left out."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from protocols.discovery import Discovery, FoundSignal, Pace, Wishes
from protocols.driver import ConnectFailed, NotConnected
from protocols.ethernet_ip import discover
from protocols.ethernet_ip.config import EthernetIpDevice
from protocols.ethernet_ip.discover import discover_ethernet_ip
from protocols.ethernet_ip.list_identity import list_identity
from protocols.simulated.ethernet_ip import datatypes as of
from protocols.simulated.ethernet_ip import objects, showcase
from protocols.simulated.ethernet_ip.datatypes import Structure
from protocols.simulated.ethernet_ip.objects import Fault, Identity, Mode
from protocols.simulated.ethernet_ip.project import Project
from protocols.simulated.ethernet_ip.showcase import SHOWN
from tests.processes import free_port
from tests.protocols.ethernet_ip.client import controller
from tests.protocols.ethernet_ip.controller import leaves

assert EthernetIpDevice.model_validate(
    {"protocol": "ethernet_ip", "host": "h", "signals": {"mode": {"tag": "identity:mode"}}}
)  # the first one reads files, which a loop must not


HOSTS = {"Wide.Low": 1 << 17, "Wide.High": -(1 << 31)}
"""Words that bits lie in."""


async def looked_at(port: int, rate: float = 1000, slot: int = 0, **wishes: Any) -> Discovery:
    section = {"protocol": "ethernet_ip", "host": "127.0.0.1", "port": port, "slot": slot}
    chosen = Wishes(**{"depth": 3, "limit": 1000, **wishes})
    return await discover_ethernet_ip(section, chosen, Pace(rate), lambda line: None)


def by_tag(found: Discovery) -> dict[str, FoundSignal]:
    return {one.address["tag"]: one for one in found.signals}


async def test_every_value_that_stands_alone_is_proposed_as_it_is() -> None:
    wanted = {
        address: value
        for one in SHOWN
        if one.name != "Secret" and not one.dimensions
        for address, value in leaves(one)
        if "[" not in address
    } | HOSTS
    async with controller(shows_all=True) as plc:
        found = await looked_at(plc.port)
    signals = by_tag(found)
    assert wanted.keys() <= signals.keys()
    for address, value in wanted.items():
        shown = signals[address].value
        if isinstance(value, float):
            assert float(shown) == pytest.approx(value, rel=1e-5), address
        else:
            assert shown == (str(value).lower() if isinstance(value, bool) else str(value)), address
    assert len({one.name for one in found.signals}) == len(found.signals)


async def test_arrays_are_noted_or_their_first_element_is_proposed() -> None:
    async with controller(shows_all=True) as plc:
        plain, firsts = await looked_at(plc.port), await looked_at(plc.port, arrays=True)
    why = {"/".join(one.place): one.why for one in plain.left_out}
    assert why["Grid"] == "an array, INT[3,4]; an element is written Grid[0,0]"
    assert why["Bits"] == "an array, BOOL[96]; an element is written Bits[0]"
    assert why["Secret"].startswith("its External Access is None")
    signals = by_tag(firsts)
    assert (signals["Cube[0,0,0]"].name, signals["Cube[0,0,0]"].value) == ("cube", "0")
    assert signals["Tanks[0].Valves[0].Cycles"].name == "tanks_valves_cycles"
    assert signals["Bits[0]"].type == "bool"


async def test_the_controller_says_who_and_how_it_is() -> None:
    async with controller(identity=Identity(mode=Mode.REMOTE_PROGRAM, faults=(Fault.MINOR_RECOVERABLE,))) as plc:
        found = await looked_at(plc.port)
    facts = dict(found.facts)
    assert facts["controller"] == "1756-L83E/B, revision 32.011, serial 00C0FFEE"
    assert facts["listens"].startswith("1756-L83E/B (Rockwell Automation/Allen-Bradley, programmable logic controller)")
    assert facts["state"] == "mode program, keyswitch remote, minor fault"
    assert facts["project"] == "Labeler_Line3"
    assert found.name == "labeler_line3"
    signals = by_tag(found)
    assert (signals["identity:mode"].value, signals["identity:keyswitch"].value) == ("7", "3")
    assert (signals["identity:minor_fault"].value, signals["identity:major_fault"].value) == ("true", "false")


async def test_programs_aliases_and_modules() -> None:
    async with controller(shows_all=True) as plc:
        found = await looked_at(plc.port)
    signals = by_tag(found)
    assert signals["Program:MainProgram.Step"].place == ("Program:MainProgram", "Step")
    assert "an alias" in signals["Alias_Of_Member"].notes
    assert "an alias" not in signals["Sealed"].notes
    assert not any(one.startswith(("Program:MainProgram.__", "__")) for one in signals)


async def test_filters_limits_and_depth() -> None:
    async with controller(shows_all=True) as plc:
        some = await looked_at(plc.port, match=("Main_Valve",), limit=2)
        shallow = await looked_at(plc.port, match=("Tank",), depth=1)
        everything = await looked_at(plc.port)
    assert [tag for tag in by_tag(some) if ":" not in tag] == ["Main_Valve.Open", "Main_Valve.Closed"]
    assert any("3 more values beyond --limit 2" in note for note in some.notes)
    assert "Tank.Level" in by_tag(shallow)
    assert "Tank.Inlet.Open" not in by_tag(shallow)
    named = by_tag(everything)
    assert all(named[tag].name == one.name for tag, one in by_tag(some).items())


async def test_requests_are_few_and_kept_apart() -> None:
    async with controller(shows_all=True) as plc:
        began = time.monotonic()
        found = await looked_at(plc.port, rate=50)
        took = time.monotonic() - began
    assert found.asked < 60
    assert took > (found.asked - 2) / 50


async def test_a_slot_where_nobody_is() -> None:
    async with controller() as plc:
        with pytest.raises(NotConnected, match="nothing at an address on the route"):
            await looked_at(plc.port, slot=5)


async def test_a_drive_has_no_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "LOGIX_CONTROLLER", 2)
    async with controller() as plc:
        found = await looked_at(plc.port)
    assert [one.address["tag"] for one in found.signals] == ["identity:status"]
    assert any("lists no tags" in note for note in found.notes)
    assert "device" in dict(found.facts)


async def test_packtags_of_a_controller_are_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    status = Structure("PML_Status", ("StateCurrent", of.DINT), ("UnitModeCurrent", of.DINT))
    count = Structure("PML_Count", ("ID", of.DINT), ("Count", of.DINT), ("AccCount", of.DINT))
    admin = Structure("PML_Admin", ("ProdProcessedCount", count, 2), ("StopReason", of.DINT))
    capper = Structure("PML", ("Status", status), ("Admin", admin))
    value = {"Status": {"StateCurrent": 6}, "Admin": {"ProdProcessedCount": [{"AccCount": 4711}, {}]}}

    def declare(project: Project) -> None:
        project.tag("Capper", capper, value)

    monkeypatch.setattr(showcase, "declare", declare)
    async with controller(shows_all=True) as plc:
        found = await looked_at(plc.port)
    (machine,) = found.machines
    assert machine.name == "capper"
    assert machine.settings["packml_state"] == f"{found.name}.capper_status_state_current"
    assert machine.settings["parts"] == {"total": f"{found.name}.capper_admin_prod_processed_count_acc_count"}
    assert machine.settings["states"][0]["reason"] == {"signal": f"{found.name}.capper_admin_stop_reason"}


async def test_structures_in_structures_do_not_grow_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discover, "MOST_LEAVES", 40)
    async with controller(shows_all=True) as plc:
        found = await looked_at(plc.port, depth=100, arrays=True)
    assert len(found.signals) <= 44
    assert "only the first 40 values were looked at" in found.notes


async def test_nobody_there() -> None:
    with pytest.raises(ConnectFailed, match="refuses the connection"):
        await looked_at(free_port())


async def test_lists_without_an_end_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discover, "MOST_REQUESTS", 10)
    async with controller(shows_all=True) as plc:
        with pytest.raises(NotConnected, match="was asked 10 times"):
            await looked_at(plc.port)


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[int]:
    """Something that listens, and answers whatever it is asked in one way."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", struct.pack("<HH20x", 0x63, 9999)])
async def test_what_is_no_ethernet_ip_device(answer: bytes) -> None:
    async with answering(answer) as port:
        with pytest.raises(ConnectFailed, match="does not answer as an EtherNet/IP device"):
            await looked_at(port)


async def test_an_identity_that_is_none() -> None:
    for answer in (struct.pack("<HH20x", 0x65, 0), struct.pack("<HH20xHHH", 0x63, 6, 1, 0x0C, 60)):
        async with answering(answer) as port:
            assert await list_identity("127.0.0.1", port) is None
