"""`linegate receive`: connects, and again when the connection is lost, until its time is over; what it came to."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from rich.console import Console

from gateway.receive.consumer import Consumer, load
from gateway.receive.follower import Follower, Hole
from gateway.receive.show import Objects, Plain, Show, Terminal, two_gateways
from gateway.receive.source import Enough, Settings, source_for
from gateway.runner.backoff import Backoff
from protocols.driver import ConfigError, ConnectFailed, LinkError, NotConnected

GOOD, TROUBLE, WRONG = 0, 1, 2
DRAW_S = 0.5
PATIENCE = 6
"""Looks after which something is said to be missing: over several partitions or after a lost connection it may come."""


def receive(
    settings: Settings,
    *,
    seconds: float | None,
    count: int | None,
    state: Path | None,
    write: Path | None,
    as_json: bool,
) -> int:
    """Run until stopped, or for some seconds or events.

    Returns the exit code: 0, 1 where events are missing or the other side is away, 2 where it cannot work as asked for.
    """
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # it warns of what libraries do
    try:
        if settings.name is None and state is not None:
            settings = replace(settings, name=_name(state))
        with _appending(write) as out, asyncio.Runner() as runner:
            return runner.run(_Command(settings, as_json).run(seconds, count, state, out))
    except (ConnectFailed, NotConnected) as error:
        sys.stderr.write(f"{_in_words(error)}\n")
        return TROUBLE
    except ConfigError as error:
        sys.stderr.write(f"{_in_words(error)}\n")
        return WRONG
    except BrokenPipeError:
        sys.stderr.close()  # whoever read has seen enough
        return TROUBLE
    except OSError as error:
        sys.stderr.write(f"{error.filename or write or state}: {error.strerror or error}\n")
        return TROUBLE


class _Command:
    """One call."""

    def __init__(self, settings: Settings, as_json: bool) -> None:
        self._settings = settings
        self._make = source_for(settings.url)
        self._as_json = as_json
        self._time: asyncio.Timeout | None = None
        self._seen: dict[Hole, int] = {}
        """Holes, and how often they were there when we looked."""
        self._twins: set[str] = set()
        """Lines of which two gateways were told."""

    async def run(self, seconds: float | None, count: int | None, state: Path | None, out: BinaryIO | None) -> int:
        """The exit code. Raises LinkError or OSError."""
        follower = Follower() if state is None else load(state)
        show = self._show()
        consumer = Consumer(follower, show, out, state, count, self._stop)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        limit = self._time = asyncio.timeout(seconds)
        try:
            async with limit:
                self._look(consumer, show)
                await self._receive(consumer, show)
        except TimeoutError:
            if not limit.expired():
                raise
        finally:
            if consumer.is_ready:
                show.end(consumer.follower)
        if consumer.failed is not None:
            raise consumer.failed
        if not consumer.is_ready:
            raise NotConnected("there was no connection in that time", "give it longer, or leave --for out to hear why")
        return GOOD if consumer.follower.is_complete else TROUBLE

    def _show(self) -> Show:
        if self._as_json:
            return Objects(sys.stdout)
        return Terminal(Console()) if sys.stdout.isatty() else Plain(sys.stdout)

    def _stop(self) -> None:
        if self._time is not None and not self._time.expired():
            self._time.reschedule(asyncio.get_running_loop().time())

    async def _receive(self, consumer: Consumer, show: Show) -> None:
        """Connect again and again; what does not work the first time is for a person."""
        backoff = Backoff()
        while True:
            before = consumer.new
            try:
                await self._make(self._settings).run(consumer)
            except Enough:
                return
            except LinkError as error:
                if not consumer.is_ready:
                    raise
                show.note(_in_words(error))
            if consumer.new > before:
                backoff.reset()
            await asyncio.sleep(backoff.next())

    def _look(self, consumer: Consumer, show: Show) -> None:
        """Draw, and tell what is missing for some time, or came at last; and once more in a moment."""
        if self._time is None or self._time.expired():
            return
        try:
            if consumer.is_ready:
                self._draw(consumer, show)
        except OSError as error:
            consumer.fail(error)
        if consumer.is_over:
            self._stop()  # what was taken has been acknowledged since
        asyncio.get_running_loop().call_later(DRAW_S, self._look, consumer, show)

    def _draw(self, consumer: Consumer, show: Show) -> None:
        holes = set(consumer.follower.holes())
        for hole in [hole for hole in self._seen if hole not in holes]:
            if self._seen.pop(hole) >= PATIENCE:
                show.found(hole)
        for hole in sorted(holes, key=lambda hole: (hole.stream, hole.upto)):
            self._seen[hole] = self._seen.get(hole, 0) + 1
            if self._seen[hole] == PATIENCE and hole.is_proven:
                show.missing(hole)
        for source, streams in consumer.follower.twins.items():
            if source not in self._twins:
                self._twins.add(source)
                show.note(two_gateways(source, streams))
        show.draw(consumer.follower)


def _in_words(error: LinkError) -> str:
    """What the configuration's keys are called, options are called here."""
    return f"{error.why}; {error.remedy}".replace("`tls.ca`", "--ca").replace("tls.", "--")


def _name(state: Path) -> str:
    """By which the other side knows this consumer again: of this state on this machine, in 23 letters and digits."""
    place = f"{socket.gethostname()}\0{state.resolve()}"
    return "receive" + hashlib.sha256(place.encode()).hexdigest()[:16]


@contextmanager
def _appending(path: Path | None) -> Iterator[BinaryIO | None]:
    """The file for new events, behind its last whole line."""
    with contextlib.ExitStack() as stack:
        if path is None:
            yield None
            return
        file = stack.enter_context(path.open("a+b"))
        end = file.seek(0, os.SEEK_END)
        while end:
            begin = max(0, end - 65_536)
            file.seek(begin)
            if (found := file.read(end - begin).rfind(b"\n")) >= 0:
                end = begin + found + 1
                break
            end = begin
        file.truncate(end)  # what a crash left unfinished was not acknowledged
        yield file
