"""The packets: bytes as Rockwell's manual has them, what is read as one, and what each limit leads to."""

from __future__ import annotations

import contextlib
import struct
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from ext.cip import Packing
from ext.table import SignalTable
from protocols.ethernet_ip.allowed import MESSAGE_ROUTER, Service, read_request
from protocols.ethernet_ip.attributes import EDITION_REQUEST
from protocols.ethernet_ip.config import CipSignal, EthernetIpDevice
from protocols.ethernet_ip.epath import CLASS, ELEMENT, INSTANCE, attribute_path, logical, symbolic
from protocols.ethernet_ip.plan import LARGE, SMALL, Limits, Packet, Planner
from protocols.ethernet_ip.types import ELEMENTARY, Member, Symbol, Template
from protocols.model import Learned

DINT, SINT, REAL, INT = (ELEMENTARY[name] for name in ("DINT", "SINT", "REAL", "INT"))
LATER = Template("Later", 0x1111, 16, tuple(Member(f"M{n}", DINT, 4 * n) for n in range(4)))
WIDE = Template("Wide", 0x2222, 400, (Member("First", DINT, 0), Member("Rest", DINT, 4, 98), Member("Last", DINT, 396)))
HUGE = Template("Huge", 0x3333, 8000, tuple(Member(f"M{n}", DINT, 4 * n) for n in range(2000)))
TEXT = Template("Text", 0x4444, 1004, (Member("LEN", DINT, 0), Member("DATA", SINT, 4, 1000)))
SYMBOLS = [
    Symbol("Total", 0x8225, INT),
    Symbol("TotalCount", 0xE01A, SINT, (1750,)),
    Symbol("Array", 0x20, DINT, (2000,)),
    Symbol("Later", 0x21, LATER),
    Symbol("Laters", 0x22, LATER, (300,)),
    Symbol("Wide", 0x23, WIDE),
    Symbol("Huge", 0x24, HUGE),
    Symbol("Text", 0x25, TEXT),
    Symbol("Program:Main.Rate", 0x26, REAL),
    *(Symbol(f"Single{n}", 0x1000 + n, REAL) for n in range(1000)),
]


def planner(signals: dict[str, Any], edition: bytes | None = None, **more: Any) -> Planner:
    written = {"protocol": "ethernet_ip", "host": "h", "signals": signals, **more}
    return Planner(EthernetIpDevice.model_validate(written), SignalTable(signals), SYMBOLS, edition)


def packets(*tags: str, limits: Limits | None = None, **more: Any) -> list[Packet]:
    signals = {f"s{n}": {"tag": tag, "length": 1000} for n, tag in enumerate(tags)}
    return planner(signals, **more).packets(limits or Limits())


def names(found: list[Packet]) -> list[list[str]]:
    return [[service.name for service in packet.services] for packet in found]


def test_paths_as_in_the_manual() -> None:
    """1756-PM020: Read Tag examples, and Segment Encoding; members of the message router as in CIP Volume 1, C-1.4."""
    (packet,) = packets("Total")
    assert packet.request.hex(" ") == "4c 03 20 6b 25 00 25 82 01 00"
    (packet,) = packets("TotalCount[490]", limits=Limits(by_instance=False))
    assert packet.request.hex(" ") == "4c 08 91 0a 54 6f 74 61 6c 43 6f 75 6e 74 29 00 ea 01 01 00"
    (packet,) = packets("Program:Main.Rate")
    assert packet.request == b"\x4c\x0a" + symbolic("Program:Main") + symbolic("Rate") + b"\1\0"
    assert (logical(ELEMENT, 255) + logical(ELEMENT, 256) + logical(ELEMENT, 65536)).hex() == "28ff290000012a0000000100"
    assert attribute_path(0x93, 0, 0x0107).hex() == "20932400310007 01".replace(" ", "")
    assert (logical(CLASS, 0x6B) + logical(INSTANCE, 0x18D1) + symbolic("today") + symbolic("rate")).hex(" ") == (
        "20 6b 25 00 d1 18 91 05 74 6f 64 61 79 00 91 04 72 61 74 65"
    )


def test_a_packet_of_several() -> None:
    (packet,) = packets("Total", "Program:Main.Rate", "identity:mode", "identity:major_fault")
    assert names([packet]) == [["Total", "Program:Main.Rate", "object 0x1/1/5"]]
    parts = [service.request for service in packet.services]
    assert packet.request[:8] == b"\x0a\x02\x20\x02\x24\x01\x03\x00"
    offsets = struct.unpack_from("<3H", packet.request, 8)
    assert [packet.request[6 + at :][: len(part)] for at, part in zip(offsets, parts, strict=True)] == parts
    assert packet.request.endswith(parts[2])
    assert packet.reply_size == 6 + (2 + 8) + (2 + 10) + (2 + 6)
    assert packet.services[2].signals == (2, 3)
    assert packet.decode.packing == Packing.MULTIPLE


