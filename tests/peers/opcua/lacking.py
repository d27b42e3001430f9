"""What asyncua's server leaves out: index ranges, timestamps as asked, Republish, transfers, events of an area."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import Any

from asyncua import Server, ua
from asyncua.common.event_objects import Condition
from asyncua.common.methods import uamethod
from asyncua.common.utils import ServiceError
from asyncua.server.address_space import AttributeService
from asyncua.server.subscription_service import SubscriptionService


def complete(server: Server) -> None:
    """Puts these services in place of asyncua's own; before `init`."""
    iserver = server.iserver
    iserver.attribute_service = _Attributes(iserver.aspace)
    iserver.subscription_service = _Subscriptions(iserver.aspace, iserver=iserver)
    iserver.isession.subscription_service = iserver.subscription_service
    iserver.bind_condition_methods = True


def sliced(value: ua.DataValue, index_range: str | None) -> ua.DataValue:
    """The part that a NumericRange of one dimension names (OPC 10000-4, 7.27)."""
    if not index_range or value.Value is None or value.Value.Value is None:
        return value
    first, _, last = index_range.partition(":")
    if not first.isdigit() or (last and not (last.isdigit() and int(last) > int(first))):
        return ua.DataValue(StatusCode=ua.StatusCode(ua.StatusCodes.BadIndexRangeInvalid))
    whole = value.Value.Value
    if not isinstance(whole, list | str | bytes) or int(first) >= len(whole):
        return ua.DataValue(StatusCode=ua.StatusCode(ua.StatusCodes.BadIndexRangeNoData))
    part = whole[int(first) : int(last or first) + 1]
    return replace(value, Value=ua.Variant(part, value.Value.VariantType))


class _Attributes(AttributeService):  # type: ignore[misc]
    def read(self, params: Any) -> list[ua.DataValue]:
        asked = params.TimestampsToReturn
        return [
            _stamped(sliced(value, wanted.IndexRange), asked)
            for wanted, value in zip(params.NodesToRead, super().read(params), strict=True)
        ]


def _stamped(value: ua.DataValue, asked: ua.TimestampsToReturn) -> ua.DataValue:
    without: dict[str, None] = {}
    if asked in (ua.TimestampsToReturn.Server, ua.TimestampsToReturn.Neither):
        without["SourceTimestamp"] = None
    if asked in (ua.TimestampsToReturn.Source, ua.TimestampsToReturn.Neither):
        without["ServerTimestamp"] = None
    return replace(value, **without) if without else value


class _Subscriptions(SubscriptionService):  # type: ignore[misc]
    async def create_subscription(self, *given: Any, **named: Any) -> Any:
        result = await super().create_subscription(*given, **named)
        subscription = self.subscriptions[result.SubscriptionId]
        enqueue = subscription.enqueue_datachange_event

        async def enqueue_part(item_id: int, event: Any, size: int) -> None:
            item = subscription.monitored_item_srv._monitored_items[item_id]
            event.Value = sliced(event.Value, item.read_value_id.IndexRange)
            await enqueue(item_id, event, size)

        subscription.enqueue_datachange_event = enqueue_part
        return result

    async def transfer_subscriptions(self, params: Any, session_id: Any, callback: Any) -> Any:
        """Takes Publish requests of the new session from then on, and sends initial values where they are asked for."""
        results = await super().transfer_subscriptions(params, session_id, callback)
        for number, result in zip(params.SubscriptionIds, results, strict=True):
            if result.StatusCode.is_good():
                subscription = self.subscriptions[number]
                subscription.pub_request_callback = callback.__self__.get_publish_request
                if params.SendInitialValues:
                    await self._send_initial_values(subscription)
        return results

    async def _send_initial_values(self, subscription: Any) -> None:
        for number, item in subscription.monitored_item_srv._monitored_items.items():
            wanted = item.read_value_id
            if wanted.AttributeId != ua.AttributeIds.EventNotifier:
                value = self.aspace.read_attribute_value(wanted.NodeId, wanted.AttributeId)
                told = ua.MonitoredItemNotification(item.client_handle, value)
                await subscription.enqueue_datachange_event(number, told, item.queue_size)

    async def trigger_event(self, event: Any, subscription_id: int | None = None) -> None:
        """Every notifier reports all events, as an area does those of the machines in it."""
        if isinstance(event, Condition):
            self._conditions[event.NodeId] = event
            if not event.Retain:
                del self._conditions[event.NodeId]
        chosen = self.subscriptions if subscription_id is None else {subscription_id}
        for subscription in [self.subscriptions[each] for each in chosen]:
            await _report(subscription, event, None)

    @uamethod  # type: ignore[untyped-decorator]
    async def condition_refresh(self, parent: Any, subscription_id: int, item_id: int | None = None) -> Any:
        subscription = self.subscriptions.get(subscription_id)
        if subscription is None:
            return ua.StatusCode(ua.StatusCodes.BadSubscriptionIdInvalid)
        await self.standard_events[ua.ObjectIds.RefreshStartEventType].trigger(subscription_id=subscription_id)
        for event in self._conditions.values():
            await _report(subscription, event, item_id)
        await self.standard_events[ua.ObjectIds.RefreshEndEventType].trigger(subscription_id=subscription_id)
        return None

    def republish(self, params: Any) -> Any:
        subscription = self.subscriptions.get(params.SubscriptionId)
        if subscription is None:
            raise ServiceError(ua.StatusCodes.BadSubscriptionIdInvalid)
        kept = subscription._not_acknowledged_results.get(params.RetransmitSequenceNumber)
        if kept is None:
            raise ServiceError(ua.StatusCodes.BadMessageNotAvailable)
        return kept.NotificationMessage


async def _report(subscription: Any, event: Any, item_id: int | None) -> None:
    for notifier in subscription.monitored_item_srv._monitored_events:
        reported = copy(event)
        reported.emitting_node = notifier
        await subscription.monitored_item_srv.trigger_event(reported, item_id)
