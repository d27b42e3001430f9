"""The way from the host to the controller: ports and link addresses (CIP Volume 1, C-1.4.1, port segments)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from protocols.settings import shown

BACKPLANE, ETHERNET = 1, 2
_PORTS = {"backplane": BACKPLANE, "bp": BACKPLANE, "ip": ETHERNET, "enet": ETHERNET}
_NAMES = {BACKPLANE: "backplane", ETHERNET: "ip"}
_ADDRESSED = ("ip", "enet")
"""Names of ports behind which are IP addresses and no numbers."""
_MAX_PORT = 14
_EXAMPLE = "backplane/2/ip/10.1.1.5"


@dataclass(frozen=True, slots=True)
class Hop:
    """Out of a module through `port`, to `link` there: a slot, a node or an IP address."""

    port: int
    link: int | str

    def __str__(self) -> str:
        is_named = isinstance(self.link, str) == (self.port == ETHERNET)
        return f"{_NAMES.get(self.port, self.port) if is_named else self.port}/{self.link}"

    def segment(self) -> bytes:
        """The port segment, padded to a whole number of words."""
        if isinstance(self.link, int):
            return bytes((self.port, self.link))
        link = self.link.encode("ascii")
        return bytes((0x10 | self.port, len(link))) + link + b"\0" * (len(link) % 2)


def parse_route(text: str) -> tuple[Hop, ...]:
    """Hops written as port and address in turn: `backplane/2/ip/10.1.1.5`; a port may be its number.

    Raises ValueError in words for anything else.
    """
    pieces = [piece.strip() for piece in text.strip().split("/")]
    if len(pieces) % 2 or not all(pieces):
        words = "a route is port and address in turn, from the host to the chassis of the controller"
        raise ValueError(f"{shown(text)}: {words}, for example {_EXAMPLE}; its slot there is `slot`")
    return tuple(_hop(text, port, link) for port, link in zip(pieces[::2], pieces[1::2], strict=True))


def _hop(text: str, port: str, link: str) -> Hop:
    number = _PORTS.get(port.lower())
    if number is None and port.isascii() and port.isdigit() and 1 <= int(port[:3]) <= _MAX_PORT:
        number = int(port)
    if number is None:
        raise ValueError(
            f"{shown(text)}: {shown(port)} is no port; it is backplane, ip, or a number from 1 to {_MAX_PORT}"
        )
    if link.isascii() and link.isdigit() and port.lower() not in _ADDRESSED:
        if int(link[:4]) > 255:
            raise ValueError(f"{shown(text)}: a slot or node is 0 to 255, not {shown(link)}")
        return Hop(number, int(link))
    if number == BACKPLANE:
        raise ValueError(f"{shown(text)}: a backplane leads to a slot, a number from 0 to 255, not to {shown(link)}")
    try:
        return Hop(number, str(ipaddress.IPv4Address(link)))
    except ValueError:
        raise ValueError(f"{shown(text)}: {shown(link)} is no IP address like 10.1.1.5") from None
