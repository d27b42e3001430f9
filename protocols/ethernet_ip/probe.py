"""Types of tags in a controller that lists no symbols: each tag's first value is read, and its reply names the type.

Only elementary types can be known so; a structure's reply says a handle, and nothing of its members.
"""

from __future__ import annotations

import struct
from collections.abc import Collection

from protocols.ethernet_ip.address import TagAddress
from protocols.ethernet_ip.allowed import Service, read_request
from protocols.ethernet_ip.epath import elements, symbol_path
from protocols.ethernet_ip.link import EipLink
from protocols.ethernet_ip.status import SUCCESS
from protocols.ethernet_ip.types import BITS_A_DWORD, BY_CODE, DWORD, Symbol


async def probe(link: EipLink, wanted: Collection[TagAddress]) -> list[Symbol]:
    """The tags that are there, as large as the configuration takes them for. Raises NotConnected."""
    found: list[Symbol] = []
    for name, several in _by_name(wanted).items():
        first = max((one.steps[0].indices for one in several), key=len)
        path = symbol_path(name, None) + elements((0,) * len(first))
        reply = await link.call(read_request(Service.READ_TAG, path, struct.pack("<H", 1)))
        kind = BY_CODE.get(int.from_bytes(reply.data[:2], "little"))
        if reply.status != SUCCESS or kind is None or len(reply.data) < 2:
            continue
        lengths = [1 + max(one.steps[0].indices[place] for one in several if one.steps[0].indices)
                   for place in range(len(first))]  # fmt: skip
        if kind == DWORD and len(lengths) == 1:
            lengths = [lengths[0] // BITS_A_DWORD + 1]
        found.append(Symbol(name, 0, kind, tuple(lengths)))
    return found


def _by_name(wanted: Collection[TagAddress]) -> dict[str, list[TagAddress]]:
    """Addresses that can be of elementary tags, by the tag's name with its program."""
    names: dict[str, list[TagAddress]] = {}
    for one in wanted:
        if len(one.steps) == 1:
            scope = f"Program:{one.program}." if one.program is not None else ""
            names.setdefault(scope + one.steps[0].name, []).append(one)
    return names
