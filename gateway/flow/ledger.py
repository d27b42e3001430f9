"""The ledger: what lies between machines, from parts out of those that feed a link and parts into those that it feeds.

Good parts of the feeding machines, less all parts of the fed ones, each times its `each`, is what has come to lie on a
link since counting began. What lay there before is not counted, so that the lowest sum so far is taken for an empty
link; a range that the link cannot hold shows that a counter is wrong, and then there is no number.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from gateway.config.flow import Link, Topology
from gateway.events import Event
from gateway.kpi.parts import UNBOUNDED, Parts
from gateway.tell import Teller

TOO_FULL = (
    "its counters say that more came to lie there than fits: one of them misses parts or counts some twice, parts are"
    " taken out or put in uncounted, or `capacity` is too low"
)


class Store:
    """What lies on one link, in the line's unit."""

    def __init__(self, link: Link, feeders: list[Parts], fed: list[Parts]) -> None:
        self.link = link
        self.name = f"{' + '.join(link.feeders)} > {' + '.join(link.fed)}"
        self._feeders, self._fed = feeders, fed
        self._all = [*feeders, *fed]
        self.is_counted = len(self._all) == len(link.feeders) + len(link.fed)
        """Whether every machine of it has a counter."""
        self._lowest: int | None = None
        self._highest = 0
        """Of the sum, as it was counted."""
        self._least = self._most = 0
        """The lowest sum, as high and as low as it can truly have been beside what was counted since."""
        self._top = 0
        """The highest, as low as it can truly have been."""
        self._beyond = 0
        """After a fault 1 where there were too many parts and -1 where too few, until the sum has come back from it."""
        self._missing = (0, 0)
        """As much of that as is taken into account."""

    @property
    def is_certain(self) -> bool:
        """Whether all its counters can be read, and nothing of an outage is still to come."""
        return self.is_counted and all(parts.is_certain for parts in self._all)

    @property
    def input(self) -> int:
        """What has left the link so far."""
        return sum(parts.net(parts.ever)[0] * parts.each for parts in self._fed)

    @property
    def sum(self) -> int:
        """What has come to lie on it since counting began; only differences mean anything."""
        return sum(parts.net(parts.ever)[1] * parts.each for parts in self._feeders) - self.input

    @property
    def bounds(self) -> tuple[int, int | None] | None:
        """The fewest and the most parts that can lie on it, None where any number can; None where nothing is known.

        A number that was ambiguous shifts the sum by as much: what was its lowest then may be that much apart from what
        is its lowest now. What cannot lie there narrows that again.
        """
        if self._lowest is None or self._beyond or not self.is_certain or self._missing != self.missing:
            return None
        return self._bounds(self.sum)

    def _bounds(self, here: int) -> tuple[int, int | None]:
        low, high, widest = max(0, here - self._least), max(0, here - self._most), self._widest
        if low < high and widest is not None:
            high = max(low, min(high, widest))
        return low, high if high < UNBOUNDED else None

    @property
    def wip(self) -> int | None:
        """Parts that lie on it; None where that is not known."""
        low, high = self.bounds or (0, None)
        return low if low == high else None

    @property
    def used_up_at(self) -> int | None:
        """The input by which all that lies on it now has left it, by what was counted and as far as it can be so.

        What an outage hides yet is no part of that.
        """
        if self._lowest is None or self._beyond:
            return None
        here = self.sum
        low, high = self._bounds(here)
        counted = max(low, here - self._lowest)
        return self.input + (counted if high is None else min(counted, high))

    @property
    def missing(self) -> tuple[int, int]:
        """By how many parts its sum may be less, and more, than is counted."""
        feeders, fed = self._feeders, self._fed
        less = sum(one.missing[2] * one.each for one in feeders) + sum(one.missing[0] * one.each for one in fed)
        return less, sum(one.missing[1] * one.each for one in feeders)

    @property
    def doubts(self) -> int:
        """How often its counters have counted something that is not certain."""
        return sum(parts.doubts for parts in self._all)

    @property
    def _widest(self) -> int | None:
        """The widest range that can be true: machines are read one after the other."""
        if self.link.capacity is None:
            return None
        return self.link.capacity + sum(parts.largest_step * parts.each for parts in self._all)

    def follow(self) -> int | None:
        """Parts were counted: a range that cannot be true."""
        if not self.is_counted:
            return None
        here, missing = self.sum, self.missing
        is_new = missing != self._missing
        if self._lowest is not None and self._lowest <= here <= self._highest and not is_new:
            return None  # nothing new, certain or not
        if not self.is_certain:
            return None
        if self._lowest is None:
            self._begin(here, 0)
            return None
        if is_new:
            less, more = missing[0] - self._missing[0], missing[1] - self._missing[1]
            self._least, self._most, self._top = self._least + less, self._most - more, self._top - more
            self._missing = missing
        if (here < self._lowest and self._beyond > 0) or (here > self._highest and self._beyond < 0):
            self._beyond = 0
        self._lowest, self._highest = min(self._lowest, here), max(self._highest, here)
        self._least, self._top = min(self._least, here), max(self._top, here)
        self._most = min(self._most, here)
        widest, range_ = self._widest, max(here - self._least, self._top - here)
        if widest is not None and range_ > widest:
            self._begin(here, 1 if range_ == here - self._least else -1)
            return range_
        if widest is not None and self._most < self._least:
            self._most = max(self._most, here - widest)
        return None

    def _begin(self, here: int, beyond: int) -> None:
        self._lowest = self._highest = self._least = self._most = self._top = here
        self._beyond, self._missing = beyond, self.missing

    def checkpoint(self) -> list[Any]:
        """Plain values from which `restore` goes on."""
        bounds = [self._least, self._most, self._top]
        return [self._lowest, self._highest, self._beyond, *bounds, *self._missing]

    def restore(self, saved: list[Any]) -> None:
        """Go on from a checkpoint."""
        self._lowest, self._highest, self._beyond, self._least, self._most, self._top, *missing = saved
        self._missing = (missing[0], missing[1])


