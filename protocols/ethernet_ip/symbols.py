"""Uploads symbols and the templates they need, over our own link (1756-PM020, "CIP services and user-created tags").

Only what a configuration names is uploaded whole: a controller has hundreds of templates and a dozen programs, and a
line needs few of them.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from ext.table import DecodeError
from protocols.ethernet_ip.address import TagAddress
from protocols.ethernet_ip.allowed import Service, read_request
from protocols.ethernet_ip.controller import Identity
from protocols.ethernet_ip.epath import CLASS, INSTANCE, SYMBOL_CLASS, logical, symbolic
from protocols.ethernet_ip.link import EipLink
from protocols.ethernet_ip.reply import Reader
from protocols.ethernet_ip.status import FOR_GOOD, PARTIAL_TRANSFER, SUCCESS
from protocols.ethernet_ip.templates import STRUCTURE, NotTold, Templates, Unfinished, elementary, is_name
from protocols.ethernet_ip.types import DataType, Symbol, Template

NAME, TYPE, CONTROL, DIMENSIONS, ACCESS = 1, 2, 6, 8, 10
_SYSTEM = 0x1000
_NO_ACCESS = 3
_IS_BASE = 1 << 26
"""Of the attribute that tells aliases: the tag is none."""
_MOST_SYMBOLS = 200_000
"""Of one scope: several times what the memory of the largest controller has room for."""
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


@dataclass(slots=True)
class Listed:
    """What has been listed of one scope."""

    entries: list[Entry] = field(default_factory=list)
    begin: int = 0
    """The instance from which on the next page is asked."""
    is_over: bool = False
    """Whether all is listed, or was refused for good."""


class Progress:
    """What an upload has so far, so that one that takes long goes on where it stopped."""

    def __init__(self, link: EipLink) -> None:
        self.templates = Templates(link)
        self.is_whole = True
        """Whether nothing was refused that may be told a moment later."""
        self._scopes: dict[str | None, Listed] = {}

    def scope(self, program: str | None) -> Listed:
        """Of the controller or a program."""
        return self._scopes.setdefault(program, Listed())


async def list_symbols(
    link: EipLink, identity: Identity, wanted: Collection[TagAddress], progress: Progress | None = None
) -> list[Symbol] | None:
    """The controller's symbols and those of the programs that are named; None where it lists none.

    Types are looked up for those that `wanted` names. Raises NotConnected, DecodeError for what is no list, and
    Unfinished.
    """
    progress = progress or Progress(link)
    progress.is_whole = True
    until = progress.templates.until
    entries = await list_scope(link, identity, None, listed=progress.scope(None), until=until)
    if entries is None:
        return None
    for program in sorted({one.program.lower(): one.program for one in wanted if one.program is not None}.values()):
        scope = progress.scope(program)
        entries = [*entries, *(await list_scope(link, identity, program, listed=scope, until=until) or ())]
        progress.is_whole &= scope.is_over
    names = {_full_name(one.program, one.steps[0].name).lower() for one in wanted}
    found = []
    for entry in entries:
        if entry.is_system:
            continue
        kind: DataType | None
        if not entry.type & STRUCTURE:
            kind = elementary(entry.type)
        elif entry.name.lower() in names:
            kind = await _structure(progress, entry)
        else:
            kind = _UNSEEN
        if kind is not None:
            found.append(Symbol(entry.name, entry.instance_id, kind, entry.dimensions, entry.readable))
    return found


async def _structure(progress: Progress, entry: Entry) -> Template:
    """The type of a tag; where it cannot be uploaded one without members, which costs those alone who ask for them."""
    try:
        return await progress.templates.get(entry.type)
    except DecodeError as error:
        progress.is_whole &= not isinstance(error, NotTold) or error.status in FOR_GOOD
        return Template(f"structure that the controller does not describe ({error})", 0, 0, ())


def _full_name(program: str | None, name: str) -> str:
    return name if program is None else f"Program:{program}.{name}"


async def list_scope(
    link: EipLink,
    identity: Identity,
    program: str | None,
    *,
    with_aliases: bool = False,
    listed: Listed | None = None,
    until: float = float("inf"),
) -> list[Entry] | None:
    """All symbols of the controller or of a program, page by page, after those in `listed`; None where it has no list.

    Which are aliases is known only `with_aliases`. Raises NotConnected, DecodeError, and Unfinished after a page that
    comes at `until` or later, by the monotonic clock.
    """
    listed = listed or Listed()
    control = (CONTROL,) if with_aliases else ()
    attributes = (NAME, TYPE, *control, DIMENSIONS, *((ACCESS,) if identity.has_access else ()))
    prefix = b"" if program is None else symbolic(f"Program:{program}")
    data = struct.pack(f"<{1 + len(attributes)}H", len(attributes), *attributes)
    while not listed.is_over:
        path = prefix + logical(CLASS, SYMBOL_CLASS) + logical(INSTANCE, listed.begin)
        reply = await link.call(read_request(Service.GET_INSTANCE_ATTRIBUTE_LIST, path, data))
        if reply.status not in (SUCCESS, PARTIAL_TRANSFER):
            listed.is_over = reply.status in FOR_GOOD
            return None
        page = list(_page(reply.data, program, attributes))
        listed.entries += page
        listed.is_over = reply.status == SUCCESS
        if listed.is_over:
            break
        if not page or page[-1].instance_id < listed.begin or len(listed.entries) > _MOST_SYMBOLS:
            raise DecodeError("the list of symbols has no end", 0)
        listed.begin = page[-1].instance_id + 1
        if time.monotonic() >= until:
            raise Unfinished
    return listed.entries


def _page(data: bytes, program: str | None, attributes: Collection[int]) -> Iterable[Entry]:
    read = Reader(data)
    while read.left:
        instance, name, kind = read.uint(4), read.text(2), read.uint(2)
        is_alias = CONTROL in attributes and not read.uint(4) & _IS_BASE
        dimensions = tuple(read.uint(4) for _ in range(3))[: kind >> 13 & 3]
        readable = ACCESS not in attributes or read.uint(1) & 3 != _NO_ACCESS
        is_system = bool(kind & _SYSTEM) or name.startswith("__") or not is_name(name)
        yield Entry(_full_name(program, name), instance, kind, dimensions, readable, is_system, is_alias)
