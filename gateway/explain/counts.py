"""Where parts come from: `machine.production` and `counter.fault` in words."""

from __future__ import annotations

from typing import Any

from gateway.config.model import CounterConfig, MachineConfig
from gateway.explain.events import Found
from gateway.explain.explanation import Clock, Explanation, Section
from gateway.explain.places import Places
from gateway.kpi.parts import DEFAULT_RATE_FACTOR
from gateway.signals import moduli

PROCEDURE = (
    "a step forward that the machine can have made since the last reading counts, also through a rollover",
    "else a small value is perhaps a reset: what it shows is certain, what was made before it is not",
    "else a small step back is perhaps a correction by hand",
    "else it is a jump: nothing is counted, and counting goes on from there",
    "the last three wait for the next reading; where it does not go on from there, the value was torn",
)
"""How a reading is judged, in this order (`gateway/kpi/counter.py`)."""


def explain_production(found: Found, places: Places, clock: Clock) -> Explanation:
    """Parts of a minute, or of an outage."""
    data, machine = found.data, str(found.event["subject"])
    headline = (
        f"{machine} made {data['total']:,} parts, {data['good']:,} good, from {clock.moment(data['began'])} "
        f"to {clock.moment(data['ended'])}"
    )
    config = places.machine(machine)
    sections = [_window(data), _readings(data, found, config, machine, places), _third(config), _doubts(data)]
    return Explanation(headline, sections, [])


def _window(data: dict[str, Any]) -> Section:
    section = Section("Why this time")
    if data["recovered"]:
        return section.say(
            f"{data['recovered']:,} parts are recovered: they were made while the PLC or the gateway was away, and "
            "belong to the whole outage"
        )
    return section.say("parts are published each minute of UTC; the first begins with its first part's minute")


def _readings(
    data: dict[str, Any], found: Found, config: MachineConfig | None, machine: str, places: Places
) -> Section:
    section = Section("From which readings")
    before = found.before()
    counters = () if config is None or config.parts is None else config.parts.counters
    by_signal = {counter.signal: (path, counter) for path, counter in counters}
    for signal, value in data["counter"].items():
        path, counter = by_signal.get(signal, ((), None))
        place = places.at("machines", machine, "parts", *path) if path else ""
        then = None if before is None else before["data"]["counter"].get(signal)
        step = ""
        if then is not None and value is not None:
            modulus = _modulus(places, signal, counter)
            forward = value - then if modulus is None else (value - then) % modulus
            step = f"; the event before it ended with {then:,}, a step of {forward:,}"
        role = path[0] if path else "parts"
        section.say(f"{signal}{place}, the counter of {role}, ended with {_number(value)}{step}")
    return section


def _third(config: MachineConfig | None) -> Section:
    section = Section("What follows from what")
    counters = () if config is None or config.parts is None else config.parts.counters
    has = {str(path[0]) for path, _ in counters} - {"rework"}
    words = {
        frozenset({"total"}): "with a total alone all parts are good, and scrap is not known",
        frozenset({"good"}): "with good parts alone they are the total, and scrap is not known",
        frozenset({"total", "good"}): "scrap is the total less good parts",
        frozenset({"total", "scrap"}): "good parts are the total less scrap",
        frozenset({"good", "scrap"}): "the total is good parts and scrap",
    }.get(frozenset(has))
    return section.say(words or "", "figures are never negative: what would be is carried over to the next minute")


def _doubts(data: dict[str, Any]) -> Section:
    section = Section("What is not certain")
    for key, what in (("ambiguous", "the total"), ("ambiguous_scrap", "scrap")):
        bounds = data.get(key)
        if bounds is not None:
            section.say(
                f"{what} lies between {bounds['low']:,} and {bounds['high']:,}: a counter rolled over, or was reset, "
                "while nobody looked; the smallest number that fits is counted"
            )
    return section


def explain_fault(found: Found, places: Places, clock: Clock) -> Explanation:
    """A step that no production explains."""
    data, signal = found.data, str(found.data["signal"])
    if found.event["subject"] == "line":
        return _explain_range(data)
    headline = (
        f"{signal} made a step that no production explains: {_number(data['before'])} to {_number(data['after'])}"
    )
    section = Section("Why a fault").say(data["why"])
    for name, machine in places.config.machines.items():
        for path, counter in () if machine.parts is None else machine.parts.counters:
            if counter.signal == signal:
                section.say(*_limits(data, name, path, counter, places))
    section.say(f"{data['counted']:,} parts were counted for it")
    return Explanation(headline, [section, Section("How a reading is judged", list(PROCEDURE))], [])


def _explain_range(data: dict[str, Any]) -> Explanation:
    headline = f"between {data['signal']} {data['after']:,} parts would have had to lie, where {data['before']:,} fit"
    section = Section("Why a fault").say(
        data["why"],
        "parts out of the machines before it, less parts into those behind it, lie between; where that was lowest since"
        " counting began it is taken to have been empty",
        "the number of parts there is not known until it has come back to where it is now",
    )
    return Explanation(headline, [section], [])


def _limits(
    data: dict[str, Any], name: str, path: tuple[str | int, ...], counter: CounterConfig, places: Places
) -> list[str]:
    lines = [f"it counts {path[0]} of {name}{places.at('machines', name, 'parts', *path)}"]
    modulus = _modulus(places, counter.signal, counter)
    if modulus is not None and data["before"] is not None and data["after"] is not None:
        step = (data["after"] - data["before"]) % modulus
        lines.append(f"it has {modulus:,} values, so that the step is {step:,} forward")
    ideal_ms = places.ideal_ms(name, data["product"])
    if counter.max_rate is not None:
        rate = f"{60_000 / counter.max_rate:,.6g} a minute (`max_rate`)"
    elif ideal_ms is not None:
        rate = f"{DEFAULT_RATE_FACTOR * 60_000 / ideal_ms:,.6g} a minute, {DEFAULT_RATE_FACTOR} times the ideal"
    else:
        return [*lines, "neither `ideal` nor `max_rate` says how fast it can count: half its range is believed"]
    return [*lines, f"it can count {rate}, over the time since it last changed, at most a minute, or the outage"]


def _modulus(places: Places, signal: str, counter: CounterConfig | None) -> int | None:
    if counter is not None and counter.rollover is not None:
        return counter.rollover + 1
    return moduli(places.config).get(signal)


def _number(value: int | None) -> str:
    return "nothing yet" if value is None else f"{value:,}"
