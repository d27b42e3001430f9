"""What an EtherNet/IP device may say in the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator

from protocols.device import DeviceSettings, SignalSettings
from protocols.ethernet_ip.route import BACKPLANE, Hop, parse_route
from protocols.ethernet_ip.signal import CipSignal as CipSignal
from protocols.ethernet_ip.signal import ObjectAddress as ObjectAddress
from protocols.host import Host
from protocols.settings import Keyed, Name, counted, shown

PORT = 44818


def _a_slot(written: object) -> object:
    """What is written, where it is a slot: one complaint in place of one for each kind that it could be."""
    if written == "none" or (isinstance(written, int) and not isinstance(written, bool) and 0 <= written <= 255):
        return written
    raise ValueError(
        f"{shown(written)} is no slot; it is a number from 0 to 255, or none for a device without a chassis"
    )


class EthernetIpDevice(DeviceSettings):
    """A controller of the Logix family, or another device with CIP objects."""

    protocol: Literal["ethernet_ip"] = Field(examples=["ethernet_ip"])
    """EtherNet/IP (CIP Volume 2), with explicit messages over TCP."""
    host: Host
    """Name or IP address of the controller, or of the module through which it is reached."""
    port: int = Field(default=PORT, ge=1, le=65535)
    """TCP port."""
    route: str | None = Field(default=None, max_length=200, examples=["backplane/2/ip/10.1.1.5"])
    """Ports and addresses in turn, from the host to the chassis of the controller: `backplane/2/ip/10.1.1.5` goes
    out through the module in slot 2 to the one at 10.1.1.5. Other ports are written by number."""
    slot: Annotated[Annotated[int, Field(ge=0, le=255)] | Literal["none"], BeforeValidator(_a_slot)] = 0
    """Slot of the controller in its chassis, the one at the end of the route; 0 for CompactLogix. `none` for a device
    without a chassis, such as a drive."""
    signals: Annotated[Keyed[Name, CipSignal], Field(min_length=1)] = Field(
        examples=['{running: {tag: "Labeler_Running"}}']
    )
    """The signals by name."""

    @field_validator("route")
    @classmethod
    def _check_route(cls, route: str | None) -> str | None:
        if route is not None:
            parse_route(route)
        return route

    @property
    def path(self) -> tuple[Hop, ...]:
        """All hops from the host to the controller, its slot last."""
        hops = parse_route(self.route) if self.route is not None else ()
        return hops if isinstance(self.slot, str) else (*hops, Hop(BACKPLANE, self.slot))

    @property
    def endpoint(self) -> str:
        """Host, port and path: each controller has a connection of its own."""
        return "/".join((f"{self.host}:{self.port}", *map(str, self.path)))

    @property
    def transport(self) -> Mapping[str, object]:
        """The protocol alone."""
        return {"protocol": self.protocol}

    def asks(self, interval_ms: int, signals: int) -> str:
        """Packets, whose number follows from the controller's types and the size of its connection."""
        return f"{counted(signals, 'tag')}, packed into as few packets as the connection's size allows"

    @property
    def signal_settings(self) -> Mapping[str, SignalSettings]:
        """The signals by name, in the order of the file."""
        return self.signals
