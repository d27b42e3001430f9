"""Requests and replies byte for byte as they are published.

Sources: Rockwell Automation, "Logix 5000 Controllers Data Access", 1756-PM020H (the section of each example is named),
and a capture of RSLinx from github.com/automayt/ICS-pcap as gopacket/gopacket holds it in layers/enip_test.go.
Layouts of a CompactLogix's structures are from pycomm3's tests/offline/all_tags.json.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator

import pytest

from protocols.simulated.ethernet_ip import LogixPlc
from protocols.simulated.ethernet_ip.datatypes import BOOL, DINT, INT, LINT, REAL, SINT, Structure, Type
from protocols.simulated.ethernet_ip.predefined import CONTROL, COUNTER, STRING, TIMER, string_type
from protocols.simulated.ethernet_ip.project import Project
from tests.protocols.simulated.ethernet_ip.raw import raw_client

STRUCT_A = Structure(
    "STRUCT_A", ("limit4", BOOL), ("limit7", BOOL), ("travel", DINT), ("errors", DINT), ("wear", REAL), handle=0xFAC1
)
STRUCT_B = Structure(
    "STRUCT_B", ("pilot_on", BOOL), ("hourlyCount", INT, 12), ("rate", REAL), handle=0x9ECD, suffix="nEBECEAHA"
)
INSTANCES = {
    "parts": 0x2582,
    "rate": 0xF68F,
    "TotalCount": 0xE01A,
    "counts": 0x0E51,
    "sampleTime_Dest": 0x7254,
    "Program:MainProgram": 0x08E8,
}


def manual(edition: int) -> Project:
    """The tags of the manual's examples."""
    project = Project("manual", edition)
    project.tag("parts", INT, 42)
    project.tag("rate", DINT, 534)
    project.tag("ControlWord", DINT, 476)
    project.tag("TotalCount", SINT, [place % 100 for place in range(1_750)], 1_750)
    profile = [0] * 1_000 * 6
    profile[1_257:1_259] = 572, 50_988
    project.tag("profile", DINT, profile, (2, 3, 1_000))
    project.tag("struct1", STRUCT_A, {"limit4": 1, "limit7": 1, "travel": 0x55, "errors": 0x77, "wear": 10.7})
    project.tag("MachineSummary", STRUCT_B, {"pilot_on": True, "hourlyCount": list(range(12)), "rate": 1.0})
    project.tag("counts", COUNTER, [], (2, 2))
    project.tag("sampleTime_Dest", TIMER, {})
    project.tag("inside", DINT, 1, program="MainProgram")
    return project


@pytest.fixture
async def plc() -> AsyncIterator[LogixPlc]:
    plc = LogixPlc(manual, lambda: 0)
    project = plc.project
    for name, instance in INSTANCES.items():
        symbol = project.controller.by_name[name.lower()]
        del project.controller.by_instance[symbol.instance]
        symbol.instance, project.controller.by_instance[instance] = instance, symbol
    project.controller.by_instance = dict(sorted(project.controller.by_instance.items()))
    project.template_of["STRUCT_B"], project.templates[0x2E9] = 0x2E9, STRUCT_B
    await plc.start()
    yield plc
    await plc.close()


