"""Makes nodes ready to be asked: from addresses to NodeIds, types and points; what cannot be is set aside by name."""

from __future__ import annotations

from collections.abc import Sequence

from asyncua import ua

from protocols.opcua.describe import describe, embellish
from protocols.opcua.limits import Limits
from protocols.opcua.resolve import Unresolved, read_attributes, resolve
from protocols.opcua.session import Session
from protocols.opcua.unit import Item, Unit


async def prepare(
    session: Session, limits: Limits, namespaces: Sequence[str], unit: Unit, items: Sequence[Item]
) -> list[Item]:
    """Those of the items that can be asked now. Raises NotConnected."""
    found = await resolve(session, limits, namespaces, [item.address for item in items])
    there = []
    for item, node in zip(items, found, strict=True):
        if isinstance(node, Unresolved):
            unit.set_aside(item, str(node))
        else:
            item.node = node
            there.append(item)
    alarms = await _notifiers(session, limits, unit, [item for item in there if item.is_alarms])
    there = [item for item in there if not item.is_alarms]
    described = dict(zip(there, await describe(session, limits, [item.node for item in there]), strict=True))
    for item, one in described.items():
        if one.why is not None:
            unit.set_aside(item, one.why)
    known = {item: one for item, one in described.items() if one.why is None}
    await embellish(session, limits, [(item.node, one) for item, one in known.items()])
    structures = [one.data_type for one in known.values() if one.built_in == ua.VariantType.ExtensionObject]
    if structures:
        await unit.structures.learn(session, limits, structures)
    for item, one in known.items():
        unit.fit(item, one)
    return [item for item in known if item.points] + alarms


async def _notifiers(session: Session, limits: Limits, unit: Unit, items: Sequence[Item]) -> list[Item]:
    """Those whose node says that it notifies of events (EventNotifier: OPC 10000-3, 8.59)."""
    wanted = [(item.node, ua.AttributeIds.EventNotifier) for item in items]
    try:
        read = await read_attributes(session, limits, wanted)
    except ua.UaStatusCodeError as error:
        read = [ua.DataValue(StatusCode=ua.StatusCode(error.code)) for _ in items]
    good = []
    for item, value in zip(items, read, strict=True):
        held = None if value.Value is None else value.Value.Value
        if isinstance(held, int) and held & 1:
            unit.fit_alarms(item)
            good.append(item)
        else:
            unit.set_aside(item, "the node notifies of no events; one that does is the Server (i=2253)")
    return good
