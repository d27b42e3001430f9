"""The packets that read a device's signals: services packed into as few as the connection's size allows.

Sizes: a connected message is a sequence count of 2 bytes and the message router request or reply, both within the
size that Forward Open negotiated (CIP Volume 1, 3-5.5.1.1; Volume 2, 2-6).
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ext.cip import CipPlan, Packing
from ext.table import SignalTable
from protocols.ethernet_ip.allowed import MESSAGE_ROUTER, Service, read_request
from protocols.ethernet_ip.attributes import AttributeRead, EditionRead, attribute_read
from protocols.ethernet_ip.config import EthernetIpDevice
from protocols.ethernet_ip.places import Attribute, AttributePlace, Place, Placed, TagPlace
from protocols.ethernet_ip.reads import Read, Reads, Wanted
from protocols.ethernet_ip.resolve import Resolver, Unresolved
from protocols.ethernet_ip.types import Symbol
from protocols.model import Learned

SEQUENCE_COUNT = 2
"""Bytes of a connected message before its request or reply."""
LARGE, SMALL = 4000, 500
"""Sizes of connections: by Large Forward Open, and by Forward Open."""
_PACKET_HEAD = 8
"""Of the request of a Multiple Service Packet: service, path and count."""
_PACKET_REPLY_HEAD = 6
"""Of its reply: service, status and count."""
_OFFSET = 2

AnyRead: TypeAlias = Read | AttributeRead | EditionRead


@dataclass(frozen=True, slots=True)
class Limits:
    """What a connection bears: its size as Forward Open negotiated it, and what the controller knows."""

    size: int = LARGE
    multiple: bool = True
    """Whether it takes Multiple Service Packets."""
    by_instance: bool = True
    """Whether it reads tags by their instance of the Symbol class: firmware 21 and later."""

    @property
    def most(self) -> int:
        """Bytes of a request or a reply."""
        return self.size - SEQUENCE_COUNT


@dataclass(frozen=True, slots=True)
class Asked:
    """One service of a packet: its request, the most bytes of its reply, what it reads, and the signals in that."""

    request: bytes
    reply_size: int
    name: str
    signals: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Packet:
    """A message router request that is sent once a scan, and how its reply fills the table.

    `services` are in the order of `decode`'s numbers. A fragmented one is sent again, by `fragment`, for as long as
    `decode.received` is not 0 after a reply.
    """

    scan: int
    request: bytes
    reply_size: int
    """The most bytes of the reply, where nothing is refused."""
    services: tuple[Asked, ...]
    decode: CipPlan

    @property
    def is_fragmented(self) -> bool:
        """Whether the reply comes in several."""
        return self.decode.packing == Packing.FRAGMENTS

    def fragment(self, offset: int) -> bytes:
        """The request for the bytes from `offset` on; that for 0 is `request`."""
        return self.request[:-4] + struct.pack("<I", offset)


class Planner:
    """Resolves a device's signals against an upload, and plans the packets that read them; made anew for each upload.

    Defines each signal's kind in the table as it plans. Signals in `unresolved`, by number, are in no packet: the
    text says why. With `edition`, the data that EDITION_REQUEST brought before and after the upload, every packet that
    has room asks for it again, so that its values are of the project that was uploaded or none are believed; packets
    without are those of fragments and of one value that fills a packet, and all where there are none of several.
    """

    def __init__(
        self, device: EthernetIpDevice, table: SignalTable, symbols: Iterable[Symbol], edition: bytes | None = None
    ) -> None:
        self._device = device
        self._edition = None if edition is None else EditionRead(edition)
        self._table = table
        self._signals = list(device.signals.values())
        self.places: dict[int, Place] = {}
        self.unresolved: dict[int, str] = {}
        resolver = Resolver(symbols)
        for number, signal in enumerate(self._signals):
            try:
                self.places[number] = resolver.resolve(signal)
            except Unresolved as error:
                self.unresolved[number] = str(error)

    def learned(self) -> dict[int, Learned]:
        """The type of each signal that was found, for the first batch of a connection."""
        return {number: Learned(place.wire) for number, place in self.places.items()}

    def packets(self, limits: Limits, apart: Collection[int] = ()) -> list[Packet]:
        """The packets of all scan classes, each signal in one service of one of them.

        Signals in `apart`, by number, have a service each, with nothing else in it: so that what a controller refuses
        takes nothing from its neighbours.
        """
        found: list[Packet] = []
        for scan, (_, numbers) in enumerate(self._device.scan_classes):
            known = [number for number in numbers if number in self.places]
            found += self._scan(scan, known, limits, apart)
        return found

    def _scan(self, scan: int, numbers: Sequence[int], limits: Limits, apart: Collection[int]) -> list[Packet]:
        room = limits.most
        if self._edition is not None and limits.multiple:
            room -= _PACKET_REPLY_HEAD + 2 * _OFFSET + self._edition.reply_size
        keeps_shape = self._edition is not None
        reads = Reads(limits.most, room, by_instance=limits.by_instance, keeps_shape=keeps_shape)
        tags = [Wanted(number, place) for number in numbers if isinstance(place := self.places[number], TagPlace)]
        attributes: dict[Attribute, list[tuple[int, AttributePlace]]] = {}
        for number in numbers:
            if isinstance(place := self.places[number], AttributePlace):
                attributes.setdefault(place.attribute, []).append((number, place))
        services: list[AnyRead] = [*reads.together(one for one in tags if one.number not in apart)]
        services += [reads.alone(one) for one in tags if one.number in apart]
        services += [self._attribute(attribute, several) for attribute, several in attributes.items()]
        return [self._packet(scan, several, limits) for several in packed(services, limits, self._edition)]

    def _attribute(self, attribute: Attribute, several: Sequence[tuple[int, AttributePlace]]) -> AttributeRead:
        most = max(self._signals[number].length for number, _ in several)
        return attribute_read(attribute, several, most)

    def _packet(self, scan: int, services: Sequence[AnyRead], limits: Limits) -> Packet:
        asked = tuple(
            Asked(one.request, one.reply_size, one.name, tuple(sorted(placed.number for placed in one.placed)))
            for one in services
        )
        if len(services) > 1:
            packing, request = Packing.MULTIPLE, multiple_service_packet([one.request for one in asked])
            size = _PACKET_REPLY_HEAD + sum(_OFFSET + one.reply_size for one in asked)
        else:
            packing, request, size = Packing.SINGLE, asked[0].request, asked[0].reply_size
        if size > limits.most and isinstance(services[0], Read):
            packing, request, size = Packing.FRAGMENTS, services[0].fragmented_request, limits.most
        decode = CipPlan(self._table, packing)
        for one in services:
            number = one.declare(decode)
            for placed in one.placed:
                self._add(decode, number, placed)
        return Packet(scan, request, size, asked, decode)

    def _add(self, decode: CipPlan, service: int, placed: Placed) -> None:
        signal = self._signals[placed.number]
        first, last = signal.bits or (0, -1)
        decode.add(
            placed.number,
            service,
            placed.at,
            placed.wire,
            bit=first,
            width=last - first + 1 if signal.bits and not placed.any_of else 0,
            any_of=placed.any_of,
            scale=signal.scale,
            offset=signal.offset,
            capacity=placed.capacity,
            prefix=placed.prefix or 4,
            skip=placed.skip or 4,
            most=signal.length,
            invalid=signal.invalid,
        )


def multiple_service_packet(requests: Sequence[bytes]) -> bytes:
    """Several requests as one (CIP Volume 1, A-4.10): count, where each begins from there, and the requests."""
    offsets, place = [], 2 + _OFFSET * len(requests)
    for one in requests:
        offsets.append(place)
        place += len(one)
    table = struct.pack(f"<{1 + len(offsets)}H", len(offsets), *offsets)
    return read_request(Service.MULTIPLE_SERVICE_PACKET, MESSAGE_ROUTER, table + b"".join(requests))


def packed(services: Sequence[AnyRead], limits: Limits, every: AnyRead | None = None) -> list[list[AnyRead]]:
    """Services by packet: the largest first, each into the first packet whose request and reply have room for it.

    `every` ends each packet that has room for it. A service that does not fit beside any other is alone, and so is
    each where there are no packets of several. They keep their order within a packet as far as that goes.
    """
    room_asked, room_replied = limits.most - _PACKET_HEAD, limits.most - _PACKET_REPLY_HEAD
    if every is not None:
        room_asked -= every.request_size + _OFFSET
        room_replied -= every.reply_size + _OFFSET
    order = {id(one): place for place, one in enumerate(services)}
    packets: list[list[AnyRead]] = []
    left: list[tuple[int, int]] = []
    for one in sorted(services, key=lambda one: -max(one.request_size / room_asked, one.reply_size / room_replied)):
        asked, replied = one.request_size + _OFFSET, one.reply_size + _OFFSET
        found = next((n for n, (ask, reply) in enumerate(left) if asked <= ask and replied <= reply), None)
        if found is None:
            packets.append([one])
            left.append((room_asked - asked, room_replied - replied) if limits.multiple else (-1, -1))
        else:
            packets[found].append(one)
            left[found] = (left[found][0] - asked, left[found][1] - replied)
    for several, (ask, reply) in zip(packets, left, strict=True):
        several.sort(key=lambda one: order[id(one)])
        if every is not None and ask >= 0 and reply >= 0:
            several.append(every)
    return sorted(packets, key=lambda several: order[id(several[0])])
