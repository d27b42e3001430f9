"""What is wrong with how parts are counted and cycles are timed, seen from the signals that show them."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.config.compose import Path
from gateway.config.findings import Finding
from gateway.config.nearest import unknown_signal
from gateway.config.parts import CounterConfig
from gateway.config.salvage import Parsed, ParsedMachine
from protocols.settings import duration_text


def parts_findings(name: str, machine: ParsedMachine, parsed: Parsed) -> Iterator[Finding]:
    """Everything about one machine's counters and its cycle signal."""
    roles: dict[str, str | int] = {}
    for path, (counter, is_text) in machine.counters.items():
        at: Path = ("machines", name, "parts", *path)
        place = at if is_text else (*at, "signal")
        if counter.signal in roles:
            yield Finding(place, f"{counter.signal} is the {roles[counter.signal]} counter already; leave one out")
        roles.setdefault(counter.signal, path[0])
        if counter.signal not in parsed.types:
            yield Finding(place, unknown_signal(counter.signal, parsed.types))
        else:
            yield from _counter(at, place, counter, parsed)
    yield from _cycle(name, machine, parsed)


def _counter(at: Path, place: Path, counter: CounterConfig, parsed: Parsed) -> Iterator[Finding]:
    signal = parsed.signals.get(counter.signal)
    if signal is None or signal.value_type is None:
        return
    if signal.value_type in ("bool", "text"):
        what = "a truth value" if signal.value_type == "bool" else "a text"
        yield Finding(place, f"{counter.signal} is {what} and cannot be a counter; a counter is a number")
    elif signal.highest is None and signal.exact_to is None:
        words = f"{counter.signal} has a scale or an offset; a counter is the plain number of parts"
        yield Finding(place, words)
    elif signal.exact_to is not None and counter.rollover is None:
        words = f"{counter.signal} is a floating-point number: exact to {signal.exact_to:,} only"
        yield Finding(place, words, note=True)
    limit = signal.highest or signal.exact_to
    if counter.rollover is not None and limit is not None and counter.rollover > limit:
        words = f"{counter.rollover} is more than {counter.signal} can hold; its type ends at {limit}"
        yield Finding((*at, "rollover"), words)


def _cycle(name: str, machine: ParsedMachine, parsed: Parsed) -> Iterator[Finding]:
    """Whether cycles can be timed."""
    counters = {path[0]: (path, *given) for path, given in machine.counters.items()}
    if machine.cycle is not None:
        signal, place = machine.cycle, ("machines", name, "cycle", "signal")
        if signal not in parsed.types:
            yield Finding(place, unknown_signal(signal, parsed.types))
        elif (type_ := parsed.types.get(signal)) in ("bool", "text"):
            what = "a truth value" if type_ == "bool" else "a text"
            yield Finding(place, f"{signal} is {what}; a cycle time is a number")
    elif (paced := counters.get("total") or counters.get("good")) is not None:
        path, counter, is_text = paced
        signal, place = counter.signal, ("machines", name, "parts", *path, *(() if is_text else ("signal",)))
    else:
        return
    settings, device = parsed.signals.get(signal), parsed.devices.get(signal.partition(".")[0])
    if settings is None or device is None:
        return
    ideals = [one for one in (machine.pace, *(product.ideal_on(name) for product in parsed.listed)) if one is not None]
    interval = settings.scan_interval or device.scan_interval
    words = unseen(signal, interval, min(ideals, default=None), machine.cycle is not None)
    if words is not None:
        yield Finding(place, words, note=True)


def unseen(signal: str, interval_ms: int, ideal_ms: float | None, is_cycle: bool) -> str | None:
    """Why a scan does not show the parts of a machine, or its cycle signal's values, one by one; None where it does.

    Two scans a cycle are the fewest: with fewer, a scan that is a little late shows two parts.
    """
    if ideal_ms is None or 2 * interval_ms <= ideal_ms:
        return None
    read = f"{signal} is read every {duration_text(interval_ms)} and a part takes {ideal_ms:g}ms"
    needed = f"a scan_interval of at most {ideal_ms / 2:g}ms"
    if is_cycle:
        return f"{read}: cycles are missed; {needed} shows each"
    return (
        f"{read}: all are counted, but no cycle is sure to be seen by itself;"
        f" {needed} shows each, or `cycle` names a signal in which the PLC times them"
    )
