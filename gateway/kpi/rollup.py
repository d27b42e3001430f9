"""From machines to their line: whose time is the line's, what it made, and how fast that could have been made.

Never the mean of machines. Time is that of the constraint, parts are those that left the line and the scrap of all
stages, and the ideal is the cycle of the slowest stage. Machines that are independent are summed, times and counts,
before anything is divided.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isclose
from typing import Any, NamedTuple

from gateway.config.flow import Topology
from gateway.kpi.figures import DIGITS, Rules, figures, run_time
from gateway.kpi.tallies import Output, Tallies

IdealOf = Callable[[str, str | None], float | None]
"""Ideal milliseconds of one part of a product on a machine, in the machine's unit; None where nothing says it."""
WEIGHED = ("unrecovered", "minor_ms", "down_ms", "down_lost_ms", "repair_ms", "excess_ms")


class Plant(NamedTuple):
    """What is known of a line besides its figures."""

    topology: Topology
    constraint: str | None
    each: Mapping[str, int]
    """Parts in the line's unit of one part of each machine."""
    ideal_of: IdealOf
    rules: Mapping[str, Rules]
    """Of each machine."""


class Rolled(NamedTuple):
    """A line's window."""

    figures: dict[str, Any]
    rollup: dict[str, Any]


def roll_up(plant: Plant, machines: Mapping[str, Tallies]) -> Rolled:
    """The figures of a line from its machines' windows over the same time."""
    rules = Rules(max_plausible=max(plant.rules[name].max_plausible for name in machines))
    if not plant.topology.is_line:
        return _summed(plant, machines, rules)
    constraint, cycles = constraint_of(plant, machines), _Cycles(plant, machines)
    shares = weights(plant, constraint, machines)
    line = _weighed([machines[one] for one in constraint], shares)
    run = sum(w * run_time(machines[one], plant.rules[one]) for one, w in zip(constraint, shares, strict=True))
    out = [one for one in plant.topology.out if one in machines]
    line.unrecovered = min(
        line.pbt, _weighed([machines[one] for one in out], weights(plant, out, machines)).unrecovered
    )
    line.products = _products(plant, machines, out, cycles)
    line.unknown_ns, line.start_up_ns = 0, 0
    line.recovered = sum(machines[one].recovered * plant.each[one] for one in out)
    line.has_ideal = any(cycles.of(product) is not None for product in line.products or [None])
    line.unlisted = any(one.unlisted for one in machines.values())
    line.counts = all(machines[one].counts for one in out)
    line.counts_scrap = all(one.counts_scrap for one in machines.values())
    line.counts_rework = False
    found = figures(line, rules, round(run))
    _derive(found, rules)
    cycle = cycles.of(_main_product(line))
    rollup = {"rule": "constraint", "machines": list(constraint), "out": out, "cycle_s": _seconds(cycle)}
    return Rolled({**found, "throughput_yield": _throughput_yield(plant, machines)}, rollup)


def constraint_of(plant: Plant, machines: Mapping[str, Tallies]) -> tuple[str, ...]:
    """The machines whose time is the line's, given or not: the one that is named, else those of the slowest stage."""
    if plant.constraint is not None:
        return (plant.constraint,)
    products = Tallies()
    for one in plant.topology.out:
        if one in machines:
            products += machines[one]
    product, cycles = _main_product(products), _Cycles(plant, machines)
    return max(plant.topology.stages, key=lambda stage: cycles.of_stage(stage, product) or 0.0)


def weights(plant: Plant, names: Sequence[str], machines: Mapping[str, Tallies]) -> list[float]:
    """What each of several machines side by side contributes: its ideal rate's share, or the same for all."""
    rates = []
    for name in names:
        ideal = _ideal_of(plant, machines, name, _main_product(machines[name]))
        rates.append(plant.each[name] / ideal if ideal else 0.0)
    if not all(rates):
        rates = [1.0] * len(names)
    return [rate / sum(rates) for rate in rates]


def _ideal_of(plant: Plant, machines: Mapping[str, Tallies], name: str, product: str | None) -> float | None:
    """The ideal that was in force when the parts were made: where a signal gives it, it is another by now."""
    now = plant.ideal_of(name, product)
    made = machines[name].products.get(product or "") if name in machines else None
    if made is None or made.unpriced or made.pq <= 0:
        return now
    then = made.ideal_ns / made.pq / 1e6
    return now if now is not None and isclose(now, then, rel_tol=1e-6) else then