EXAMPLES = {
    "Example Using Symbol Instance Addressing - rate": (
        "4C 03 20 6B 25 00 8F F6 01 00",
        "CC 00 00 00 C4 00 16 02 00 00",
    ),
    "Atomic Members, Example 1": ("4C 04 91 05 70 61 72 74 73 00 01 00", "CC 00 00 00 C3 00 2A 00"),
    "Atomic Members, Example 2": ("4C 03 20 6B 25 00 82 25 01 00", "CC 00 00 00 C3 00 2A 00"),
    "Atomic Members, Example 4": (
        "4C 09 91 07 70 72 6f 66 69 6c 65 00 28 00 28 01 29 00 01 01 02 00",
        "CC 00 00 00 C4 00 3C 02 00 00 2C C7 00 00",
    ),
    "Access User-Defined Structures, Example 1": (
        "4C 05 91 07 73 74 72 75 63 74 31 00 01 00",
        "CC 00 00 00 A0 02 C1 FA 03 00 00 00 55 00 00 00 77 00 00 00 33 33 2B 41",
    ),
    "Access User-Defined Structures, Example 2": (
        "4C 08 91 07 73 74 72 75 63 74 31 00 91 04 77 65 61 72 01 00",
        "CC 00 00 00 CA 00 33 33 2B 41",
    ),
    "Example of reading an entire structure": (
        "4C 08 91 0E 4D 61 63 68 69 6E 65 53 75 6D 6D 61 72 79 01 00",
        (
            "CC 00 00 00 A0 02 CD 9E 01 00 00 00 00 00 01 00 02 00 03 00 04 00 05 00 06 00 07 00 "
            "08 00 09 00 0a 00 0b 00 00 00 80 3F"
        ),
    ),
    "Example of reading template attributes": (
        "03 03 20 6C 25 00 E9 02 04 00 04 00 05 00 02 00 01 00",
        "83 00 00 00 04 00 04 00 00 00 1E 00 00 00 05 00 00 00 20 00 00 00 02 00 00 00 04 00 01 00 00 00 CD 9E",
    ),
    "Example - Machine summary": (
        "4C 03 20 6C 25 00 E9 02 00 00 00 00 61 00",
        (
            "CC 00 00 00 00 00 C2 00 00 00 00 00 00 00 C1 00 00 00 00 00 "
            "0C 00 C3 20 04 00 00 00 00 00 CA 00 1C 00 00 00 "
            "53 54 52 55 43 54 5F 42 3B 6E 45 42 45 43 45 41 48 41 00 "
            "5A 5A 5A 5A 5A 5A 5A 5A 5A 5A 53 54 52 55 43 54 5F 42 30 00 70 69 6C 6F 74 5F 6F 6E 00 "
            "68 6F 75 72 6C 79 43 6F 75 6E 74 00 72 61 74 65 00"
        ),
    ),
    "Example - Multiple Service, with parts as its INT": (
        (
            "0A 02 20 02 24 01 02 00 06 00 12 00 4C 04 91 05 70 61 72 74 73 00 01 00 "
            "4C 07 91 0B 43 6F 6E 74 72 6F 6C 57 6F 72 64 00 01 00"
        ),
        "8A 00 00 00 02 00 06 00 0E 00 CC 00 00 00 C3 00 2A 00 CC 00 00 00 C4 00 DC 01 00 00",
    ),
}


@pytest.mark.parametrize("section", EXAMPLES)
async def test_the_manuals_examples(plc: LogixPlc, section: str) -> None:
    request, reply = (bytes.fromhex(text) for text in EXAMPLES[section])
    assert plc.router.answer(request, 500) == reply


async def test_symbol_types_and_list_entries(plc: LogixPlc) -> None:
    """Symbol Type Attribute; Example of retrieving the first group of tags, and of subsequent groups."""
    answer = plc.router.answer(bytes.fromhex("55 03 20 6B 25 00 00 00 02 00 01 00 02 00"), 4_000)
    assert answer[:4] == bytes.fromhex("D5 00 00 00")
    for entry in (
        "51 0E 00 00 06 00 63 6F 75 6E 74 73 82 CF",
        "54 72 00 00 0F 00 73 61 6D 70 6C 65 54 69 6D 65 5F 44 65 73 74 83 8F",
        "E8 08 00 00 13 00 50 72 6F 67 72 61 6D 3A 4D 61 69 6E 50 72 6F 67 72 61 6D 68 10",
    ):
        assert bytes.fromhex(entry) in answer
    assert plc.project.symbol_type(plc.project.controller.by_name["machinesummary"]) == 0x82E9


async def test_a_long_tag_in_fragments(plc: LogixPlc) -> None:
    """Example Using Symbolic Segment Addressing - 1750: offsets count bytes, the last fragment alone succeeds."""
    fragments = b""
    statuses: list[int] = []
    while not statuses or statuses[-1]:
        request = bytes.fromhex("52 06 91 0A 54 6F 74 61 6C 43 6F 75 6E 74 D6 06") + struct.pack("<I", len(fragments))
        answer = plc.router.answer(request, 496)
        assert (answer[0], answer[4:6]) == (0xD2, b"\xc2\0")
        statuses.append(answer[2])
        fragments += answer[6:]
    assert statuses == [6, 6, 6, 0]
    assert fragments == bytes(place % 100 for place in range(1_750))


async def test_detecting_changes(plc: LogixPlc) -> None:
    """How to detect changes: numbers, their order and their widths; values are the controller's own."""
    request = bytes.fromhex("03 03 20 AC 25 00 01 00 05 00 01 00 02 00 03 00 04 00 0A 00")
    before = plc.router.answer(request, 500)
    assert before[:4] + before[4:6] == bytes.fromhex("83 00 00 00 05 00")
    heads = [before[place : place + 4] for place in (6, 12, 18, 26, 34)]
    assert heads == [struct.pack("<HH", number, 0) for number in (1, 2, 3, 4, 10)]
    assert len(before) == 42
    plc.unload()
    assert plc.router.answer(request, 500)[:3] == b"\x83\0\5"
    plc.download()
    assert plc.router.answer(request, 500) != before
    assert plc.router.answer(request, 500)[2] == 0