def test_neighbours_of_an_array_are_read_as_one_as_long_as_that_is_cheaper() -> None:
    assert names(packets("Array[3]", "Array[5]", "Array[1]")) == [["Array[1]"]]
    near, far = 3 + 12, 3 + 40
    assert names(packets("Array[3]", f"Array[{near}]")) == [["Array[3]"]]
    assert names(packets("Array[3]", f"Array[{far}]")) == [["Array[3]", f"Array[{far}]"]]
    (packet,) = packets("Array[3]", "Array[5]")
    assert packet.request.endswith(b"\x28\x03\x03\x00")
    assert packet.decode.signals(0) == [0, 1]


def test_members_of_a_structure_are_read_as_one_as_long_as_that_is_cheaper() -> None:
    assert names(packets("Later.M0", "Later.M3")) == [["Later"]]
    assert names(packets("Later.M2")) == [["Later.M2"]]
    assert names(packets("Wide.First", "Wide.Last")) == [["Wide.First", "Wide.Last"]]
    assert names(packets(*(f"Wide.Rest[{n}]" for n in range(98)), "Wide.First")) == [["Wide"]]
    assert names(packets("Laters[3].M0", "Laters[4].M1", "Laters[200].M3")) == [["Laters[3]", "Laters[200].M3"]]


def test_what_is_set_apart_takes_nothing_from_its_neighbours() -> None:
    signals = {f"s{n}": {"tag": f"Later.M{n}"} for n in range(4)}
    (packet,) = planner(signals).packets(Limits(), apart={1, 3})
    assert [(service.name, service.signals) for service in packet.services] == [
        ("Later", (0, 2)),
        ("Later.M1", (1,)),
        ("Later.M3", (3,)),
    ]


def test_long_arrays_are_divided_at_elements() -> None:
    found = packets(*(f"Array[{n}]" for n in range(2000)))
    assert [(len(packet.services), packet.decode.packing) for packet in found] == [(1, Packing.SINGLE)] * 3
    assert sum(len(packet.decode.signals()) for packet in found) == 2000
    assert sum(packet.reply_size for packet in found) == 3 * (4 + 2) + 4 * 2000
    assert all(packet.reply_size <= Limits().most for packet in found)


def test_what_exceeds_a_packet_comes_in_fragments() -> None:
    (packet,) = packets("Text", limits=Limits(SMALL))
    assert packet.is_fragmented
    assert packet.request == b"\x52\x02\x20\x6b\x24\x25\x01\x00\0\0\0\0"
    assert packet.fragment(0) == packet.request
    assert packet.fragment(490) == packet.request[:-4] + struct.pack("<I", 490)
    assert packet.reply_size == 498
    (packet,) = packets("Text")
    assert not packet.is_fragmented
    (packet,) = packets(*(f"Huge.M{n}" for n in range(1000)))
    assert packet.is_fragmented
    assert len(packet.decode.signals()) == 1000
    (packet,) = packets("Huge.M0", "Huge.M1999")
    assert names([packet]) == [["Huge.M0", "Huge.M1999"]]


