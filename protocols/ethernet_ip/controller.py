"""What the device at the end of a link says that it is: its Identity object (CIP Volume 1, 5-2)."""

from __future__ import annotations

from dataclasses import dataclass

from ext.table import DecodeError
from protocols.driver import NotConnected
from protocols.ethernet_ip.allowed import Service, read_request
from protocols.ethernet_ip.epath import CLASS, INSTANCE, attribute_path, logical
from protocols.ethernet_ip.identity import IDENTITY_CLASS, IDENTITY_INSTANCE, STATUS_ATTRIBUTE
from protocols.ethernet_ip.link import EipLink
from protocols.ethernet_ip.reply import Reader
from protocols.ethernet_ip.status import CONNECTION_FAILURE, SUCCESS

IDENTITY_REQUEST = read_request(
    Service.GET_ATTRIBUTES_ALL, logical(CLASS, IDENTITY_CLASS) + logical(INSTANCE, IDENTITY_INSTANCE)
)
STATUS_REQUEST = read_request(
    Service.GET_ATTRIBUTE_SINGLE, attribute_path(IDENTITY_CLASS, IDENTITY_INSTANCE, STATUS_ATTRIBUTE)
)
"""Any device answers it: what keeps a connection alive."""
_ROCKWELL, _PROGRAMMABLE_CONTROLLER = 1, 14
_FIRST_WITH_INSTANCES, _FIRST_WITH_ACCESS = 21, 18


@dataclass(frozen=True, slots=True)
class Identity:
    """Vendor and device type by their numbers, revision, and name."""

    vendor: int = 0
    type: int = 0
    major: int = 0
    minor: int = 0
    serial: int = 0
    name: str = ""

    @property
    def is_logix(self) -> bool:
        """Whether it is a controller whose project has symbols and templates."""
        return self.vendor == _ROCKWELL and self.type == _PROGRAMMABLE_CONTROLLER

    @property
    def has_instances(self) -> bool:
        """Whether it reads tags by their instance of the Symbol class (1756-PM020, "Services supported")."""
        return self.is_logix and self.major >= _FIRST_WITH_INSTANCES

    @property
    def has_access(self) -> bool:
        """Whether its symbols have the attribute External Access."""
        return self.is_logix and self.major >= _FIRST_WITH_ACCESS


async def identify(link: EipLink) -> Identity:
    """The identity; one that says nothing where the device refuses to tell it. Raises NotConnected."""
    reply = await link.call(IDENTITY_REQUEST)
    if reply.status == CONNECTION_FAILURE:
        raise NotConnected(f"no way to the controller: {reply.why}", "check `slot` and `route`")
    if reply.status != SUCCESS:
        return Identity()
    read = Reader(reply.data)
    try:
        vendor, kind, _, major, minor, _, serial = (read.uint(size) for size in (2, 2, 2, 1, 1, 2, 4))
        return Identity(vendor, kind, major, minor, serial, read.text(1))
    except DecodeError:
        return Identity()
