"""What is loaded in a controller, as far as a configuration needs it: symbols, and the edition that they are of.

A download, or an edit online, gives symbols other instances, and these are used again: a tag read by its instance may
be another tag a moment later, of the same type. So the edition, which changes with every such change, is asked before
and after the upload, and again after the values of each scan, before these are believed. A controller that has none is
asked by names alone.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ext.table import DecodeError
from protocols.driver import NotConnected
from protocols.ethernet_ip.address import TagAddress
from protocols.ethernet_ip.attributes import EDITION_REQUEST
from protocols.ethernet_ip.controller import Identity
from protocols.ethernet_ip.link import GARBLED_REMEDY, EipLink
from protocols.ethernet_ip.probe import probe
from protocols.ethernet_ip.status import SUCCESS
from protocols.ethernet_ip.symbols import list_symbols
from protocols.ethernet_ip.types import Symbol

TRIES = 3
"""Uploads during which the project may change before it is left for later."""


@dataclass(frozen=True, slots=True)
class Project:
    """Symbols, and what EDITION_REQUEST brought before and after they were uploaded; None where nothing tells that."""

    symbols: tuple[Symbol, ...]
    edition: bytes | None
    by_instance: bool


async def upload(link: EipLink, identity: Identity, wanted: Collection[TagAddress]) -> Project | None:
    """What is loaded; None while a download is under way. Raises NotConnected."""
    if not wanted:
        return Project((), None, by_instance=False)
    for _ in range(TRIES):
        edition = await _edition(link)
        try:
            symbols = await list_symbols(link, identity, wanted)
        except DecodeError as error:
            if await _edition(link) != edition:
                continue
            raise NotConnected(f"its symbols cannot be uploaded: {error}", GARBLED_REMEDY) from error
        if symbols is None and identity.is_logix:
            return None
        if symbols is None:
            return Project(tuple(await probe(link, wanted)), None, by_instance=False)
        if await _is_same(link, identity, wanted, edition, symbols):
            return Project(tuple(symbols), edition, by_instance=edition is not None and identity.has_instances)
    return None


async def is_current(link: EipLink, project: Project) -> bool:
    """Whether a project is still the one that is loaded, by a single request; not where no edition tells that."""
    return project.edition is not None and await _edition(link) == project.edition


async def _is_same(
    link: EipLink, identity: Identity, wanted: Collection[TagAddress], edition: bytes | None, symbols: list[Symbol]
) -> bool:
    """Whether the project did not change during the upload; where no edition tells that, a second one does."""
    if await _edition(link) != edition:
        return False
    if edition is not None:
        return True
    try:
        return await list_symbols(link, identity, wanted) == symbols
    except DecodeError:
        return False


async def _edition(link: EipLink) -> bytes | None:
    reply = await link.call(EDITION_REQUEST)
    return reply.data if reply.status == SUCCESS else None
