"""pycomm3's LogixDriver with default settings opens the controller, uploads its tags and reads all of them."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import Any, TypeVar

import pycomm3
import pytest
from pycomm3 import LogixDriver

from protocols.simulated.ethernet_ip import LabelerPlc, extra
from protocols.simulated.ethernet_ip.datatypes import BYTE, DWORD, LWORD, REAL, WORD, Member, Structure, Type
from protocols.simulated.ethernet_ip.objects import Fault, Mode
from protocols.simulated.ethernet_ip.showcase import PROGRAM, SHOWN, TANK, Shown, tank, valve
from protocols.simulated.machine import Filler

Answer = TypeVar("Answer")


async def opened(plc: LabelerPlc, ask: Callable[[LogixDriver], Answer], **settings: Any) -> Answer:
    """What a driver with default settings, in a thread, is asked once it is open."""

    def run() -> Answer:
        driver = LogixDriver(f"127.0.0.1:{plc.port}/0")
        driver._cfg.update(settings)
        try:
            driver.open()  # type: ignore[no-untyped-call]
            return ask(driver)
        finally:
            driver.close()  # type: ignore[no-untyped-call]

    return await asyncio.wait_for(asyncio.to_thread(run), 300)


async def read(plc: LabelerPlc, *tags: str, **settings: Any) -> list[Any]:
    answers = await opened(plc, lambda driver: driver.read(*tags), **settings)
    listed = answers if isinstance(answers, list) else [answers]
    assert [one.error for one in listed] == [None] * len(tags), listed
    return [one.value for one in listed]


def seen(kind: Type, value: Any, count: int = 0) -> Any:
    """How pycomm3 shows a value: bit strings as bools, structures without what is hidden, absent members zero."""
    if count:
        flat = value if isinstance(value, list) else []
        if isinstance(kind, Structure) or kind not in (BYTE, WORD, DWORD, LWORD):
            return [seen(kind, flat[place] if place < len(flat) else 0) for place in range(count)]
        return flat
    if isinstance(kind, Structure):
        if kind.is_string:
            return value or ""
        shown = [member for member in kind.members if not member.hidden and member.name != "CTL"]
        return {member.name: seen_member(member, (value or {}).get(member.name, 0)) for member in shown}
    if kind in (BYTE, WORD, DWORD, LWORD):
        return [bool(value >> place & 1) for place in range(8 * kind.size)]
    return struct.unpack("<f", struct.pack("<f", value))[0] if kind is REAL else value


def seen_member(member: Member, value: Any) -> Any:
    return bool(value) if member.is_bit else seen(member.type, value, member.count)


def asked(shown: Shown) -> str:
    """The tag's name for pycomm3, whole where it is an array."""
    name = shown.name if shown.program is None else f"Program:{shown.program}.{shown.name}"
    # pycomm3 takes a DWORD for 32 BOOLs.
    elements = 32 if shown.type is DWORD else len(shown.value) if shown.dimensions else 0
    first = f"[{','.join('0' * len(shown.dimensions))}]" if len(shown.dimensions) > 1 else ""
    return f"{name}{first}{{{elements}}}" if elements else name


# What nobody may read, and what pycomm3 does not see: bits above the seventh.
READABLE = [one for one in SHOWN if one.name not in ("Secret", "Wide")]


async def test_who_it_is(plc: LabelerPlc) -> None:
    info = await opened(plc, lambda driver: driver.info)
    assert info["vendor"] == "Rockwell Automation/Allen-Bradley"
    assert info["product_type"] == "Programmable Logic Controller"
    assert (info["product_name"], info["revision"]) == ("1756-L83E/B", {"major": 32, "minor": 11})
    assert (info["serial"], info["name"], info["keyswitch"]) == ("00c0ffee", "Labeler_Line3", "REMOTE RUN")
    assert set(info["programs"]) == {"MainProgram", PROGRAM}
    assert info["programs"]["MainProgram"]["routines"] == ["MainRoutine"]
    assert set(info["tasks"]) == {"MainTask"}
    assert plc.violations == []


async def test_mode_and_faults(plc: LabelerPlc) -> None:
    plc.identity.mode, plc.identity.faults = Mode.REMOTE_PROGRAM, (Fault.MINOR_RECOVERABLE, Fault.MAJOR_RECOVERABLE)
    status = (await opened(plc, lambda driver: driver.get_plc_info()))["status"]
    assert int.from_bytes(status, "little") == 0x3070 | 0x0100 | 0x0400
    plc.identity.faults = ()
    assert (await opened(plc, lambda driver: driver.info))["keyswitch"] == "REMOTE PROG"