class _Cycles:
    """Milliseconds of one part in the line's unit."""

    def __init__(self, plant: Plant, machines: Mapping[str, Tallies]) -> None:
        self._plant, self._machines = plant, machines
        self._slowest: dict[str | None, float | None] = {}

    def of(self, product: str | None) -> float | None:
        """Of the slowest stage, among those that have an ideal; None where none has."""
        if product not in self._slowest:
            known = [self.of_stage(stage, product) for stage in self._plant.topology.stages]
            self._slowest[product] = max((one for one in known if one is not None), default=None)
        return self._slowest[product]

    def of_stage(self, stage: Sequence[str], product: str | None) -> float | None:
        """Parallel machines' rates add; None unless all of them have an ideal."""
        each = self._plant.each
        ideals = [(_ideal_of(self._plant, self._machines, name, product), each[name]) for name in stage]
        rate = sum(each / ideal for ideal, each in ideals if ideal)
        return 1 / rate if rate and all(ideal for ideal, _ in ideals) else None


def _products(plant: Plant, machines: Mapping[str, Tallies], out: Sequence[str], cycles: _Cycles) -> dict[str, Output]:
    """Good parts where they leave the line, and the scrap of all stages, at the cycle of the slowest."""
    products: dict[str, Output] = {}
    for name, tallies in machines.items():
        each = plant.each[name]
        for product, made in tallies.products.items():
            line, cycle = products.setdefault(product, Output()), cycles.of(product or None)
            good, spread = (made.gq * each, made.spread * each) if name in out else (0, 0)
            scrap, ns = made.sq * each, 0 if cycle is None else round(cycle * 1e6)
            ideal = _ideal_of(plant, machines, name, product or None)
            less = made.less_ns / (ideal * 1e6) * each if ideal and name in out else 0.0
            line += Output(
                pq=good + scrap,
                gq=good,
                sq=scrap,
                ideal_ns=(good + scrap) * ns,
                good_ns=good * ns,
                scrap_ns=scrap * ns,
                spread=spread,
                spread_ns=spread * ns,
                less_ns=round(less * ns),
                unpriced=good if cycle is None else 0,
            )
            products[product] = line
    return products


def _weighed(tallies: Sequence[Tallies], shares: Sequence[float]) -> Tallies:
    """Time of machines side by side: of each category the mean by their shares, to the millisecond of the window."""
    if len(tallies) == 1:
        return tallies[0].copy()
    line = Tallies()
    for one in tallies:
        line += one
    categories = list(line.time)
    exact = {c: sum(w * one.time.get(c, 0) for one, w in zip(tallies, shares, strict=True)) for c in categories}
    line.time = {category: int(ms) for category, ms in exact.items()}
    left = max(one.length for one in tallies) - sum(line.time.values())
    for category in sorted(categories, key=lambda c: (int(exact[c]) - exact[c], c))[: max(0, left)]:
        line.time[category] += 1
    for name in WEIGHED:
        weighed = sum(w * getattr(one, name) for one, w in zip(tallies, shares, strict=True))
        setattr(line, name, round(weighed))
    return line


def _derive(found: dict[str, Any], rules: Rules) -> None:
    """Performance of a line is what OEE leaves to it."""
    oee, availability, quality = found["oee"], found["availability"], found["quality"]
    of_others = None if availability is None else availability * (1.0 if quality is None else quality)
    found["effectiveness"] = None if oee is None or not of_others else round(oee / of_others, DIGITS)
    flags = [flag for flag in found["flags"] if flag != "suspect_ideal"]
    is_suspect = found["effectiveness"] is not None and found["effectiveness"] > rules.max_plausible
    found["flags"] = (["suspect_ideal"] if is_suspect else []) + flags


def _summed(plant: Plant, machines: Mapping[str, Tallies], rules: Rules) -> Rolled:
    """Independent machines: times and counts are added, parts in the line's unit."""
    line, run = Tallies(), 0
    for name, tallies in machines.items():
        run += run_time(tallies, plant.rules[name])
        mine, each = tallies.copy(), plant.each[name]
        for output in mine.products.values():
            for count in ("pq", "gq", "sq", "rq", "spread", "unpriced"):
                setattr(output, count, getattr(output, count) * each)
        line += mine
    rollup = {"rule": "sum", "machines": list(machines), "out": list(machines), "cycle_s": None}
    return Rolled({**figures(line, rules, run), "throughput_yield": None}, rollup)


def _throughput_yield(plant: Plant, machines: Mapping[str, Tallies]) -> float | None:
    """Stage yields multiply; None where a stage does not say what is scrap, or made nothing."""
    product = 1.0
    for stage in plant.topology.stages:
        parts = [machines[one].parts for one in stage if one in machines and machines[one].counts_scrap]
        produced = sum(one.pq for one in parts)
        if len(parts) < len(stage) or not produced:
            return None
        product *= sum(one.gq for one in parts) / produced
    return round(product, DIGITS)


def _main_product(tallies: Tallies) -> str | None:
    """What was made most."""
    made = sorted(tallies.products.items(), key=lambda one: (-one[1].gq, one[0]))
    return (made[0][0] or None) if made else None


def _seconds(ms: float | None) -> float | None:
    return None if ms is None else round(ms) / 1000
