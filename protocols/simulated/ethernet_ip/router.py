"""The message router: every CIP service that reads, and a refusal with a record for all others."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from protocols.simulated.ethernet_ip import objects, reading
from protocols.simulated.ethernet_ip.cip import (
    CLASSES,
    Class,
    Kind,
    Refused,
    Request,
    Segment,
    Service,
    Status,
    refusal,
    reply,
    segments,
)
from protocols.simulated.ethernet_ip.datatypes import BOOL
from protocols.simulated.ethernet_ip.objects import Attributes, Identity
from protocols.simulated.ethernet_ip.project import Project
from protocols.simulated.ethernet_ip.reading import Place

FIRST_WITH_INSTANCES = 21
"""Major revision from which tags are read by their symbol instances (1756-PM020H, "Services Supported")."""
FIRST_WITH_ONE_AS_TRUE = 30
"""Major revision from which a true BOOL is read as 1; before, as 0xFF (1756-PM020H, "Read Tag Service")."""
_ATTRIBUTE_SERVICES = (Service.GET_ATTRIBUTES_ALL, Service.GET_ATTRIBUTE_LIST, Service.GET_ATTRIBUTE_SINGLE)
_TAG_SERVICES = (Service.READ_TAG, Service.READ_TAG_FRAGMENTED)
_IN_PROJECT = (Class.PROGRAM_NAME, Class.SYMBOL, Class.TEMPLATE, Class.CHANGES)
_PATHS_KEPT = 100_000
_NAMES = {int(service): service.name.lower() for service in Service}
_ALLOWED = frozenset((b"", *(bytes((service,)) for service in Service)))
_CLOSE = bytes((Service.FORWARD_CLOSE,))
_MANAGER = bytes((Kind.CLASS, Class.CONNECTION_MANAGER))


@dataclass(frozen=True, slots=True)
class Violation:
    """A service outside the allow-list, which is `cip.Service` where it reads."""

    request: bytes
    """The message router request, service code first."""

    def __str__(self) -> str:
        return f"service {self.request[:1].hex()}: {self.request.hex(' ')}"


@dataclass(slots=True)
class Router:
    """Answers requests from the project that is loaded; `utc_us` is the wall clock of class 0x8B."""

    project: Project
    identity: Identity
    utc_us: Callable[[], int]
    objects: dict[tuple[int, int], Callable[[], Attributes]] = field(default_factory=dict)
    """Further objects by class and instance, as drives and the like have them."""
    violations: list[Violation] = field(default_factory=list)
    services: Counter[str] = field(default_factory=Counter)
    """How often each service was asked for; those in a Multiple Service Packet count as well."""
    refuses_multiple: bool = False
    is_unloaded: bool = False
    """A download is under way: nothing of the project is there."""
    failing: dict[str, int] = field(default_factory=dict)
    """General status that reading a tag gets, by its name in lower case."""

    def answer(self, message: bytes, room: int) -> bytes:
        """The reply, of at most `room` bytes."""
        service = message[0] if message else 0
        self.services[_NAMES.get(service) or f"{service:#04x}"] += 1
        if _is_forbidden(message):
            self.violations.append(Violation(message))
            return refusal(service, Refused(Status.SERVICE_NOT_SUPPORTED))
        try:
            request = Request.parse(message)
            known = self.project.paths.get(request.path) if service in _TAG_SERVICES and not self.is_unloaded else None
            if known is not None:
                status, data = self._read(known, request, room)
            elif service == Service.MULTIPLE_SERVICE_PACKET:
                status, data = self._multiple(request, room)
            else:
                status, data = self._serve(request, segments(request.path), room)
        except Refused as refused:
            return refusal(service, refused)
        return reply(service, data, status)

    def _serve(self, request: Request, path: list[Segment], room: int) -> tuple[int, bytes]:
        number = [segment.number for segment in path if segment.kind is not Kind.SYMBOL]
        is_class = bool(path) and path[0].kind is Kind.CLASS
        if self.is_unloaded and (not is_class or number[0] in _IN_PROJECT):
            raise Refused(Status.PATH_DESTINATION_UNKNOWN, 0)
        if request.service == Service.GET_INSTANCE_ATTRIBUTE_LIST:
            return self._symbols(request, path, room)
        if request.service in _ATTRIBUTE_SERVICES:
            if not is_class or len(path) < 2 or path[1].kind is not Kind.INSTANCE:
                raise Refused(Status.PATH_DESTINATION_UNKNOWN, 0)
            attributes = self._attributes(number[0], number[1])
            attribute = number[2] if len(path) > 2 and path[2].kind is Kind.ATTRIBUTE else None
            return objects.serve(request, attributes, attribute, room)
        if request.service == Service.READ_TAG and is_class and number[0] == Class.TEMPLATE:
            return self._template(request, number[1] if len(number) > 1 else 0, room)
        if request.service in _TAG_SERVICES and (not is_class or number[0] == Class.SYMBOL):
            return self._read(self._find(request, path), request, room)
        if is_class and number[0] not in CLASSES:
            raise Refused(Status.PATH_DESTINATION_UNKNOWN, 0)
        raise Refused(Status.SERVICE_NOT_SUPPORTED)

    def _find(self, request: Request, path: list[Segment]) -> Place:
        by_instance = any(segment.kind is Kind.CLASS for segment in path)
        if by_instance and self.identity.major < FIRST_WITH_INSTANCES:
            raise Refused(Status.PATH_DESTINATION_UNKNOWN, 0)
        place = reading.find(self.project, path)
        if len(self.project.paths) >= _PATHS_KEPT:
            self.project.paths.clear()
        self.project.paths[request.path] = place
        return place

    def _read(self, place: Place, request: Request, room: int) -> tuple[int, bytes]:
        if self.failing and place.symbol.name.lower() in self.failing:
            raise Refused(self.failing[place.symbol.name.lower()])
        read = reading.read_tag if request.service == Service.READ_TAG else reading.read_fragment
        status, data = read(place, request, room)
        if place.type is BOOL and self.identity.major < FIRST_WITH_ONE_AS_TRUE:
            return status, data[:2] + bytes(0xFF * one for one in data[2:])
        return status, data

    def _attributes(self, class_id: int, instance: int) -> Attributes:
        further = self.objects.get((class_id, instance))
        found: Attributes | None = None if further is None else further()
        match class_id, instance:
            case Class.SYMBOL, _:
                found = objects.symbol_attributes(self.project, instance)
            case Class.TEMPLATE, _:
                found = objects.template_attributes(self.project, instance)
            case Class.IDENTITY, 1:
                found = self.identity.attributes()
            case Class.PROGRAM_NAME, 1:
                found = objects.name_attributes(self.project)
            case Class.CHANGES, 1:
                found = objects.change_attributes(self.project)
            case Class.WALL_CLOCK, 1:
                found = objects.clock_attributes(self.utc_us())
        if found is None:
            raise Refused(Status.PATH_DESTINATION_UNKNOWN, 0)
        return found

    def _symbols(self, request: Request, path: list[Segment], room: int) -> tuple[int, bytes]:
        """From an instance on, as many as fit: Get Instance Attribute List of the Symbol object."""
        scope, path = reading.scope_of(self.project, path)
        if len(path) != 2 or path[0] != Segment(Kind.CLASS, Class.SYMBOL) or path[1].kind is not Kind.INSTANCE:
            raise Refused(Status.PATH_DESTINATION_UNKNOWN, 0)
        numbers = objects.attribute_numbers(request.data)
        parts: list[bytes] = []
        left = room - reading.REPLY_HEADER
        for instance, symbol in scope.by_instance.items():
            if instance < path[1].number:
                continue
            values = [self.project.symbol_attribute(symbol, number) for number in numbers]
            if None in values:
                raise Refused(Status.ATTRIBUTE_NOT_SUPPORTED)
            entry = struct.pack("<I", instance) + b"".join(value for value in values if value is not None)
            if len(entry) > left:
                if not parts:
                    raise Refused(Status.REPLY_TOO_LARGE)
                return Status.PARTIAL_TRANSFER, b"".join(parts)
            parts.append(entry)
            left -= len(entry)
        return Status.SUCCESS, b"".join(parts)

    def _template(self, request: Request, instance: int, room: int) -> tuple[int, bytes]:
        """Bytes of a definition, from an offset on."""
        structure = self.project.templates.get(instance)
        if structure is None:
            raise Refused(Status.PATH_DESTINATION_UNKNOWN, 0)
        if len(request.data) < 6:
            raise Refused(Status.NOT_ENOUGH_DATA)
        offset, wanted = struct.unpack_from("<IH", request.data)
        data = structure.definition(self.project.template_of)[offset : offset + wanted]
        most = room - reading.REPLY_HEADER
        return (Status.SUCCESS, data) if len(data) <= most else (Status.PARTIAL_TRANSFER, data[:most])

    def _multiple(self, request: Request, room: int) -> tuple[int, bytes]:
        """Each request in turn, with the room that it leaves for an error of each that follows."""
        if self.refuses_multiple or segments(request.path)[:1] != [Segment(Kind.CLASS, Class.MESSAGE_ROUTER)]:
            raise Refused(Status.SERVICE_NOT_SUPPORTED)
        embedded = _embedded(request.data)
        replies: list[bytes] = []
        left = room - reading.REPLY_HEADER - 2 - 2 * len(embedded)
        for place, message in enumerate(embedded):
            kept = reading.REPLY_HEADER * (len(embedded) - place - 1)
            replies.append(self.answer(message, max(reading.REPLY_HEADER, left - kept)))
            left -= len(replies[-1])
        if left < 0:
            raise Refused(Status.REPLY_TOO_LARGE)
        offset, offsets = 2 + 2 * len(replies), []
        for one in replies:
            offsets.append(offset)
            offset += len(one)
        data = struct.pack(f"<H{len(offsets)}H", len(offsets), *offsets) + b"".join(replies)
        failed = any(one[2] for one in replies)
        return (Status.EMBEDDED_SERVICE_ERROR if failed else Status.SUCCESS), data


def leads_to_manager(message: bytes) -> bool:
    """Whether the path of a request leads to the connection manager."""
    return message[2:4] == _MANAGER


def _is_forbidden(message: bytes) -> bool:
    """Whether its service is outside the allow-list, whatever else is wrong with it."""
    # The code of Forward Close is that of Read-Modify-Write where the path leads to a tag.
    return message[:1] not in _ALLOWED or (message[:1] == _CLOSE and not leads_to_manager(message))


def _embedded(data: bytes) -> list[bytes]:
    if len(data) < 2:
        raise Refused(Status.NOT_ENOUGH_DATA)
    (count,) = struct.unpack_from("<H", data)
    if not count or len(data) < 2 + 2 * count:
        raise Refused(Status.NOT_ENOUGH_DATA)
    begins = list(struct.unpack_from(f"<{count}H", data, 2))
    ends = [*begins[1:], len(data)]
    if any(begin >= end for begin, end in zip(begins, ends, strict=True)):
        raise Refused(Status.NOT_ENOUGH_DATA)
    return [data[begin:end] for begin, end in zip(begins, ends, strict=True)]