async def test_wall_clock(plc: LabelerPlc) -> None:
    plc.router.utc_us = lambda: 1_700_000_000_123_456
    assert (await opened(plc, lambda driver: driver.get_plc_time())).value["microseconds"] == 1_700_000_000_123_456


@pytest.mark.parametrize("shown", READABLE, ids=lambda shown: shown.name)
async def test_each_kind_alone(plc: LabelerPlc, shown: Shown) -> None:
    (value,) = await read(plc, asked(shown))
    assert value == seen(shown.type, shown.value, len(shown.value) if shown.dimensions else 0) or shown.type is DWORD
    if shown.type is DWORD:
        assert value == seen(DWORD, shown.value)


# Not 500: there pycomm3 takes a reply of 500 bytes for one that fits beside the sequence count.
@pytest.mark.parametrize("size", [200, 480, 4000])
async def test_all_at_once_whatever_the_connection_size(plc: LabelerPlc, size: int) -> None:
    values = await read(plc, *(asked(shown) for shown in READABLE), connection_size=size)
    wanted = [seen(one.type, one.value, len(one.value) if one.dimensions else 0) for one in READABLE]
    assert values == wanted
    assert plc.violations == []


async def test_elements_slices_members_and_bits(plc: LabelerPlc) -> None:
    wanted: dict[str, Any] = {
        "Dints[3]": -41,
        "Dints[3]{3}": [-41, -34, -25],
        "Grid[1,2]": 6,
        "Grid[1,2]{4}": [6, 7, 8, 9],
        "Cube[1,2,3]": 23,
        "Cube[0,1,0]{8}": list(range(4, 12)),
        "Bits[33]": True,
        "Bits[34]": False,
        "Bits[30]{5}": [True, False, False, True, False],
        "Word_Bits.0": True,
        "Word_Bits.1": False,
        "Word_Bits.30": True,
        "Texts[1]": "two",
        "Delay.ACC": 250,
        "Delay.EN": True,
        "Delay.DN": False,
        "Delays[2].PRE": 2,
        "Pieces.DN": True,
        "Sort.UL": True,
        "Main_Valve.Closed": True,
        "Main_Valve.Fault": True,
        "Main_Valve.Open": False,
        "Tank.Inlet.Position": 0.5,
        "Tank.Valves[2].Cycles": 1_003,
        "Tank.Valves[1]": seen(TANK.nested()[0], valve(2)),
        "Tank.History[2]{3}": [3, 4, 5],
        "Tank.Name": "tank 1",
        "Tank.Total": -(1 << 40) - 1,
        "Tanks[7].Valves[2].Closed": True,
        "Tanks[28]{2}": [seen(TANK, tank(28)), seen(TANK, tank(29))],
        "Switches.F15": True,
        "Switches.F16": False,
        "Batch.Samples[1199]": 1199 / 8,
        "Wide.Bit5": False,
        "Wide.Bit17": True,
        "Wide.Bit63": True,
        "Wide.High": -(1 << 31),
        "Alias_Of_Dints[4]": -34,
        "Alias_Of_Member": 13.5,
        "Alias_Of_Bit": True,
        f"Program:{PROGRAM}.Buffer[1]": 6,
        f"Program:{PROGRAM}.Feeder.Cycles": 1_008,
    }
    assert dict(zip(wanted, await read(plc, *wanted), strict=True)) == wanted


async def test_aliases_and_access_are_in_the_tag_list(plc: LabelerPlc) -> None:
    tags = await opened(plc, lambda driver: driver.tags)
    assert [name for name, tag in tags.items() if tag["alias"]] != []
    assert {name for name, tag in tags.items() if tag["alias"]} == {
        "Labels_Today", "Alias_Of_Dints", "Alias_Of_Member", "Alias_Of_Bit",
    }  # fmt: skip
    assert tags["Sealed"]["external_access"] == "Read Only"
    assert tags["Secret"]["external_access"] == "None"
    assert (tags["Cube"]["dim"], tags["Cube"]["dimensions"]) == (3, [2, 3, 4])
    assert tags["Batch"]["data_type"]["template"]["structure_size"] > 4_000


