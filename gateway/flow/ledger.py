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
from gateway.kpi.parts import Parts
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
        self._beyond = 0
        """After a fault 1 where there were too many parts and -1 where too few, until the sum has come back from it."""
        self._doubts = 0
        """As many of them as are taken into account."""

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
    def wip(self) -> int | None:
        """Parts that lie on it; None where that is not known."""
        if self._lowest is None or self._beyond or not self.is_certain or self._doubts != self.doubts:
            return None
        return max(0, self.sum - self._lowest)

    @property
    def used_up_at(self) -> int | None:
        """The input by which all that lies on it now has left it; what an outage hides yet is no part of that."""
        if self._lowest is None or self._beyond or self._doubts != self.doubts:
            return None
        return self.input + max(0, self.sum - self._lowest)

    @property
    def doubts(self) -> int:
        """How often its counters have counted something that is not certain."""
        return sum(parts.doubts for parts in self._all)

    @property
    def _most(self) -> int | None:
        """The widest range that can be true: machines are read one after the other."""
        if self.link.capacity is None:
            return None
        return self.link.capacity + sum(parts.largest_step * parts.each for parts in self._all)

    def follow(self) -> int | None:
        """Parts were counted: a range that cannot be true."""
        if not self.is_counted:
            return None
        here = self.sum
        if self._lowest is not None and self._lowest <= here <= self._highest and self._doubts == self.doubts:
            return None  # nothing new, certain or not
        if not self.is_certain:
            return None
        if self._lowest is None or self._doubts != self.doubts:
            self._begin(here, 0)  # what an outage hid may have been any number
            return None
        if (here < self._lowest and self._beyond > 0) or (here > self._highest and self._beyond < 0):
            self._beyond = 0
        lowest, highest = min(self._lowest, here), max(self._highest, here)
        most = self._most
        if most is not None and highest - lowest > most:
            self._begin(here, 1 if here == highest else -1)
            return highest - lowest
        self._lowest, self._highest = lowest, highest
        return None

    def _begin(self, here: int, beyond: int) -> None:
        self._lowest = self._highest = here
        self._beyond, self._doubts = beyond, self.doubts

    def checkpoint(self) -> list[Any]:
        """Plain values from which `restore` goes on."""
        return [self._lowest, self._highest, self._beyond, self._doubts]

    def restore(self, saved: list[Any]) -> None:
        """Go on from a checkpoint."""
        self._lowest, self._highest, self._beyond, self._doubts = saved


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
            {"from": store.link.feeders, "to": store.link.fed, "capacity": store.link.capacity, "wip": store.wip}
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
