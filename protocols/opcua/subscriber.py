"""All subscriptions of a session: Publish requests kept waiting at the server, and what their responses lead to.

Silence, gaps, and a subscription that the server ended are mended here as long as the session lives; where it does not,
NotConnected has the runner begin anew.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from asyncua import ua

from protocols.driver import ConnectFailed, LinkStats, NotConnected
from protocols.model import Batch
from protocols.opcua.limits import Limits
from protocols.opcua.session import Session, check_result, lost, status_text
from protocols.opcua.subscription import Subscription
from protocols.opcua.unit import Item, Unit
from protocols.opcua.values import EVENTS, STATUS_CHANGE, Publication

MOST_WAITING = 10
"""Publish requests at the server; two a subscription, so that one can be under way while the other waits."""
MOST_RENEWALS = 5
RENEWALS_S = 30.0
"""Subscriptions made anew so often in so long: the session is not worth keeping."""
MOST_ACKNOWLEDGED = 1000
PROBE_S = 1.5


class Subscriber:
    """Created with its units; `arrived` says that `take` has something."""

    def __init__(self, units: Iterable[Unit], stats: LinkStats) -> None:
        self.arrived = asyncio.Event()
        self._units = list(units)
        self._stats = stats
        self._subscriptions = {
            (unit.name, scan): Subscription(unit, scan)
            for unit in self._units
            for scan in range(len(unit.device.scan_classes))
            if unit.device.mode == "subscribe" or any(item.is_alarms and item.scan == scan for item in unit.items)
        }
        self._by_id: dict[int, Subscription] = {}
        self._waiting = 0
        self._wanted = 0
        self._responses: deque[Any] = deque()
        self._acknowledgements: deque[Any] = deque(maxlen=MOST_ACKNOWLEDGED)
        self._renewed: deque[float] = deque(maxlen=MOST_RENEWALS)

    def __bool__(self) -> bool:
        """Whether there is anything to subscribe to."""
        return bool(self._subscriptions)

    async def open(self, session: Session, limits: Limits, items: Sequence[tuple[Unit, Item]]) -> None:
        """Create all subscriptions. Raises ConnectFailed where the server has none for us, or NotConnected."""
        self._session, self._limits = session, limits
        for subscription in self._subscriptions.values():
            try:
                await subscription.create(session)
            except ua.UaStatusCodeError as error:
                words = f"the server refuses a subscription: {status_text(error.code)}"
                raise ConnectFailed(words, "raise its limit of subscriptions, or use `mode: poll`") from error
            self._by_id[subscription.id] = subscription
            unit, scan = subscription.unit, subscription.scan
            await self.monitor(unit, [item for one, item in items if one is unit and item.scan == scan])
        self._wanted = min(2 * len(self._by_id), MOST_WAITING)
        self._fill()

    async def monitor(self, unit: Unit, items: Sequence[Item]) -> None:
        """Have items of one unit reported. Raises NotConnected."""
        for scan in dict.fromkeys(item.scan for item in items):
            mine = [item for item in items if item.scan == scan]
            await self._subscriptions[unit.name, scan].monitor(self._session, self._limits, mine)

    async def forget(self, unit: Unit, items: Sequence[Item]) -> None:
        """Have items not reported any more. Raises NotConnected."""
        for scan in dict.fromkeys(item.scan for item in items):
            mine = [item for item in items if item.scan == scan]
            await self._subscriptions[unit.name, scan].forget(self._session, mine)

    def _fill(self) -> None:
        while self._waiting < self._wanted:
            request = ua.PublishRequest()
            request.Parameters.SubscriptionAcknowledgements = list(self._acknowledgements)
            self._acknowledgements.clear()
            future = self._session.post(request, 0)
            self._waiting += 1
            future.add_done_callback(self._arrived)

    def _arrived(self, future: asyncio.Future[Any]) -> None:
        self._waiting -= 1
        if not future.cancelled():
            error = future.exception()
            self._responses.append(error if error is not None else future.result())
            self.arrived.set()

    async def take(self) -> list[Batch]:
        """What has come, in order. Raises NotConnected."""
        self.arrived.clear()
        batches: list[Batch] = []
        while self._responses:
            response = self._responses.popleft()
            if isinstance(response, Exception):
                raise lost(response) from response
            self._stats.bytes_read += len(response)
            batches += await self._response(response)
            self._fill()
        return batches

    async def _response(self, body: Any) -> list[Batch]:
        publication = self._units[0].values.publish(body)
        if publication.status >> 31:
            await self._fault(publication.status)
            return []
        subscription = self._by_id.get(publication.subscription_id)
        if subscription is None:
            return []  # one that we have ended; its last words
        if subscription.unit is not self._units[0]:
            publication = subscription.unit.values.publish(body)
        if not publication.keep_alive and subscription.is_old(publication.sequence_number):
            return await self._late(subscription, publication.sequence_number)
        missing = subscription.missing(publication.sequence_number, publication.keep_alive)
        batches = await self._republished(subscription, missing) if missing else []
        if subscription.id != publication.subscription_id:
            return batches  # made anew, with everything
        if not publication.keep_alive:
            self._acknowledge(subscription, publication.sequence_number)
        return batches + await self._passed(subscription, publication)

    async def _passed(self, subscription: Subscription, publication: Publication) -> list[Batch]:
        """Values step by step, so that none is hidden by the next; then what is said besides."""
        batches = []
        done = False
        while not done:
            done = publication.decode()
            if subscription.unit.device.mode == "subscribe":
                batches.append(subscription.unit.batch(subscription.scan))
        self._stats.dropped += publication.overflows
        for kind, notification in publication.others():
            if kind == EVENTS:
                subscription.take_events(notification.Events or [])
            elif kind == STATUS_CHANGE and notification.Status.value >> 31:
                await self._renew(subscription)
        await subscription.look(self._session)
        batch = subscription.unit.batch(subscription.scan)
        return [*batches, batch] if batch.changes else batches

    async def _late(self, subscription: Subscription, sequence_number: int) -> list[Batch]:
        """A message behind whose time newer ones were taken: its values are not those of now."""
        subscription.missing(sequence_number, keep_alive=False)
        self._acknowledge(subscription, sequence_number)
        if sequence_number not in subscription.republished:
            await self._renew(subscription)
        return []

    def _acknowledge(self, subscription: Subscription, sequence_number: int) -> None:
        self._acknowledgements.append(
            ua.SubscriptionAcknowledgement(SubscriptionId=subscription.id, SequenceNumber=sequence_number)
        )

    async def _republished(self, subscription: Subscription, missing: Sequence[int]) -> list[Batch]:
        """Messages that were lost on their way; where the server has one no more, everything is asked anew."""
        batches: list[Batch] = []
        for sequence_number in missing:
            self._stats.request_errors += 1
            request = ua.RepublishRequest()
            request.Parameters.SubscriptionId = subscription.id
            request.Parameters.RetransmitSequenceNumber = sequence_number
            try:
                message = (await self._session.ask(request)).NotificationMessage
            except ua.UaStatusCodeError:
                await self._renew(subscription)
                return batches
            self._acknowledge(subscription, sequence_number)
            subscription.republished.append(sequence_number)
            batches += await self._passed(subscription, subscription.unit.values.republish(message))
        return batches

    async def _fault(self, status: int) -> None:
        """A Publish request was refused."""
        code = status & 0xFFFF0000
        if code == ua.StatusCodes.BadTooManyPublishRequests and self._wanted > 1:
            self._wanted -= 1
        elif code == ua.StatusCodes.BadNoSubscription:
            self._responses = deque(one for one in self._responses if not _is_fault(self._units[0], one))
            for subscription in self._subscriptions.values():
                await self._renew(subscription)
        elif code not in (ua.StatusCodes.BadTimeout, ua.StatusCodes.BadRequestTimeout):
            check_result_of_publish(status)

    async def _renew(self, subscription: Subscription) -> None:
        """A subscription made anew, with all its nodes: their values of now come with it."""
        now = asyncio.get_running_loop().time()
        if len(self._renewed) == MOST_RENEWALS and now - self._renewed[0] < RENEWALS_S:
            raise NotConnected("the server ends its subscriptions again and again", "see the server's own log")
        self._renewed.append(now)
        self._stats.request_errors += 1
        self._by_id.pop(subscription.id, None)
        unit = subscription.unit
        await subscription.delete(self._session)
        try:
            await subscription.create(self._session)
        except ua.UaStatusCodeError as error:
            raise NotConnected(f"the server refuses a subscription: {status_text(error.code)}") from error
        self._by_id[subscription.id] = subscription
        items = [item for item in unit.items if item.scan == subscription.scan and item.monitored_id is not None]
        await subscription.monitor(self._session, self._limits, items)

    async def watch(self) -> None:
        """Mend subscriptions that say nothing any more, not even that nothing changed. Raises NotConnected."""
        now = asyncio.get_running_loop().time()
        for subscription in self._subscriptions.values():
            if not subscription.is_silent(now) or self._responses:
                continue
            request = ua.ReadRequest()
            node = ua.NodeId(ua.ObjectIds.Server_ServerStatus_State)
            request.Parameters.NodesToRead = [ua.ReadValueId(NodeId=node, AttributeId=ua.AttributeIds.Value)]
            try:
                await self._session.ask(request, PROBE_S)
            except ua.UaStatusCodeError as error:
                raise NotConnected(f"a subscription is silent: {status_text(error.code)}") from error
            await self._renew(subscription)

    def next_watch(self) -> float:
        """When the next subscription would be silent for too long."""
        return min(one.heard_at + one.silence_s for one in self._subscriptions.values())


def _is_fault(unit: Unit, response: Any) -> bool:
    return not isinstance(response, Exception) and bool(unit.values.publish(response).status >> 31)


def check_result_of_publish(status: int) -> None:
    """What a refused Publish means for the session. Raises NotConnected."""
    try:
        check_result(status)
    except ua.UaStatusCodeError as error:
        raise NotConnected(f"the server refuses to publish: {status_text(status)}", "see the server's log") from error