async def test_the_labeler(plc: LabelerPlc, machine: Filler) -> None:
    names = "Labeler_Running", "Labeler_Jam", "Labeler_Count", "Labeler_Rejects", "Labeler_Temp", "Labeler_Recipe"
    good, rejects = 69_500 + machine.truth().good, 500 + machine.truth().rejects
    assert await read(plc, *names) == [True, False, good, rejects, 159.0, "cola-500ml"]
    assert await read(plc, "Labels_Today", "Labeler.Count", "Labeler.Running") == [good, good, True]
    machine.apply("fault")
    machine.advance(machine.now_ms + 2_000)
    whole, timer, step = await read(plc, "Labeler", "Labeler_JamTimer", "Program:MainProgram.Step")
    assert (whole["Running"], whole["Jam"], whole["Count"], whole["Rejects"]) == (False, True, good, rejects)
    assert sum(head["Labels"] for head in whole["Heads"]) == good
    assert timer == {"PRE": 5_000, "ACC": 2_000, "EN": True, "TT": True, "DN": False}
    assert step == 1
    machine.advance(machine.now_ms + 3_000)
    assert (await read(plc, "Labeler_JamTimer"))[0]["DN"]


async def test_objects_of_a_drive(plc: LabelerPlc, machine: Filler) -> None:
    def ask(driver: LogixDriver) -> list[Any]:
        speeds = [
            driver.generic_message(0x0E, 0x2A, 1, attribute, connected=connected, data_type=pycomm3.INT).value
            for attribute in (7, 8)
            for connected in (True, False)
        ]
        assembly = pycomm3.Struct(pycomm3.DINT("count"), pycomm3.REAL("temperature"))
        return [*speeds, driver.generic_message(0x0E, 0x04, 100, 3, data_type=assembly).value]

    count = 69_500 + machine.truth().good
    assert await opened(plc, ask) == [1_450] * 4 + [{"count": count, "temperature": 159.0}]
    machine.apply("stop")
    assert (await opened(plc, ask))[:4] == [0, 0, 1_450, 1_450]


async def test_a_thousand_tags_over_several_pages(machine: Filler) -> None:
    plc = LabelerPlc(machine, lambda: machine.now_ms, extra_tags=1_000)
    await plc.start()
    names = [extra.name_of(index) for index in range(1_000)]
    try:
        *values, array = await read(plc, *names, f"{extra.ARRAY}{{1000}}")
    finally:
        await plc.close()
    assert values == [extra.extra_tag_value(index, machine.now_ms) for index in range(1_000)]
    assert array == [extra.extra_array_value(index, machine.now_ms) for index in range(1_000)]
    assert plc.counts["get_instance_attribute_list"] > 10
    assert plc.counts["multiple_service_packet"] > 2
    assert plc.counts["read_tag"] >= 1_000


async def test_old_firmware_is_read_by_names(plc: LabelerPlc) -> None:
    plc.identity.major = 20
    assert await read(plc, "Tanks[2].Inlet.Cycles", "Alias_Of_Dints[4]") == [1_002, -34]


async def test_a_download_gives_symbols_other_numbers_and_structures_other_offsets(plc: LabelerPlc) -> None:
    before = await opened(plc, lambda driver: driver.tags)
    plc.download()
    after = await opened(plc, lambda driver: driver.tags)
    assert set(after) == set(before)
    moved = [name for name in before if before[name]["instance_id"] != after[name]["instance_id"]]
    assert len(moved) > len(before) * 0.9
    count = [tags["Labeler"]["data_type"]["internal_tags"]["Count"]["offset"] for tags in (before, after)]
    assert count[0] != count[1]
    assert await read(plc, "Labeler.Count", "Labeler_Count") == [plc._count()] * 2


async def test_a_missing_tag_and_a_forbidden_one(plc: LabelerPlc) -> None:
    def ask(driver: LogixDriver) -> list[str]:
        driver.tags["Ghost"] = {**driver.tags["Word_Bits"], "instance_id": 65_000}
        return [str(driver.read(name).error) for name in ("Ghost", "Secret")]

    ghost, secret = await opened(plc, ask)
    assert ghost.startswith("Destination unknown")
    assert secret.startswith("Permission denied")


async def test_refused_forward_opens(plc: LabelerPlc) -> None:
    plc.manager.refuses_large = True
    assert await opened(plc, lambda driver: (driver.connection_size, driver.read("Dints[3]").value)) == (500, -41)
    plc.manager.refuses_large, plc.manager.largest = False, 1_000
    assert await opened(plc, lambda driver: driver.connection_size) == 500
    plc.manager.refuses_all = True
    with pytest.raises(Exception, match=r"failed to get the plc name|did not connect"):
        await opened(plc, lambda driver: driver.connection_size)
