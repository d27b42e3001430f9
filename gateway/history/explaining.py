"""What `linegate explain` says, for whoever asks the running daemon: nothing of it holds up the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from gateway.apart import ApartError
from gateway.config.model import Config
from gateway.events import Envelope, StoredEvent
from gateway.explain.events import Found, Numbered, Search, search_for
from gateway.explain.located import Located, located
from gateway.explain.places import Places, Where
from gateway.outbox.outbox import Outbox
from protocols.worker import DaemonWorker

NO_FILE = "the configuration was not read from a file: no places are given"
CHANGED = "the file is not the one that is in force any more: no places are given until it is reloaded"
UNREADABLE = "no places are given, for the file cannot be read as it is now"


class Explainer:
    """One question at a time: an explanation takes some ten milliseconds, and the first of a file a second."""

    def __init__(self, outbox: Outbox, file: Path | None) -> None:
        """`file` is where the configuration was read from."""
        self._outbox, self._file = outbox, file
        self._turn = asyncio.Lock()
        self._worker = DaemonWorker("explain")
        self._located: Located | None = None

    async def explain(self, number: int, wanted: str, config: Config) -> dict[str, Any]:
        """The event stored under a number, in words, by the configuration in force; who asks called it `wanted`.

        Raises EventError, BufferError.
        """
        async with self._turn:
            found = await self._find(search_for(number, wanted), self._outbox.envelope(config.source))
            where, note = await self._where(config.digest)
            return await self._worker.call(partial(_explained, found, Places(config, where), note))

    async def _find(self, search: Search, envelope: Envelope) -> Found:
        question = next(search)
        try:
            while True:
                events = await self._outbox.recent(*question)
                question = search.send(await self._worker.call(partial(_read, envelope, events)))
        except StopIteration as done:
            found: Found = done.value
            return found

    async def _where(self, digest: str) -> tuple[Where, str]:
        """Where the values of the configuration in force stand, and what is to be said of that."""
        if self._file is None:
            return {}, NO_FILE
        known = self._located
        if known is None or not await self._worker.call(partial(Located.is_fresh, known)):
            try:
                known = self._located = await located(self._file)
            except ApartError as error:
                return {}, f"{UNREADABLE}: {error.why.splitlines()[0]}"
        return (known.where, "") if known.digest == digest else ({}, CHANGED)


def _read(envelope: Envelope, events: Sequence[StoredEvent]) -> list[Numbered]:
    return [(one.seq, orjson.loads(envelope.json(one))) for one in events]


def _explained(found: Found, places: Places, note: str) -> dict[str, Any]:
    from gateway.explain.explaining import explain  # imported where it does not hold up the loop

    explanation = explain(found, places)
    explanation.notes.extend([note] if note else [])
    return explanation.plain(found.event)
