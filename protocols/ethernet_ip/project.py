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
from protocols.ethernet_ip.symbols import Progress, list_symbols
from protocols.ethernet_ip.types import Symbol

TRIES = 3
"""Uploads during which the project may change before it is left for later."""


@dataclass(frozen=True, slots=True)
class Project:
    """Symbols, and what EDITION_REQUEST brought before and after they were uploaded; None where nothing tells that."""

    symbols: tuple[Symbol, ...]
    edition: bytes | None
    by_instance: bool
    is_whole: bool = True
    """Whether nothing was refused that may be told a moment later."""

    def is_same(self, other: Project | None) -> bool:
        """Whether the same is loaded."""
        if other is None or self.edition != other.edition:
            return False
        return self.edition is not None or self.symbols == other.symbols


class Upload:
    """The uploads of one connection; one for which there was too little time goes on while the edition is the same."""

    def __init__(self, link: EipLink, identity: Identity, wanted: Collection[TagAddress]) -> None:
        self._link, self._identity, self._wanted = link, identity, wanted
        self._edition: bytes | None = None
        self._progress: Progress | None = None
        self._before: list[Symbol] | None = None
        """The list that the next has to equal, where no edition tells whether the project is the same."""

    async def run(self, until: float) -> Project | None:
        """What is loaded; None while a download is under way.

        Raises NotConnected, and Unfinished at `until`, by the monotonic clock: then run it again.
        """
        if not self._wanted:
            return Project((), None, by_instance=False)
        for _ in range(TRIES):
            edition = await self._edition_now()
            if self._progress is None or edition != self._edition:
                self._edition, self._progress = edition, Progress(self._link)
            progress = self._progress
            progress.templates.until = until
            try:
                symbols = await list_symbols(self._link, self._identity, self._wanted, progress)
            except DecodeError as error:
                self._progress = None
                if await self._edition_now() != edition:
                    continue
                raise NotConnected(f"its symbols cannot be uploaded: {error}", GARBLED_REMEDY) from error
            self._progress = None
            if symbols is None and self._identity.is_logix:
                return None
            if symbols is None:
                return Project(tuple(await probe(self._link, self._wanted)), None, by_instance=False)
            if await self._edition_now() != edition:
                continue
            if edition is not None or symbols == self._before:
                self._before = None
                by_instance = edition is not None and self._identity.has_instances
                return Project(tuple(symbols), edition, by_instance, progress.is_whole)
            self._before = symbols
        return None

    async def is_current(self, project: Project | None) -> bool:
        """Whether a project is still the one that is loaded, by a single request; not where no edition tells that."""
        return project is not None and project.edition is not None and await self._edition_now() == project.edition

    async def _edition_now(self) -> bytes | None:
        reply = await self._link.call(EDITION_REQUEST)
        return reply.data if reply.status == SUCCESS else None
