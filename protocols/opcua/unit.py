"""One device behind a session: its nodes, what became of each, and what is to be reported of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from ext.table import Kind, SignalTable
from protocols.driver import LinkStats
from protocols.model import Batch, Learned, Notice
from protocols.opcua.address import Address
from protocols.opcua.config import OpcuaDevice
from protocols.opcua.describe import Description
from protocols.opcua.facts import printable
from protocols.opcua.point import Point, Shape, Unfit, make_point
from protocols.opcua.structures import Structures
from protocols.opcua.values import Points, Values

FIRST_RETRY_S = 2.0
LONGEST_RETRY_S = 60.0
"""A node that is not there is tried again at twice the distance each time."""
LOOK_SOON_S = 0.3
LOOK_S = 5.0
"""How often bad values are looked at for nodes that are gone."""

_VANISHED = ("BadNodeIdUnknown", "BadNodeIdInvalid", "BadNodeIdRejected", "BadMonitoredItemIdInvalid")
_CHANGED = ("does not fit", "where one value is expected", "and no array", "not as it is defined")
"""Words for values of another type than the server said when it was asked."""


@dataclass(eq=False, slots=True)
class Item:
    """One node, as one scan class asks it; several signals may take their parts of it."""

    scan: int
    address: Address
    written: str
    signals: list[int]
    queue_size: int
    deadband: tuple[str, float] | None
    is_alarms: bool = False
    """Whether the node is a notifier, of whose events the signal is made."""
    handle: int = -1
    node: Any = None
    """NodeId of the server as it is now; None where it has none."""
    points: dict[int, Point] = field(default_factory=dict)
    """By signal; one whose configuration does not fit the node has none."""
    monitored_id: int | None = None
    retry_at: float | None = None
    """When it is tried again; None where all is well."""
    retry_s: float = FIRST_RETRY_S
    accepted_at: float = 0.0


class Unit:
    """The signals of one device, by node."""

    def __init__(
        self,
        name: str,
        device: OpcuaDevice,
        table: SignalTable,
        stats: LinkStats,
        make_values: Callable[[OpcuaDevice, SignalTable, Points], Values],
    ) -> None:
        self.name = name
        self.device = device
        self.table = table
        self.structures = Structures()
        self.values = make_values(device, table, Points(table, self.structures))
        self.items = _items(device)
        self._stats = stats
        self._settings = tuple(device.signals.values())
        self._good = 0
        self._looked_at = 0.0
        self._handles = 0
        self._learned: dict[int, Learned] = {}
        self._notices: list[Notice] = []
        self._skewed = 0

    def fit(self, item: Item, described: Description) -> None:
        """Make the points of an item from what the server says of its node; one that does not fit is set aside."""
        made = {}
        for signal in item.signals:
            settings = self._settings[signal]
            try:
                if settings.steps:
                    shape = self.structures.shape(described, settings.steps)
                else:
                    texts = described.texts
                    shape = Shape(int(described.built_in.value), described.rank >= 0, texts, described.unit)
                made[signal] = make_point(signal, settings, shape)
            except Unfit as why:
                self._set_aside(item, [signal], str(why))
        if made.keys() == item.points.keys() and all(_is_alike(made[s], item.points[s]) for s in made):
            return
        item.handle, self._handles = self._handles, self._handles + 1
        item.points = made
        for signal, point in made.items():
            point.define(self.table)
            self.values.bind(item.handle, point)
            self._learned[signal] = point.learned

    def fit_alarms(self, item: Item) -> None:
        """Make the signal of a notifier: a text."""
        if item.handle >= 0:
            return
        item.handle, self._handles = self._handles, self._handles + 1
        (signal,) = item.signals
        settings = self._settings[signal]
        self.table.define(signal, Kind.TEXT, length=settings.length, encoding="utf-8")
        self._learned[signal] = Learned("string")

    def set_aside(self, item: Item, why: str) -> None:
        """A node cannot be had: its signals are bad, it is reported once, and tried again later."""
        item.node = item.monitored_id = None
        self._set_aside(item, item.signals, why)

    def _set_aside(self, item: Item, signals: Iterable[int], why: str) -> None:
        now = asyncio.get_running_loop().time()
        why = printable(why)
        if item.accepted_at and now - item.accepted_at > LONGEST_RETRY_S:
            item.retry_s = FIRST_RETRY_S
        item.retry_at = now + item.retry_s
        for signal in signals:
            self.table.fail(signal, why)
            if (self.name, signal) not in self._stats.quarantined:
                self._stats.quarantined.add((self.name, signal))
                self._stats.request_errors += 1
                self._notices.append(Notice(signal, True, item.written, why, item.retry_s))
        item.retry_s = min(2 * item.retry_s, LONGEST_RETRY_S)

    def accepted(self, item: Item) -> None:
        """A node is asked again, or for the first time."""
        item.accepted_at = asyncio.get_running_loop().time()
        taken = item.signals if item.is_alarms else list(item.points)
        if len(taken) == len(item.signals):
            item.retry_at = None
        for signal in taken:
            if (self.name, signal) in self._stats.quarantined:
                self._stats.quarantined.discard((self.name, signal))
                self._notices.append(Notice(signal, False, item.written, "it can be read again", 0.0))

    def due(self, now: float) -> list[Item]:
        """Items to be tried again."""
        return [item for item in self.items if item.retry_at is not None and item.retry_at <= now]

    def next_retry(self) -> float:
        """When the next item is tried again."""
        return min((item.retry_at for item in self.items if item.retry_at is not None), default=float("inf"))

    def missed(self, now: float) -> list[tuple[Item, str]]:
        """Items whose values say that their node is gone or has another type, with those words.

        Looks soon where fewer signals are usable than before, and now and then while any is not.
        """
        waited = now - self._looked_at
        lost = self.table.good < self._good and waited >= LOOK_SOON_S
        if not lost and not (self.table.good < len(self.table) and waited >= LOOK_S):
            self._good = max(self._good, self.table.good)
            return []
        self._good, self._looked_at = self.table.good, now
        found = []
        for item in self.items:
            whys = [self.table.read(signal)[3] or "" for signal in item.points] if item.node is not None else []
            why = next(
                (one for one in whys if one.startswith(_VANISHED) or any(word in one for word in _CHANGED)), None
            )
            if why is not None:
                found.append((item, why))
        return found

    def batch(self, scan: int) -> Batch:
        """What changed, as a batch of a scan class."""
        batch = Batch(self.name, scan, self.table.take())
        if (skewed := self.values.skewed) != self._skewed:
            self._stats.skewed, self._skewed = self._stats.skewed + skewed - self._skewed, skewed
        if self.table.good:  # while nothing can be used, nobody takes notices
            batch.notices, self._notices = self._notices, []
        if self._learned:
            batch.learned, self._learned = self._learned, {}
        return batch


def _items(device: OpcuaDevice) -> list[Item]:
    items: dict[Any, Item] = {}
    for scan, (_, signals) in enumerate(device.scan_classes):
        settings = list(device.signals.values())
        for number in signals:
            one = settings[number]
            queue_size = one.queue_size or device.queue_size
            written = one.node or one.alarms or ""
            key = (scan, written, queue_size, one.server_deadband, number if one.alarms is not None else None)
            if key not in items:
                is_alarms = one.alarms is not None
                items[key] = Item(scan, one.address, written, [], queue_size, one.server_deadband, is_alarms)
            items[key].signals.append(number)
    return list(items.values())


def _is_alike(a: Point, b: Point) -> bool:
    """Whether the table and the plan know a point already."""
    return (a.kind, a.learned, a.built_in, a.by_caller, a.invalid) == (
        b.kind,
        b.learned,
        b.built_in,
        b.by_caller,
        b.invalid,
    )