async def test_a_captured_conversation(plc: LogixPlc) -> None:
    """Register Session, Forward Open, and a Multiple Service Packet of RSLinx."""
    async with raw_client(plc.port, register=False) as client:
        client.writer.write(bytes.fromhex("65 00 04 00") + bytes(20) + bytes.fromhex("01 00 00 00"))
        registered = await client.reader.readexactly(28)
        assert registered[:4] + registered[24:] == bytes.fromhex("65 00 04 00 01 00 00 00")
        session = registered[4:8]
        opening = (
            "54 02 20 06 24 01 05 f7 02 00 00 00 01 00 00 00 02 00 4c 54 c0 a8 00 2e 02 00 00 00 80 84 1e 00 f4 43 "
            "80 84 1e 00 f4 43 a3 04 01 00 20 02 24 01 2c 01"
        )
        head = bytes.fromhex("00 00 00 00 0a 00 02 00 00 00 00 00 b2 00 32 00")
        client.writer.write(bytes.fromhex("6f 00 42 00") + session + bytes(16) + head + bytes.fromhex(opening))
        opened = await client.reader.readexactly(24 + 16 + 4 + 26)
        assert opened[40:44] == bytes.fromhex("d4 00 00 00")
        assert opened[48:60] == bytes.fromhex("01 00 00 00 02 00 4c 54 c0 a8 00 2e")
        packet = (
            "b1 00 32 00 1d 00 0a 02 20 02 24 01 03 00 08 00 12 00 1e 00 03 02 20 ac 24 01 01 00 01 00 4c 02 20 72 "
            "24 00 54 a1 10 00 01 00 4c 02 20 72 24 00 70 a2 10 00 01 00"
        )
        head = bytes(6) + bytes.fromhex("02 00 a1 00 04 00") + opened[44:48]
        client.writer.write(bytes.fromhex("70 00 46 00") + session + bytes(16) + head + bytes.fromhex(packet))
        answer = (await client.reader.readexactly(24 + 6 + 2 + 8 + 4 + 2 + 4 + 2 + 6 + 12 + 6 + 6))[40:]
        # Class 0x72, which RSLinx knows, is not there: two refusals behind the attribute.
        assert answer[4:6] == b"\x1d\0"
        assert answer[6:18] == bytes.fromhex("8a 00 1e 00 03 00 08 00 14 00 1a 00")
        assert (
            answer[18:] == bytes.fromhex("83 00 00 00 01 00 01 00 00 00 05 00") + bytes.fromhex("cc 00 05 01 00 00") * 2
        )


ATOMIC = Structure(
    "pycomm3_AtomicUDT", ("bool", BOOL), ("sint", SINT), ("int", INT), ("dint", DINT), ("lint", LINT), ("real", REAL)
)
ARRAYS = Structure(
    "pycomm3_AtomicArrayUDT",
    ("bools", BOOL, 64), ("sints", SINT, 8), ("ints", INT, 4),
    ("dints", DINT, 10), ("lints", LINT, 4), ("reals", REAL, 10),
)  # fmt: skip
NESTED = Structure(
    "pycomm3_NestedUDT",
    ("udt1", ATOMIC), ("udt_ary1", ATOMIC, 5), ("udt2", ARRAYS), ("udt_ary2", ARRAYS, 5),
    ("str1", STRING), ("str_ary1", STRING, 5),
)  # fmt: skip


@pytest.mark.parametrize(
    ("structure", "size", "offsets"),
    [
        (ATOMIC, 20, [0, 0, 1, 2, 4, 8, 16]),
        (ARRAYS, 136, [0, 8, 16, 24, 64, 96]),
        (NESTED, 1464, [0, 20, 120, 256, 936, 1024]),
        (string_type("STRING20", 20), 24, [0, 4]),
        (string_type("STRING480", 480), 484, [0, 4]),
        (CONTROL, 12, [0, 4, 8, 3, 3, 3, 3, 3, 3, 3, 3]),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_layouts_of_a_real_controller(structure: Structure, size: int, offsets: list[int]) -> None:
    assert structure.size == size
    assert [member.offset for member in structure.members] == offsets


def test_definitions_of_a_real_controller() -> None:
    assert ATOMIC.members[0].name == "ZZZZZZZZZZpycomm3_At0"
    assert [member.bit for member in CONTROL.members[3:]] == [7, 6, 5, 4, 3, 2, 1, 0]
    assert (CONTROL.handle, CONTROL.number, CONTROL.definition_words({})) == (3969, 3969, 38)
    assert (STRING.handle, STRING.number, STRING.definition_words({})) == (4046, 4046, 15)


def test_another_layout_has_another_handle() -> None:
    kinds: list[Type] = [DINT, REAL]
    one, other, deep = (Structure("S", ("a", kinds[n % 2]), ("b", DINT)) for n in range(3))
    assert one.handle == deep.handle != other.handle
    assert Structure("T", ("x", one)).handle != Structure("T", ("x", other)).handle
