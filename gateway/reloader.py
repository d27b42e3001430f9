"""Takes a changed configuration over while the daemon runs: it is read and checked first, or nothing changes."""

from __future__ import annotations

import asyncio
import os
import pickle
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from gateway.apart import ApartError, output_of
from gateway.checkpoint import CheckpointError
from gateway.config.difference import Difference
from gateway.config.model import Config
from gateway.control.wire import Refused
from gateway.events import Event
from gateway.outbox.errors import BufferError
from gateway.parts import Parts, import_libraries
from gateway.pipeline import Pipeline
from gateway.runner.crew import Crew
from gateway.systemd import Notifier
from protocols.worker import in_daemon_thread

LOAD_S = 60.0
UNCHANGED = "mend the file, and reload again; the daemon goes on with the configuration that it has"

log = structlog.get_logger("reload")


class Reloader:
    """Reloads the file that the daemon was started with."""

    def __init__(
        self,
        file: Path,
        parts: Parts,
        crew: Crew,
        notifier: Notifier,
        then: Callable[[Difference], Awaitable[None]],
    ) -> None:
        """`then` is for what is not a part of the line, once the rest is taken over."""
        self._then = then
        self._file = file.resolve()
        self._parts, self._crew, self._notifier = parts, crew, notifier
        self._wake = asyncio.Event()
        self._askers: list[tuple[str, asyncio.Future[dict[str, Any]]]] = []
        """Each with the digest of what it found in the file."""

    def request(self) -> None:
        """Somebody sent a signal; the log has the answer."""
        self._wake.set()

    async def asked(self, request: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """For the control socket: one item, what was changed. Raises Refused."""
        if request["file"] != os.fspath(self._file):
            raise Refused(f"the daemon was started with {self._file}, not with {request['file']}", "reload that file")
        asker: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._askers.append((request["digest"], asker))
        self._wake.set()
        yield await asker

    async def run(self) -> None:
        """Serve requests until cancelled; those that come while the file is being read wait for the next reading."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            askers, self._askers = self._askers, []
            self._notifier.send(RELOADING=1, MONOTONIC_USEC=time.monotonic_ns() // 1000)
            try:
                answer = await self._reload({digest for digest, _ in askers})
            except Refused as refused:
                self._parts.refused = refused.why
                log.error("reload_refused", file=str(self._file), why=refused.why, remedy=refused.remedy)
                for _, asker in askers:
                    if not asker.done():
                        asker.set_exception(Refused(refused.why, refused.remedy))
            else:
                self._parts.refused = ""
                for digest, asker in askers:
                    if asker.done():
                        continue
                    if digest == answer["digest"]:
                        asker.set_result(answer)
                    else:
                        asker.set_exception(self._changing())
            finally:
                self._notifier.send(READY=1)

    async def _reload(self, expected: set[str]) -> dict[str, Any]:
        """`expected`: digests of what those who ask found, a moment ago, in the file."""
        new = await self._load()
        if expected and new.digest not in expected:
            raise self._changing()
        difference = await in_daemon_thread("reload", partial(Difference, self._parts.config, new))
        answer = {"digest": new.digest, "changes": difference.as_data()}
        if difference.is_none:
            log.info("reload_changed_nothing", configuration=new.digest)
            return answer
        if difference.needs_restart:
            raise Refused(f"this needs a restart: {difference.needs_restart}", "restart the daemon, or change it back")
        pipeline = await in_daemon_thread("reload", partial(Pipeline, new))
        # a library can take a second, in which no device would be scanned
        await in_daemon_thread("reload", partial(import_libraries, new))
        began = time.monotonic()
        try:
            await self._parts.take_over(self._crew, difference, pipeline)
        except (BufferError, CheckpointError) as error:
            raise Refused(error.why, error.remedy) from None
        await self._then(difference)
        self._parts.outbox.append([Event("config.applied", "gateway", self._parts.clock.utc(), answer)])
        log.info(
            "config_applied", configuration=new.digest, seconds=round(time.monotonic() - began, 3), **_brief(answer)
        )
        return answer

    def _changing(self) -> Refused:
        return Refused(f"{self._file} is being changed while it is read", "reload again, once it is written")

    async def _load(self) -> Config:
        """In a process of its own: reading YAML with all its places takes memory that no daemon needs."""
        try:
            packed = await output_of("gateway.config.apart", os.fspath(self._file), seconds=LOAD_S)
        except ApartError as error:
            raise Refused(error.why, UNCHANGED) from None
        config: Config = pickle.loads(packed)  # written by ourselves, over a pipe that nobody else has
        return config


def _brief(answer: Mapping[str, Any]) -> dict[str, Any]:
    changes: Mapping[str, Any] = answer["changes"]
    found = {}
    for name, change in changes.items():
        if isinstance(change, Mapping):
            found.update({f"{name}_{how}": names for how, names in change.items() if names})
        elif change:
            found[name] = change
    return found