@pytest.mark.parametrize(("size", "each", "count"), [(LARGE, 332, 4), (SMALL, 40, 25)])
def test_a_thousand_single_tags_in_as_few_packets_as_can_be(size: int, each: int, count: int) -> None:
    """A tag takes 2 + 10 bytes of a request of `size` - 2, beside 8, and as many of a reply."""
    found = packets(*(f"Single{n}" for n in range(1000)), limits=Limits(size))
    assert each == (size - 2 - 8) // (2 + len(found[0].services[0].request))
    assert len(found) == count == -(-1000 // each)
    assert all(len(packet.request) <= size - 2 and packet.reply_size <= size - 2 for packet in found)


def test_a_controller_without_packets_of_several() -> None:
    found = packets("Total", "Array[1]", "Array[2]", "identity:mode", limits=Limits(multiple=False))
    assert names(found) == [["Total"], ["Array[1]"], ["object 0x1/1/5"]]
    assert all(packet.decode.packing == Packing.SINGLE for packet in found)
    assert [packet.request for packet in found] == [packet.services[0].request for packet in found]


def test_the_edition_ends_every_packet() -> None:
    edition = bytes(range(38))
    found = packets(*(f"Array[{n}]" for n in range(2000)), "Total", edition=edition)
    assert all(packet.services[-1].request == EDITION_REQUEST for packet in found)
    assert all(packet.services[-1].signals == () for packet in found)
    assert all(len(packet.request) <= 3998 and packet.reply_size <= 3998 for packet in found)
    alone = packets("Total", edition=edition, limits=Limits(multiple=False))
    assert names(alone) == [["Total"]]
    (fragments,) = packets("Text", edition=edition, limits=Limits(SMALL))
    assert names([fragments]) == [["Text"]]


def test_scan_classes_are_apart() -> None:
    signals = {"a": {"tag": "Array[0]"}, "b": {"tag": "Array[1]", "scan_interval": "100ms"}, "c": {"tag": "Array[2]"}}
    found = planner(signals, scan_interval="1s").packets(Limits())
    assert [(packet.scan, packet.decode.signals()) for packet in found] == [(0, [1]), (1, [0, 2])]


def test_what_is_learned_and_what_is_not_there() -> None:
    signals = {"a": {"tag": "Total"}, "b": {"tag": "Nothing"}, "c": {"tag": "Text"}, "d": {"tag": "identity:mode"}}
    made = planner(signals)
    assert made.learned() == {0: Learned("int16"), 2: Learned("string"), 3: Learned("uint16")}
    assert list(made.unresolved) == [1]
    assert [service.signals for service in made.packets(Limits())[0].services] == [(0,), (2,), (3,)]


@st.composite
def any_signal(draw: st.DrawFn) -> dict[str, Any]:
    """What a person may write of a tag, or of an attribute, before the types are known."""
    written: dict[str, Any] = {"tag": draw(st.sampled_from([f"T{n}" for n in range(len(ELEMENTARY))]))}
    if draw(st.booleans()):
        kind = draw(st.sampled_from(["bool", "int8", "uint16", "float32", "uint64", "string", "short_string"]))
        written = {"object": {"class": 1, "attribute": draw(st.integers(0, 3)), "type": kind}}
    if draw(st.booleans()):
        written["bits"] = sorted(draw(st.lists(st.integers(0, 63), min_size=2, max_size=2)))
    if draw(st.booleans()):
        written["invalid"] = draw(st.sampled_from([0, 1, -1, 255, -129, 65536, 2**64 - 1, 0.5, 1e39, -9999.0]))
    if draw(st.booleans()):
        written["scale"] = 0.5
    return written | draw(st.sampled_from([{}, {"length": 1}, {"length": 65535}]))


@given(signals=st.lists(any_signal(), min_size=1, max_size=8), size=st.sampled_from([SMALL, LARGE]))
def test_whatever_is_written_is_refused_by_itself_or_planned(signals: list[dict[str, Any]], size: int) -> None:
    good = {}
    for number, written in enumerate(signals):
        with contextlib.suppress(ValidationError):
            CipSignal.model_validate(written)
            good[f"s{number}"] = written
    assume(good)
    device = EthernetIpDevice.model_validate({"protocol": "ethernet_ip", "host": "h", "signals": good})
    symbols = [Symbol(f"T{n}", n, kind) for n, kind in enumerate(ELEMENTARY.values())]
    made = Planner(device, SignalTable(good), symbols)
    planned = sorted(number for packet in made.packets(Limits(size)) for number in packet.decode.signals())
    assert planned == sorted(set(range(len(good))) - set(made.unresolved))


@pytest.mark.parametrize("service", [0x4D, 0x53, 0x4E, 0x10, 0x02, 0x05, 0x07, 0x54])
def test_nothing_but_reads_is_ever_made(service: int) -> None:
    for path in (symbolic("A"), logical(CLASS, 0x6B) + logical(INSTANCE, 1), MESSAGE_ROUTER, attribute_path(1, 1, 5)):
        with pytest.raises(PermissionError):
            read_request(service, path)


def test_services_that_mean_something_else_elsewhere() -> None:
    """0x52 sends a message on where the connection manager gets it, and 0x0A packs only at the message router."""
    manager = logical(CLASS, 6) + logical(INSTANCE, 1)
    for service in (Service.READ_TAG_FRAGMENTED, Service.READ_TAG, Service.MULTIPLE_SERVICE_PACKET):
        with pytest.raises(PermissionError):
            read_request(service, manager)
    for path in (b"", b"\x20", bytes(512)):
        with pytest.raises(ValueError, match="does not fit a request"):
            read_request(Service.READ_TAG, path)
