"""Objects that are read by their attributes: identity, program name, change counters, clock, and what a test adds."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from protocols.simulated.ethernet_ip.cip import Refused, Request, Service, Status
from protocols.simulated.ethernet_ip.project import Project

Attributes: TypeAlias = Mapping[int, bytes]
"""An instance's attributes by their numbers."""
ROCKWELL, LOGIX_CONTROLLER = 1, 14


class Mode(Enum):
    """Position of the keyswitch and the controller's mode, as bits 4 to 7 and 12 to 13 of the status word."""

    RUN = 0x1060
    PROGRAM = 0x2070
    REMOTE_RUN = 0x3060
    REMOTE_PROGRAM = 0x3070


class Fault(Enum):
    """Fault bits of the status word (CIP Volume 1, chapter 5, Identity object)."""

    MINOR_RECOVERABLE = 0x0100
    MINOR_UNRECOVERABLE = 0x0200
    MAJOR_RECOVERABLE = 0x0400
    MAJOR_UNRECOVERABLE = 0x0800


@dataclass(slots=True)
class Identity:
    """What the controller says of itself; mode and faults change while it runs."""

    name: str = "1756-L83E/B"
    product_code: int = 0xA6
    major: int = 32
    minor: int = 11
    serial: int = 0x00C0FFEE
    mode: Mode = Mode.REMOTE_RUN
    faults: tuple[Fault, ...] = ()

    @property
    def status(self) -> int:
        """The status word."""
        return self.mode.value | sum(fault.value for fault in self.faults)

    def attributes(self) -> Attributes:
        """Vendor, device type, product code, revision, status, serial number, product name: 1 to 7."""
        words = (ROCKWELL, LOGIX_CONTROLLER, self.product_code)
        made = {number: struct.pack("<H", word) for number, word in enumerate(words, 1)}
        made[4] = bytes((self.major, self.minor))
        made[5] = struct.pack("<H", self.status)
        made[6] = struct.pack("<I", self.serial)
        made[7] = bytes((len(self.name),)) + self.name.encode("ascii")
        return made


def symbol_attributes(project: Project, instance: int) -> Attributes | None:
    """Of a controller-scoped symbol."""
    symbol = project.controller.by_instance.get(instance)
    if symbol is None:
        return None
    found = {number: project.symbol_attribute(symbol, number) for number in range(1, 11)}
    return {number: value for number, value in found.items() if value is not None}


def template_attributes(project: Project, instance: int) -> Attributes | None:
    """Handle, member count, definition size in words, structure size in bytes: 1, 2, 4, 5."""
    structure = project.templates.get(instance)
    if structure is None:
        return None
    return {
        1: struct.pack("<H", structure.handle),
        2: struct.pack("<H", len(structure.members)),
        4: struct.pack("<I", structure.definition_words(project.template_of)),
        5: struct.pack("<I", structure.size),
    }


def change_attributes(project: Project) -> Attributes:
    """Class 0xAC, by which a client sees that its symbols are old (1756-PM020H, "How to detect changes")."""
    packed = [struct.pack(f"<{format_}", value) for format_, value in zip("HHIII", project.changes, strict=True)]
    return dict(zip((1, 2, 3, 4, 10), packed, strict=True))


def name_attributes(project: Project) -> Attributes:
    """Class 0x64: the name of the project."""
    return {1: struct.pack("<H", len(project.name)) + project.name.encode("ascii")}


def clock_attributes(utc_us: int) -> Attributes:
    """Class 0x8B: microseconds since 1970."""
    return {6: struct.pack("<Q", utc_us)}


def serve(request: Request, attributes: Attributes, attribute: int | None, room: int) -> tuple[int, bytes]:
    """Status and data of one of the three services that get attributes."""
    match request.service:
        case Service.GET_ATTRIBUTES_ALL:
            status, data = Status.SUCCESS, b"".join(attributes.values())
        case Service.GET_ATTRIBUTE_SINGLE:
            if attribute is None or attribute not in attributes:
                raise Refused(Status.ATTRIBUTE_NOT_SUPPORTED)
            status, data = Status.SUCCESS, attributes[attribute]
        case Service.GET_ATTRIBUTE_LIST:
            status, data = _list(request, attributes)
        case _:
            raise Refused(Status.SERVICE_NOT_SUPPORTED)
    if 4 + len(data) > room:
        raise Refused(Status.REPLY_TOO_LARGE)
    return status, data


def attribute_numbers(data: bytes) -> list[int]:
    """The numbers that a list of attributes asks for."""
    if len(data) < 2:
        raise Refused(Status.NOT_ENOUGH_DATA)
    (count,) = struct.unpack_from("<H", data)
    if len(data) < 2 + 2 * count:
        raise Refused(Status.LIST_TOO_SHORT)
    return list(struct.unpack_from(f"<{count}H", data, 2))


def _list(request: Request, attributes: Attributes) -> tuple[Status, bytes]:
    numbers, status = attribute_numbers(request.data), Status.SUCCESS
    parts = [struct.pack("<H", len(numbers))]
    for number in numbers:
        value = attributes.get(number)
        if value is None:
            status = Status.ATTRIBUTE_LIST_ERROR
            parts.append(struct.pack("<HH", number, Status.ATTRIBUTE_NOT_SUPPORTED))
        else:
            parts.append(struct.pack("<HH", number, Status.SUCCESS) + value)
    return status, b"".join(parts)
