"""What one machine and one window sum up to: whole milliseconds and parts, from which every KPI follows.

Everything here adds up: tallies of machines that are independent, or of windows that follow one another, can be
added, and figures are computed of the sum. Names in capitals are ISO 22400-2's. Ideal time is kept in whole
nanoseconds, so that sums are exact and do not depend on their order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from gateway.checkpoint import field_names

NOT_PLANNED = ("planned_stop", "no_demand")
"""Categories that are not in PBT."""
MOST_KEYS = 64
"""Reasons, or products, that are told apart; the rest is summed."""
REST = "*"
"""Key of the rest."""


@dataclass(slots=True)
class Output:
    """Parts of one product, in the machine's unit."""

    pq: int = 0
    """Produced (PQ)."""
    gq: int = 0
    """Good (GQ)."""
    sq: int = 0
    """Scrap (SQ)."""
    rq: int = 0
    """Reworked (RQ)."""
    ideal_ns: int = 0
    """Ideal production time of pq, Σ PRI·PQ."""
    good_ns: int = 0
    """Of gq, Σ PRI·GQ."""
    scrap_ns: int = 0
    """Of sq, Σ PRI·SQ."""
    spread: int = 0
    """How many more than pq there may be, where it is ambiguous."""
    spread_ns: int = 0
    """Ideal production time of those."""
    less_ns: int = 0
    """Of those in gq that may be scrap."""
    unpriced: int = 0
    """Parts of which nothing said how long they ideally take."""

    def __iadd__(self, other: Output) -> Output:
        for name in field_names(other):
            if value := getattr(other, name):
                setattr(self, name, getattr(self, name) + value)
        return self

    def carry(self) -> Output:
        """Take out what is negative: scrap, or good parts, may be counted before they are among those produced.

        What was taken out belongs to the next window, so that sums stay right.
        """
        pq, gq, sq = max(0, self.pq), max(0, self.gq), max(0, self.sq)
        if self.pq == self.gq + self.sq:  # one of them follows from the others
            gq = min(gq, pq)
            sq = pq - gq
        left = replace(self, pq=pq, gq=gq, sq=sq, rq=max(0, self.rq))
        left.ideal_ns, left.good_ns = _scaled(self.ideal_ns, pq, self.pq), _scaled(self.good_ns, gq, self.gq)
        left.scrap_ns = _scaled(self.scrap_ns, sq, self.sq)
        carried = Output()
        for name in ("pq", "gq", "sq", "rq", "ideal_ns", "good_ns", "scrap_ns"):
            setattr(carried, name, getattr(self, name) - getattr(left, name))
            setattr(self, name, getattr(left, name))
        return carried


@dataclass(slots=True)
class StopTime:
    """Stops of one kind and reason."""

    kind: str
    reason: str | None
    n: int = 0
    """How many began in the window."""
    ms: int = 0
    """Their planned time in the window."""


class Judged(NamedTuple):
    """What a stop counts as."""

    kind: str
    reason: str | None
    minor: bool
    failure: bool
    repair_ms: int

    @staticmethod
    def of(kind: str, reason: Mapping[str, Any] | None, minor: bool | None, repair_ms: int) -> Judged:
        """What can still be a minor stop counts as one; a downtime is a failure unless its reason says otherwise."""
        is_down = kind == "own" and minor is False
        is_failure = is_down and (reason is None or reason.get("failure") is not False)
        return Judged(
            kind, None if reason is None else reason["code"], kind == "own" and not is_down, is_failure, repair_ms
        )


