"""Runs one uplink: connects, delivers from the outbox, and begins again with a new one after any loss."""

from __future__ import annotations

import asyncio
import enum
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Never

import structlog

from gateway.config.model import UplinkSettings
from gateway.events import StoredEvent
from gateway.outbox.outbox import BufferError, Outbox
from gateway.runner.backoff import Backoff
from gateway.runner.cancellation import raise_if_cancelled
from gateway.uplinks.uplink import Rejected, TryLater, Uplink
from protocols.driver import ConfigError, LinkError, NotConnected

CONNECT_S = 30.0
PROGRESS_S = 60.0
"""A `write` that takes longer is stuck, and its uplink is replaced."""
CLOSE_S = 5.0
CONFIG_RETRY_S = 60.0
STEADY_S = 5.0
"""A connection without anything to deliver counts as working after this long."""
BATCH = 500
SLICE_S = 0.1
"""Where there is a `rate`, events go in slices of this length."""

_REPORT = "please report the traceback in the log"

log = structlog.get_logger("uplink")


class UplinkState(enum.StrEnum):
    """connecting -> connected -> backoff -> connecting; failed: only a person can mend it, and it is tried rarely."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    BACKOFF = "backoff"
    FAILED = "failed"


@dataclass(slots=True)
class UplinkStats:
    """What a runner knows of its uplink, for health and metrics; counters never go back."""

    state: UplinkState = UplinkState.CONNECTING
    why: str = "not connected yet"
    remedy: str = ""
    sent: int = 0
    """Events handed to the uplink, repetitions included."""
    acknowledged: int = 0
    refused: int = 0
    """Refusals of an event, one for each attempt."""
    reconnects: int = 0
    others: Mapping[str, str] = field(default_factory=dict)
    """Other gateways of this line that are there beside us: streams, and since when."""
    delivered_until: int | None = None
    """When what was acknowledged last had happened, UTC in milliseconds; None before the first of this run."""


class UplinkRunner:
    """One uplink, for ever. Lets nothing out but cancellation."""

    def __init__(self, name: str, config: UplinkSettings, make_uplink: Callable[[], Uplink], outbox: Outbox) -> None:
        self.name = name
        self.stats = UplinkStats()
        self._config = config
        self._make_uplink = make_uplink
        self._outbox = outbox
        self._backoff = Backoff()
        self._refusals = Backoff()
        self._is_lost: bool | None = None
        """None until the first connection works or fails."""
        self._said = ""
        self._refused_seq = 0
        self._interval_s = 0.0 if config.rate is None else config.rate / 1000
        self._batch = BATCH if config.rate is None else min(BATCH, max(1, int(SLICE_S / self._interval_s)))
        self._due = 0.0
        """Monotonic time at which `rate` lets the next events go."""
        self._attempts = 0

    async def run(self) -> None:
        """Connect and deliver until cancelled."""
        while True:
            try:
                await self._one_connection()
            except BaseExceptionGroup as errors:
                wait = self._failed(_worst(errors))
            except Exception as error:  # noqa: BLE001 - the runner's one catch-all: an uplink's bug costs that uplink
                wait = self._failed(error)
            raise_if_cancelled()
            self.stats.reconnects += 1
            await asyncio.sleep(wait)

    async def _one_connection(self) -> Never:
        self.stats.state = UplinkState.CONNECTING
        uplink = self._make_uplink()
        try:
            try:
                async with asyncio.timeout(CONNECT_S):
                    await uplink.connect()
            except TimeoutError:
                raise NotConnected(f"no connection within {CONNECT_S:g} s", "check the network") from None
            raise_if_cancelled()
            self.stats.state = UplinkState.CONNECTED
            async with asyncio.TaskGroup() as group:
                group.create_task(_listen(uplink), name=f"uplink {self.name} serve")
                # not a second task: where a group only waits, 3.11's leaves this task marked as cancelled
                await self._pump(uplink)
        finally:
            await self._close(uplink)

    async def _close(self, uplink: Uplink) -> None:
        try:
            async with asyncio.timeout(CLOSE_S):
                await uplink.close()
        except Exception as error:  # noqa: BLE001 - what fails to close is thrown away all the same
            log.debug("close_failed", uplink=self.name, error=repr(error))

    async def _pump(self, uplink: Uplink) -> Never:
        """Deliver in order; an event that was refused before goes alone until it is settled."""
        while True:
            alone = self._attempts > 0
            try:
                async with asyncio.timeout(STEADY_S if self._is_lost is not False else None):
                    if self._interval_s:
                        await asyncio.sleep(self._due - time.monotonic())
                    events = await self._outbox.read(self.name, 1 if alone else self._batch)
            except TimeoutError:
                self._back()
                continue
            except BufferError as error:
                raise NotConnected(error.why, error.remedy) from None
            self.stats.sent += len(events)
            self._due = max(self._due, time.monotonic()) + len(events) * self._interval_s
            try:
                async with asyncio.timeout(PROGRESS_S):
                    count = await uplink.write(events)
            except TimeoutError:
                raise NotConnected(
                    f"no progress within {PROGRESS_S:g} s", "see the log; the uplink is replaced"
                ) from None
            except Rejected as rejected:
                self._acknowledge(events[: rejected.which])
                await self._settle(events[rejected.which], rejected.why)
                continue
            if count < 1:
                raise NotConnected("the uplink acknowledged nothing", _REPORT)
            self._acknowledge(events[:count])

    def _acknowledge(self, events: Sequence[StoredEvent]) -> None:
        if not events:
            return
        self._outbox.acknowledge(self.name, events[-1])
        self.stats.acknowledged += len(events)
        self.stats.delivered_until = events[-1].time
        self._attempts = 0
        self._refusals.reset()
        self._back()

    async def _settle(self, event: StoredEvent, why: str) -> None:
        """Count a refusal; wait before the next attempt, or set the event aside after the last."""
        if event.seq != self._refused_seq:
            self._refused_seq, self._attempts = event.seq, 0
            self._refusals.reset()
        self._attempts += 1
        self.stats.refused += 1
        if self._attempts < self._config.max_attempts:
            await asyncio.sleep(self._refusals.next())
            return
        self._attempts = 0
        # said first: a connection that ends meanwhile cancels the waiting, and not the quarantine
        log.warning("event_quarantined", uplink=self.name, seq=event.seq, type=event.type, why=why)
        await self._outbox.quarantine(self.name, event, why)

    def _back(self) -> None:
        """The connection has proved to work."""
        self._backoff.reset()
        self.stats.why = self.stats.remedy = ""
        if self._is_lost is not False:
            log.info("uplink_connected" if self._is_lost is None else "uplink_restored", uplink=self.name)
            self._is_lost = False

    def _failed(self, error: BaseException) -> float:
        """Note the failure, say it where it is news, and how long to wait."""
        is_bug = not isinstance(error, LinkError)
        link = NotConnected(f"internal error: {error!r}", _REPORT) if not isinstance(error, LinkError) else error
        is_config = isinstance(error, ConfigError)
        if self._is_lost is not True or ((is_bug or is_config) and link.why != self._said):
            self._said = link.why
            if is_bug:
                log.error("uplink_failed", uplink=self.name, exc_info=error)
            log.warning("uplink_lost", uplink=self.name, why=link.why, remedy=link.remedy)
        self._is_lost = True
        self.stats.why, self.stats.remedy = link.why, link.remedy
        self.stats.state = UplinkState.FAILED if is_config else UplinkState.BACKOFF
        asked = link.wait_s if isinstance(link, TryLater) else 0.0
        return CONFIG_RETRY_S if is_config else asked + self._backoff.next()


async def _listen(uplink: Uplink) -> Never:
    await uplink.serve()
    raise NotConnected("the uplink stopped listening", _REPORT)


def _worst(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Of what the two tasks of one connection raised: a bug before a loss, a loss with a remedy before one without."""
    leaves: list[BaseException] = []
    stack: list[BaseException] = [errors]
    while stack:
        error = stack.pop()
        if isinstance(error, BaseExceptionGroup):
            stack.extend(error.exceptions)
        else:
            leaves.append(error)
    return max(leaves, key=lambda leaf: 2 if not isinstance(leaf, LinkError) else bool(leaf.remedy))
