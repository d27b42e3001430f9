"""One subscription: the nodes of one scan class of a device, its sequence numbers, and how long it may be silent."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

from asyncua import ua

from protocols.opcua.alarms import Alarms, event_filter, refresh
from protocols.opcua.limits import Limits, in_parts
from protocols.opcua.session import Session, status_text
from protocols.opcua.unit import Item, Unit

KEEP_ALIVE_MS = 1000
"""A subscription without changes says so each publishing interval, but not more often than this."""
SILENT_KEEP_ALIVES = 3
"""Keep-alives that may be missed: three scans, and never less than 3 s."""
LONGEST_SILENCE_MS = 60_000
"""However rarely a server wants to say that nothing changed; it is asked anew where it says nothing."""
MOST_REPUBLISHED = 1000
LIFETIME_MS = 60_000
"""A subscription whose client is gone dies after so long."""
LAST_SEQUENCE = 2**32 - 1
EVENTS_QUEUED = 1000

_DEADBANDS = {"absolute": ua.DeadbandType.Absolute, "percent": ua.DeadbandType.Percent}
_FILTER_CODES = {
    ua.StatusCodes.BadMonitoredItemFilterInvalid,
    ua.StatusCodes.BadMonitoredItemFilterUnsupported,
    ua.StatusCodes.BadFilterNotAllowed,
    ua.StatusCodes.BadDeadbandFilterInvalid,
}


class Subscription:
    """Lives on one session. Its id is the server's, 0 before it is created."""

    def __init__(self, unit: Unit, scan: int) -> None:
        self.unit = unit
        self.scan = scan
        self.id = 0
        self.expected = 1
        """The sequence number of the next message."""
        self.republished: deque[int] = deque(maxlen=MOST_REPUBLISHED)
        """Messages that were asked for again, and may come yet in their first edition."""
        self.heard_at = 0.0
        self.silence_s = float("inf")
        self._alarms: dict[int, Alarms] = {}
        self._interval_ms = unit.device.scan_classes[scan][0]

    async def create(self, session: Session) -> None:
        """Raises ua.UaStatusCodeError or NotConnected."""
        publishing = self.unit.device.publishing_interval or self._interval_ms
        keep_alives = max(1, KEEP_ALIVE_MS // publishing)
        request = ua.CreateSubscriptionRequest()
        request.Parameters.RequestedPublishingInterval = float(publishing)
        request.Parameters.RequestedMaxKeepAliveCount = keep_alives
        request.Parameters.RequestedLifetimeCount = max(3 * keep_alives, LIFETIME_MS // publishing)
        request.Parameters.MaxNotificationsPerPublish = 0
        request.Parameters.PublishingEnabled = True
        result = (await session.ask(request)).Parameters
        self.id, self.expected = result.SubscriptionId, 1
        self.republished.clear()
        least_ms = max(publishing, KEEP_ALIVE_MS)
        keep_alive_ms = result.RevisedPublishingInterval * max(result.RevisedMaxKeepAliveCount, 1)
        keep_alive_ms = keep_alive_ms if keep_alive_ms > least_ms else least_ms  # also where it is not a number
        longest_ms = max(SILENT_KEEP_ALIVES * least_ms, LONGEST_SILENCE_MS)
        self.silence_s = min(SILENT_KEEP_ALIVES * keep_alive_ms, longest_ms) / 1000
        self.heard_at = asyncio.get_running_loop().time()

    async def monitor(self, session: Session, limits: Limits, items: Sequence[Item]) -> None:
        """Have items reported; one that is refused is set aside and costs no other. Raises NotConnected."""

        async def create(part: Sequence[Item]) -> Sequence[Any]:
            request = ua.CreateMonitoredItemsRequest()
            request.Parameters.SubscriptionId = self.id
            request.Parameters.TimestampsToReturn = TIMESTAMPS[self.unit.device.timestamps]
            request.Parameters.ItemsToCreate = [self._wanted(item) for item in part]
            results: list[Any] = (await session.ask(request)).Results
            return results

        try:
            results = await in_parts(items, limits.monitor, create)
        except ua.UaStatusCodeError as error:
            for item in items:
                self.unit.set_aside(item, f"the server refuses to monitor: {status_text(error.code)}")
            return
        for item, result in zip(items, results, strict=True):
            code = result.StatusCode.value
            if code >> 31:
                self.unit.set_aside(item, _refusal(item, code))
            else:
                item.monitored_id = result.MonitoredItemId
                self.unit.accepted(item)
                if item.is_alarms:
                    self._alarms[item.handle] = Alarms(self.unit, item)
        await self.refresh(session, [item.handle for item in items if item.is_alarms])

    async def refresh(self, session: Session, handles: Sequence[int]) -> None:
        """Have the conditions told that are active already. Raises NotConnected."""
        alarms = [self._alarms[handle] for handle in handles if handle in self._alarms]
        if alarms:
            why = await refresh(session, self.id)
            for one in alarms:
                one.begin(why)

    def take_events(self, events: Sequence[Any]) -> None:
        """Events of notifiers."""
        for event in events:
            if event.ClientHandle in self._alarms:
                self._alarms[event.ClientHandle].take(event.EventFields)

    async def look(self, session: Session) -> None:
        """Refresh again where the server wants that, and end refreshes that it does not end. Raises NotConnected."""
        now = asyncio.get_running_loop().time()
        for one in self._alarms.values():
            one.look(now)
        await self.refresh(session, [handle for handle, one in self._alarms.items() if one.wants_refresh])

    def _wanted(self, item: Item) -> Any:
        wanted = ua.MonitoredItemCreateRequest()
        attribute = ua.AttributeIds.EventNotifier if item.is_alarms else ua.AttributeIds.Value
        wanted.ItemToMonitor = ua.ReadValueId(NodeId=item.node, AttributeId=attribute)
        wanted.MonitoringMode = ua.MonitoringMode.Reporting
        parameters = wanted.RequestedParameters
        parameters.ClientHandle = item.handle
        parameters.SamplingInterval = float(self._interval_ms)
        parameters.QueueSize = item.queue_size
        parameters.DiscardOldest = True
        if item.is_alarms:
            parameters.SamplingInterval, parameters.QueueSize = 0.0, EVENTS_QUEUED
            parameters.Filter = event_filter()
        elif item.deadband is not None:
            kind, size = item.deadband
            parameters.Filter = ua.DataChangeFilter(
                Trigger=ua.DataChangeTrigger.StatusValue, DeadbandType=_DEADBANDS[kind], DeadbandValue=size
            )
        return wanted

    async def forget(self, session: Session, items: Sequence[Item]) -> None:
        """Have items not reported any more; the server may have forgotten them itself. Raises NotConnected."""
        ids = [item.monitored_id for item in items if item.monitored_id is not None]
        for item in items:
            item.monitored_id = None
        if not ids:
            return
        request = ua.DeleteMonitoredItemsRequest()
        request.Parameters.SubscriptionId = self.id
        request.Parameters.MonitoredItemIds = ids
        try:
            await session.ask(request)
        except ua.UaStatusCodeError:
            return

    async def delete(self, session: Session) -> None:
        """End it, where the server still has it. Raises NotConnected."""
        request = ua.DeleteSubscriptionsRequest()
        request.Parameters.SubscriptionIds = [self.id]
        self.id = 0
        try:
            await session.ask(request)
        except ua.UaStatusCodeError:
            return

    def missing(self, sequence_number: int, keep_alive: bool) -> list[int]:
        """Sequence numbers that were skipped before a message that has come; the next is expected from then on.

        A keep-alive has the number of the message to come, and takes none (OPC 10000-4, 5.14.5).
        """
        self.heard_at = asyncio.get_running_loop().time()
        if self.is_old(sequence_number):
            return []
        ahead = (sequence_number - self.expected) % LAST_SEQUENCE
        if ahead > LAST_SEQUENCE // 2:
            ahead = 0
        missing = [(self.expected - 1 + i) % LAST_SEQUENCE + 1 for i in range(min(ahead, 1000))]
        self.expected = sequence_number if keep_alive else sequence_number % LAST_SEQUENCE + 1
        return missing

    def is_old(self, sequence_number: int) -> bool:
        """Whether messages behind it have come already; the first one of all is not, wherever a server begins."""
        return self.expected > 1 and (sequence_number - self.expected) % LAST_SEQUENCE > LAST_SEQUENCE // 2

    def is_silent(self, now: float) -> bool:
        """Whether not even a keep-alive has come for too long."""
        return now - self.heard_at > self.silence_s


TIMESTAMPS = {
    "source": ua.TimestampsToReturn.Source,
    "server": ua.TimestampsToReturn.Server,
    "gateway": ua.TimestampsToReturn.Neither,
}


def _refusal(item: Item, code: int) -> str:
    if item.deadband is not None and code & 0xFFFF0000 in _FILTER_CODES:
        needs = "; in percent it needs the node's EURange" if item.deadband[0] == "percent" else ""
        return f"the server takes no server_deadband here: {status_text(code)}{needs}"
    return status_text(code)