class Ledger:
    """All links of a line; its figures are in the line's unit."""

    def __init__(self, topology: Topology, parts: Mapping[str, Parts | None], teller: Teller) -> None:
        """`parts`: the counters of every machine, in the line's order."""
        self.stores = [
            Store(
                link,
                *(
                    [one for name in names if (one := parts.get(name)) is not None]
                    for names in (link.feeders, link.fed)
                ),
            )
            for link in topology.links
        ]
        self._of = [
            [store for store in self.stores if name in (*store.link.feeders, *store.link.fed)] for name in parts
        ]
        """Links of each machine, by its position."""
        self._before = {name: store for store in self.stores for name in store.link.fed}
        self._teller = teller

    def follow(self, machines: Collection[int], at: int) -> list[Event]:
        """Machines at these positions may have made parts."""
        events = []
        for store in {id(store): store for index in machines for store in self._of[index]}.values():
            if (range_ := store.follow()) is not None:
                data = {"signal": store.name, "before": store.link.capacity, "after": range_, "why": TOO_FULL}
                events.append(self._teller.event("counter.fault", "line", at, {**data, "counted": 0}))
        return events

    def used_up_at(self, machine: str) -> int | None:
        """The input by which a machine, and those beside it, will have taken what lies before them now; None where
        that is not known.
        """
        store = self._before.get(machine)
        return None if store is None else store.used_up_at

    def input_of(self, machine: str) -> int | None:
        """Parts that it and the machines beside it have taken so far; None for a machine that nothing feeds."""
        store = self._before.get(machine)
        return None if store is None or not store.is_counted else store.input

    def link_before(self, machine: str) -> str | None:
        """The name of the link that feeds a machine; None for one that nothing feeds."""
        store = self._before.get(machine)
        return None if store is None else store.name

    @property
    def balance(self) -> int | None:
        """What has come to lie on all links: its difference over a time is the change of WIP. None where not known."""
        return sum(store.sum for store in self.stores) if all(store.is_certain for store in self.stores) else None

    @property
    def doubts(self) -> int:
        """How often what was counted on them was not certain: over a time in which it grows, no difference is known."""
        return sum(store.doubts for store in self.stores)

    def snapshot(self) -> list[dict[str, Any]]:
        """The links as they are now, for people."""
        return [
            {
                "from": store.link.feeders,
                "to": store.link.fed,
                "capacity": store.link.capacity,
                "wip": store.wip,
                "wip_low": None if (bounds := store.bounds) is None else bounds[0],
                "wip_high": None if bounds is None else bounds[1],
            }
            for store in self.stores
        ]

    def checkpoint(self) -> dict[str, Any]:
        """Plain values from which `restore` goes on."""
        return {store.name: store.checkpoint() for store in self.stores}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on from a checkpoint; another link begins anew."""
        for store in self.stores:
            if (mine := saved.get(store.name)) is not None:
                store.restore(mine)