@dataclass(slots=True)
class Tallies:
    """Adds up with `+=`; `time` of all categories is the window's length, to the millisecond."""

    time: dict[str, int] = field(default_factory=dict)
    """Milliseconds by category."""
    unrecovered: int = 0
    """U: unknown milliseconds over which no difference of a counter is certain."""
    minor_n: int = 0
    """Minor stops that began in the window."""
    minor_ms: int = 0
    """Time of minor stops in PBT that is neither production nor unknown."""
    down_ms: int = 0
    """Time of downtimes in PBT."""
    down_lost_ms: int = 0
    """What of that is neither production nor unknown."""
    failures: int = 0
    """Failures that began in the window."""
    repair_ms: int = 0
    """Their whole repair time, wherever it ends."""
    stops: dict[str, StopTime] = field(default_factory=dict)
    """By kind and reason."""
    products: dict[str, Output] = field(default_factory=dict)
    """Parts by product, empty where it is not known."""
    unknown_ns: int = 0
    """Ideal production time of those parts that were made in unknown time."""
    start_up_ns: int = 0
    """Of scrap that was made in setup."""
    recovered: int = 0
    """Parts that were counted over outages which reach beyond the window: they are in none of the other figures."""
    excess_ms: int = 0
    """Time of changeovers beyond their standard."""
    has_ideal: bool = False
    """Whether an ideal was known at any time."""
    unlisted: bool = False
    """Whether a product was worked on that the configuration's list does not have."""
    counts: bool = True
    """Whether parts are counted at all."""
    counts_scrap: bool = True
    """Whether anything says what is scrap."""
    counts_rework: bool = True
    """Whether rework is counted."""

    def __iadd__(self, other: Tallies) -> Tallies:
        _add(self, other)
        for category, ms in other.time.items():
            self.time[category] = self.time.get(category, 0) + ms
        self.add_parts(other.products)
        for stop in other.stops.values():
            self.stopped(stop.kind, stop.reason, stop.n, stop.ms)
        self.has_ideal |= other.has_ideal
        self.unlisted |= other.unlisted
        self.counts &= other.counts
        self.counts_scrap &= other.counts_scrap
        self.counts_rework &= other.counts_rework
        return self

    def __add__(self, other: Tallies) -> Tallies:
        both = self.copy()
        both += other
        return both

    def copy(self) -> Tallies:
        """Of its own."""
        stops = {key: replace(one) for key, one in self.stops.items()}
        products = {key: replace(one) for key, one in self.products.items()}
        return replace(self, time=dict(self.time), stops=stops, products=products)

    def spend(self, category: str, ms: int) -> None:
        """Time in a category."""
        self.time[category] = self.time.get(category, 0) + ms

    def stopped(self, kind: str, reason: str | None, n: int, ms: int) -> None:
        """Stops of one kind and reason; beyond MOST_KEYS they are summed."""
        key = f"{kind}:{'' if reason is None else reason}"
        if key not in self.stops:
            if len(self.stops) >= MOST_KEYS:
                key, kind, reason = REST, REST, None
            self.stops.setdefault(key, StopTime(kind, reason))
        stops = self.stops[key]
        stops.n += n
        stops.ms += ms
        if not stops.n and not stops.ms:
            del self.stops[key]

    def judge(self, stop: Judged, begins: int, planned: int, lost: int, sign: int = 1) -> None:
        """Count a stop with its planned milliseconds in here, and those lost; or, with -1, take it out again.

        `begins`: 1 where it began in here.
        """
        if begins or planned:
            self.stopped(stop.kind, stop.reason, sign * begins, sign * planned)
        if stop.kind != "own":
            return
        if stop.minor:
            self.minor_n += sign * begins
            self.minor_ms += sign * lost
            return
        self.down_ms += sign * planned
        self.down_lost_ms += sign * lost
        if begins and stop.failure:
            self.failures += sign
            self.repair_ms += sign * stop.repair_ms

    def carry(self) -> dict[str, Output]:
        """Take out of each product what is negative."""
        carried = ((product, output.carry()) for product, output in self.products.items())
        return {product: output for product, output in carried if output != Output()}

    def add_parts(self, products: Mapping[str, Output]) -> None:
        """What was carried here."""
        for product, output in products.items():
            self.output(product).__iadd__(output)

    def works_on(self, product: str | None, *, has_ideal: bool, listed: bool) -> None:
        """What is worked on at some time."""
        self.has_ideal |= has_ideal
        if product is not None:
            self.output(product)
        self.unlisted |= not listed

    def output(self, product: str | None) -> Output:
        """Where parts of a product are counted; beyond MOST_KEYS they are summed."""
        key = product or ""
        if key not in self.products and len(self.products) >= MOST_KEYS:
            key = REST
        return self.products.setdefault(key, Output())

    @property
    def length(self) -> int:
        """The window's milliseconds."""
        return sum(self.time.values())

    @property
    def pbt(self) -> int:
        """PBT: what is planned to be busy."""
        return self.length - sum(self.time.get(category, 0) for category in NOT_PLANNED)

    @property
    def parts(self) -> Output:
        """All products together."""
        total = Output()
        for output in self.products.values():
            total += output
        return total

    def checkpoint(self) -> dict[str, Any]:
        """Plain values from which `restored` makes it again: what is not as in empty tallies."""
        saved: dict[str, Any] = {name: value for name, value in _plain(self) if value != getattr(_EMPTY, name)}
        for name in ("stops", "products"):
            if name in saved:
                saved[name] = {key: [value for _, value in _plain(one)] for key, one in saved[name].items()}
        if "time" in saved:
            saved["time"] = dict(self.time)
        return saved

    @staticmethod
    def restored(saved: dict[str, Any]) -> Tallies:
        """From a checkpoint."""
        stops = {key: StopTime(*one) for key, one in saved.get("stops", {}).items()}
        products = {key: Output(*one) for key, one in saved.get("products", {}).items()}
        return Tallies(**{**saved, "stops": stops, "products": products, "time": dict(saved.get("time", {}))})


def _plain(one: Any) -> Iterator[tuple[str, Any]]:
    return ((name, getattr(one, name)) for name in field_names(one))


def _scaled(ns: int, parts: int, of: int) -> int:
    """The ideal time of so many of the parts."""
    return 0 if not parts else ns if parts == of else ns * parts // of


def _add(one: Any, other: Any) -> None:
    """Add what are numbers."""
    for name in field_names(other):
        value = getattr(other, name)
        if type(value) is int and value:
            setattr(one, name, getattr(one, name) + value)


_EMPTY = Tallies()
