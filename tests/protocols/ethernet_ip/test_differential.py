"""Any project, read by any plan: sizes and counts of packets, and every value as pycomm3 decodes the same reply."""

from __future__ import annotations

import math
import re
import struct
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pycomm3 import LogixDriver
from pycomm3.packets.util import parse_read_reply

from ext.table import SignalTable
from protocols.ethernet_ip.config import EthernetIpDevice
from protocols.ethernet_ip.plan import LARGE, SMALL, Limits, Packet, Planner
from protocols.simulated.ethernet_ip.project import Project
from protocols.simulated.ethernet_ip.showcase import Shown
from tests.peers.logix_upload import from_upload
from tests.protocols.ethernet_ip.controller import asked, exchanged, leaves, opened, stack_of
from tests.protocols.ethernet_ip.projects import tags

SIZES = st.sampled_from([150, SMALL, 1000, LARGE])
LIMITS = st.builds(Limits, SIZES, st.booleans(), st.booleans())
INDEX = re.compile(r"(?:Program:\w+\.)?[^.\[]+(?:\[[0-9,]+\])?")


def project_of(shown: list[Shown]) -> Project:
    project = Project("any")
    for one in shown:
        project.tag(one.name, one.type, one.value, one.dimensions, one.program)
    return project


def planned(
    driver: LogixDriver, addresses: list[str], limits: Limits, apart: set[int] | frozenset[int] = frozenset()
) -> tuple[SignalTable, list[Packet]]:
    signals = asked(addresses)
    table = SignalTable(signals)
    device = EthernetIpDevice.model_validate({"protocol": "ethernet_ip", "host": "h", "signals": signals})
    planner = Planner(device, table, from_upload(driver.tags))
    assert planner.unresolved == {}
    return table, planner.packets(limits, apart)


def steps(address: str) -> list[tuple[str, tuple[int, ...]]]:
    """Names and indices of an address."""
    found = []
    for piece in INDEX.findall(address):
        name, _, indices = piece.partition("[")
        found.append((name, tuple(int(index) for index in indices.rstrip("]").split(",") if index)))
    return found


def element(indices: tuple[int, ...], dimensions: list[int]) -> int:
    flat = 0
    for index, length in zip(indices, dimensions, strict=False):
        flat = flat * length + index
    return flat


def by_pycomm3(driver: LogixDriver, reply: bytes, name: str, count: int, address: str) -> Any:
    """What pycomm3 makes of a Read Tag reply, as far as one address is meant."""
    info = driver.get_tag_info(name)
    assert info is not None
    value, _ = parse_read_reply(reply[4:], info, count)  # type: ignore[no-untyped-call]
    base, wanted = steps(name), steps(address)
    here, meant = base[-1][1], wanted[len(base) - 1][1]
    if meant:
        is_bools = info["data_type_name"] == "DWORD"
        shape = [32 * info["array"]] if is_bools and "array" in info else info.get("dimensions", [0])
        first = 32 * here[0] if is_bools else element(here, shape)
        place = element(meant, shape) - first
        value = value[place] if is_bools or count > 1 else value
    for member, indices in wanted[len(base) :]:
        value = value[member]
        if indices:
            value = value[indices[0]]
    return value


def parts_of(packet: Packet, reply: bytes) -> list[bytes]:
    """The services' replies in that of a packet."""
    if reply[0] != 0x8A:
        return [reply]
    (count,) = struct.unpack_from("<H", reply, 4)
    places = [4 + place for place in struct.unpack_from(f"<{count}H", reply, 6)]
    return [reply[begin:end] for begin, end in zip(places, [*places[1:], len(reply)], strict=True)]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(shown=tags(), limits=LIMITS, draw=st.data())
def test_any_project_by_any_plan(shown: list[Shown], limits: Limits, draw: st.DataObject) -> None:
    known = [leaf for one in shown for leaf in leaves(one)]
    chosen = draw.draw(st.lists(st.sampled_from(known), min_size=1, max_size=60, unique_by=lambda leaf: leaf[0]))
    apart = draw.draw(st.sets(st.integers(0, len(chosen) - 1), max_size=3))
    driver = opened(stack_of(project_of(shown)))
    addresses = [address for address, _ in chosen]
    table, packets = planned(driver, addresses, limits, apart)
    signals = [number for packet in packets for service in packet.services for number in service.signals]
    assert sorted(signals) == list(range(len(chosen)))
    for packet in packets:
        assert limits.multiple or len(packet.services) == 1
        reply = read(driver, packet, limits)
        if packet.is_fragmented:
            parts = [reply]
        else:
            assert packet.decode.decode(reply) == ()
            parts = parts_of(packet, reply)
        for service, part in zip(packet.services, parts, strict=True):
            assert len(part) + len(part) % 2 == service.reply_size
            (count,) = struct.unpack_from("<H", service.request, len(service.request) - 2)
            for number in service.signals:
                assert number not in apart or len(service.signals) == 1
                value = table.read(number)[1]
                theirs = by_pycomm3(driver, part, service.name, count, addresses[number])
                if isinstance(theirs, list):  # a bit string
                    theirs = sum(1 << place for place, is_set in enumerate(theirs) if is_set)
                assert value == theirs == chosen[number][1], addresses[number]
                assert type(value) is type(theirs)


def read(driver: LogixDriver, packet: Packet, limits: Limits) -> bytes:
    """The reply to a packet; that of fragments put together, after they were decoded."""
    if not packet.is_fragmented:
        reply = exchanged(driver, packet.request)
        assert len(packet.request) <= limits.most
        assert len(reply) <= packet.reply_size <= limits.most
        return reply
    whole, offset = b"", 0
    while True:
        reply = cut(exchanged(driver, packet.fragment(offset)), limits.most)
        assert packet.decode.decode(reply) == ()
        head = 8 if reply[4:6] == b"\xa0\x02" else 6
        whole = (whole or b"\xcc\0\0\0" + reply[4:head]) + reply[head:]
        offset = packet.decode.received
        if not offset:
            return whole


def cut(reply: bytes, most: int) -> bytes:
    """A fragment as a controller sends it over a connection that is smaller than the one at hand."""
    if len(reply) <= most:
        return reply
    return reply[:2] + b"\6" + reply[3 : most - most % 4]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(shown=tags(), size=SIZES)
def test_packets_are_nearly_as_few_as_their_bytes_allow(shown: list[Shown], size: int) -> None:
    """First fit by decreasing size, in two dimensions: beside its bound, twice the lower one and one more."""
    limits = Limits(size)
    driver = opened(stack_of(project_of(shown)))
    _, packets = planned(driver, [address for one in shown for address, _ in leaves(one)], limits)
    whole = [service for packet in packets if not packet.is_fragmented for service in packet.services]
    asked_bytes = sum(2 + len(service.request) for service in whole)
    replied_bytes = sum(2 + service.reply_size for service in whole)
    least = max(math.ceil(asked_bytes / (limits.most - 8)), math.ceil(replied_bytes / (limits.most - 6)))
    assert len([packet for packet in packets if not packet.is_fragmented]) <= 2 * least + 1
