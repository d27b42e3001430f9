"""Decoding CIP replies into the signal table, beside pycomm3's decoder on the same bytes."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from pycomm3 import LogixDriver
from pycomm3.packets.logix import MultiServiceRequestPacket, ReadTagRequestPacket

from ext.table import SignalTable
from protocols.ethernet_ip.config import EthernetIpDevice
from protocols.ethernet_ip.plan import Limits, Packet, Planner
from protocols.simulated.ethernet_ip import datatypes as of
from protocols.simulated.ethernet_ip.datatypes import Structure
from protocols.simulated.ethernet_ip.predefined import string_type
from protocols.simulated.ethernet_ip.project import Project
from tests.benchmarks.decode import nanoseconds
from tests.benchmarks.result import Result
from tests.peers.logix_upload import from_upload
from tests.protocols.ethernet_ip.controller import CONNECTED_DATA, asked, exchanged, opened, stack_of

SCALARS = (of.DINT, of.REAL, of.BOOL, of.INT, of.DINT, of.REAL, of.DINT, of.SINT, of.LINT, of.LREAL)
SINGLE_TAGS, ELEMENTS, DRIVES, MEMBERS = 250, 900, 40, 7
TEXT = string_type("Label", 16)
DRIVE = Structure(
    "Drive", ("Run", of.BOOL), ("Fault", of.BOOL), ("Speed", of.REAL), ("Torque", of.REAL), ("Count", of.DINT),
    ("Code", of.INT), ("Order", TEXT),
)  # fmt: skip


class Line:
    """A project of which every value, or those of a few tags, differ from step to step."""

    def __init__(self, moving: float) -> None:
        self.step, chance = 0, random.Random(7)
        self.moves = [chance.random() < moving for _ in range(SINGLE_TAGS)]
        project = Project("bench")
        for number in range(SINGLE_TAGS):
            kind = SCALARS[number % len(SCALARS)]
            project.tag(f"Tag{number}", kind, lambda number=number, kind=kind: self.value(number, kind))
        project.tag("Array", of.DINT, lambda: [n + self.step for n in range(ELEMENTS)], ELEMENTS)
        project.tag("Drives", DRIVE, lambda: [self.drive(n) for n in range(DRIVES)], DRIVES)
        self.driver = opened(stack_of(project))

    def value(self, number: int, kind: of.Elementary) -> Any:
        moved = self.step if self.moves[number] else 0
        return moved % 2 == 1 if kind is of.BOOL else number % 90 + moved

    def drive(self, number: int) -> dict[str, Any]:
        step = self.step
        return {"Run": step % 2 == 1, "Fault": step % 2 == 0, "Speed": number + step, "Torque": number - step,
                "Count": 1000 * number + step, "Code": step, "Order": f"A{number}-{step}"}  # fmt: skip

    def replies(self, packet: Packet) -> list[bytes]:
        """What the controller answers at two steps."""
        found = []
        for self.step in (1, 2):
            found.append(exchanged(self.driver, packet.request))
        return found


class Ours:
    """A table, and the one packet that fills it."""

    def __init__(self, driver: LogixDriver, addresses: list[str]) -> None:
        self.addresses, signals = addresses, asked(addresses)
        self.table = SignalTable(signals)
        device = EthernetIpDevice.model_validate({"protocol": "ethernet_ip", "host": "h", "signals": signals})
        (self.packet,) = Planner(device, self.table, from_upload(driver.tags)).packets(Limits())
        for number in range(len(addresses)):
            self.table.forward(number)

    def decoding(self, replies: list[bytes]) -> Callable[[], object]:
        decode, (first, second) = self.packet.decode.decode, replies

        def work() -> None:
            decode(first)
            decode(second)

        return work

    def taking(self, replies: list[bytes]) -> Callable[[], object]:
        decode, take, (first, second) = self.packet.decode.decode, self.table.take, replies

        def work() -> None:
            decode(first)
            take()
            decode(second)
            take()

        return work


class Theirs:
    """pycomm3's packets for the same services."""

    def __init__(self, driver: LogixDriver, packet: Packet) -> None:
        requests = []
        for service in packet.services:
            count = int.from_bytes(service.request[-2:], "little")
            info = driver.get_tag_info(service.name)
            assert info is not None
            requests.append(ReadTagRequestPacket(driver._sequence, service.name, count, info, 0))
        self.is_single = len(requests) == 1
        self.request: Any = requests[0] if self.is_single else MultiServiceRequestPacket(driver._sequence, requests)

    def values(self, reply: bytes) -> list[Any]:
        """One a service."""
        frame = bytes(CONNECTED_DATA) + reply
        found = self.request.response_class(self.request, frame)
        return [found.value] if self.is_single else [one.value for one in found.responses]

    def decoding(self, replies: list[bytes]) -> Callable[[], object]:
        return lambda: [self.values(reply) for reply in replies]


def prove_alike(ours: Ours, theirs: Theirs, reply: bytes) -> None:
    """Both hold the same; to be called before anything is timed."""
    assert ours.packet.decode.decode(reply) == ()
    held = [ours.table.read(number)[1] for number in range(len(ours.addresses))]
    found = theirs.values(reply)
    flat = found[0] if theirs.is_single else found
    names = [member.name for member in DRIVE.members if not member.hidden]
    assert held == [value for one in flat for value in ([one[n] for n in names] if isinstance(one, dict) else [one])]


def measure() -> list[Result]:
    """Nanoseconds a value; each ratio is ours to pycomm3's on the same bytes."""
    all_move, few_move = Line(1.0), Line(0.1)
    single = [f"Tag{number}" for number in range(SINGLE_TAGS)]
    array = [f"Array[{number}]" for number in range(ELEMENTS)]
    members = [f"Drives[{n}].{m.name}" for n in range(DRIVES) for m in DRIVE.members if not m.hidden]
    results = []
    for words, line, addresses in (
        (f"{SINGLE_TAGS} single tags", all_move, single),
        (f"{SINGLE_TAGS} single tags of which a tenth move", few_move, single),
        (f"{ELEMENTS} elements of an array", all_move, array),
        (f"{DRIVES} structures of {MEMBERS} members", all_move, members),
    ):
        ours = Ours(line.driver, addresses)
        theirs, replies = Theirs(line.driver, ours.packet), line.replies(ours.packet)
        for reply in replies:
            prove_alike(ours, theirs, reply)
        same = [replies[1], replies[1]]
        mine, taken, unchanged, other = nanoseconds(
            (ours.decoding(replies), 200),
            (ours.taking(replies), 20),
            (ours.decoding(same), 200),
            (theirs.decoding(replies), 1),
        )
        a, b, c, d = (one / 2 / len(addresses) for one in (mine, taken, unchanged, other))
        results += [
            Result("cip", f"decode {words}", a, "ns/value"),
            Result("cip", f"pycomm3, the same reply: {words}", d, "ns/value", "ours", a / d),
            Result("cip", f"decode and take {words}", b, "ns/value"),
            Result("cip", f"decode {words}, sent again unchanged", c, "ns/value"),
        ]
    return results
