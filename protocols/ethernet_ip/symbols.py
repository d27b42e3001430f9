"""Uploads symbols and the templates they need, over our own link (1756-PM020, "CIP services and user-created tags").

Only what a configuration names is uploaded whole: a controller has hundreds of templates and a dozen programs, and a
line needs few of them.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ext.table import DecodeError
from protocols.ethernet_ip.address import TagAddress
from protocols.ethernet_ip.allowed import Service, read_request
from protocols.ethernet_ip.controller import Identity
from protocols.ethernet_ip.epath import CLASS, INSTANCE, SYMBOL_CLASS, logical, symbolic
from protocols.ethernet_ip.link import EipLink
from protocols.ethernet_ip.reply import Reader
from protocols.ethernet_ip.status import PARTIAL_TRANSFER, SUCCESS
from protocols.ethernet_ip.templates import STRUCTURE, Templates, elementary
from protocols.ethernet_ip.types import DataType, Symbol, Template

NAME, TYPE, CONTROL, DIMENSIONS, ACCESS = 1, 2, 6, 8, 10
_SYSTEM = 0x1000
_NO_ACCESS = 3
_IS_BASE = 1 << 26
"""Of the attribute that tells aliases: the tag is none."""
_MOST_PAGES = 10_000
_UNSEEN = Template("a structure", 0, 0, ())
"""The type of symbols that nobody asks for."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A symbol as it is listed; `type` is the raw word, `is_system` what the programming software shows to nobody."""

    name: str
    instance_id: int
    type: int
    dimensions: tuple[int, ...]
    readable: bool
    is_system: bool = False
    is_alias: bool = False


async def list_symbols(link: EipLink, identity: Identity, wanted: Collection[TagAddress]) -> list[Symbol] | None:
    """The controller's symbols and those of the programs that are named; None where it lists none.

    Types are looked up for those that `wanted` names. Raises NotConnected, and DecodeError for what is no list.
    """
    entries = await list_scope(link, identity, None)
    if entries is None:
        return None
    for program in sorted({one.program.lower(): one.program for one in wanted if one.program is not None}.values()):
        entries += await list_scope(link, identity, program) or []
    names = {_full_name(one.program, one.steps[0].name).lower() for one in wanted}
    templates = Templates(link)
    found = []
    for entry in entries:
        if entry.is_system:
            continue
        kind: DataType | None
        if not entry.type & STRUCTURE:
            kind = elementary(entry.type)
        elif entry.name.lower() in names:
            kind = await _structure(templates, entry)
        else:
            kind = _UNSEEN
        if kind is not None:
            found.append(Symbol(entry.name, entry.instance_id, kind, entry.dimensions, entry.readable))
    return found


async def _structure(templates: Templates, entry: Entry) -> Template:
    """The type of a tag; where it cannot be uploaded one without members, which costs those alone who ask for them."""
    try:
        return await templates.get(entry.type)
    except DecodeError as error:
        return Template(f"structure that the controller does not describe ({error})", 0, 0, ())


def _full_name(program: str | None, name: str) -> str:
    return name if program is None else f"Program:{program}.{name}"


async def list_scope(
    link: EipLink, identity: Identity, program: str | None, *, with_aliases: bool = False
) -> list[Entry] | None:
    """All symbols of the controller or of a program, page by page; None where they cannot be listed.

    Which are aliases is known only `with_aliases`. Raises NotConnected and DecodeError.
    """
    control = (CONTROL,) if with_aliases else ()
    attributes = (NAME, TYPE, *control, DIMENSIONS, *((ACCESS,) if identity.has_access else ()))
    prefix = b"" if program is None else symbolic(f"Program:{program}")
    data = struct.pack(f"<{1 + len(attributes)}H", len(attributes), *attributes)
    entries: list[Entry] = []
    begin = 0
    for _ in range(_MOST_PAGES):
        path = prefix + logical(CLASS, SYMBOL_CLASS) + logical(INSTANCE, begin)
        reply = await link.call(read_request(Service.GET_INSTANCE_ATTRIBUTE_LIST, path, data))
        if reply.status not in (SUCCESS, PARTIAL_TRANSFER):
            return None
        page = list(_page(reply.data, program, attributes))
        entries += page
        if reply.status == SUCCESS:
            return entries
        if not page or page[-1].instance_id < begin:
            break
        begin = page[-1].instance_id + 1
    raise DecodeError("the list of symbols has no end", 0)


def _page(data: bytes, program: str | None, attributes: Collection[int]) -> Iterable[Entry]:
    read = Reader(data)
    while read.left:
        instance, name, kind = read.uint(4), read.text(2), read.uint(2)
        is_alias = CONTROL in attributes and not read.uint(4) & _IS_BASE
        dimensions = tuple(read.uint(4) for _ in range(3))[: kind >> 13 & 3]
        readable = ACCESS not in attributes or read.uint(1) & 3 != _NO_ACCESS
        is_system = bool(kind & _SYSTEM) or name.startswith("__")
        yield Entry(_full_name(program, name), instance, kind, dimensions, readable, is_system, is_alias)
