"""What only several sections together can show: names that meet, references that lead nowhere, rules that never hold.

Works on whatever could be read of a file, so that one bad section does not hide what is wrong with another.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator

from gateway.config.compose import Path
from gateway.config.crosscheck_calendar import calendar_findings
from gateway.config.crosscheck_flow import flow_findings
from gateway.config.crosscheck_parts import parts_findings
from gateway.config.crosscheck_work import work_findings
from gateway.config.findings import Finding
from gateway.config.model import ModeConfig, PackmlStateConfig, SignalReason
from gateway.config.nearest import unknown_signal
from gateway.config.salvage import Parsed, ParsedMachine
from gateway.states.expression import ExpressionProblem, compile_expression
from gateway.uplinks.file.config import FileUplink
from protocols.settings import shown

TAKEN = ("line", "gateway")
"""Subjects of events of their own."""
BUFFER = "the buffer"
BUFFER_ENDINGS = ("", "-wal", "-shm", "-journal", ".lock")
"""What follows the buffer's path in the names of its files."""


def crosscheck(parsed: Parsed) -> Iterator[Finding]:
    """Everything that the sections together have wrong, and what is worth a note."""
    yield from _names(parsed)
    for name, machine in parsed.machines.items():
        yield from _rules(name, machine, parsed)
        yield from parts_findings(name, machine, parsed)
        yield from _reasons(("machines", name, "reasons"), machine.reasons)
    yield from _reasons(("reasons",), parsed.reasons)
    yield from _trends(parsed)
    yield from _devices(parsed)
    yield from _endpoints(parsed)
    yield from _files(parsed)
    yield from _uplinks(parsed)
    yield from calendar_findings(parsed)
    yield from flow_findings(parsed)
    yield from work_findings(parsed)


def _names(parsed: Parsed) -> Iterator[Finding]:
    for section, names in (("devices", parsed.device_names), ("machines", parsed.machine_names)):
        for name in names:
            if name in TAKEN:
                words = f"{name} is taken: events about the {name} itself have this subject; choose another name"
                yield Finding((section, name), words, key=True)
            elif section == "machines" and name in parsed.device_names:
                words = "a device has this name too; devices and machines share one namespace, so rename one of them"
                yield Finding((section, name), words, key=True)


def _rules(name: str, machine: ParsedMachine, parsed: Parsed) -> Iterator[Finding]:
    at: Path = ("machines", name, "states")
    hidden = False
    for index, rule in machine.rules.items():
        if rule.when is not None:
            try:
                compile_expression(rule.when, parsed.types)
            except ExpressionProblem as problem:
                for one in (problem, *problem.more):
                    yield Finding((*at, index, "when"), one.message, offset=one.column)
        elif rule.state is not None and index + 1 < machine.rule_count and not hidden:
            hidden = True  # said once, at the first that is hidden
            words = "can never hold: the rule before it has no `when`, so it always holds; move that to the end"
            yield Finding((*at, index + 1), words)
        if isinstance(rule.reason, SignalReason):
            yield from _reason((*at, index, "reason"), rule.reason, parsed)
    if machine.packml is not None:
        packml, is_text = machine.packml
        yield from _packml(
            ("machines", name, "packml_state") if is_text else (*at[:2], "packml_state", "signal"), packml, parsed
        )
    if machine.mode is not None:
        mode, is_text = machine.mode
        yield from _mode(("machines", name, "mode") if is_text else ("machines", name, "mode", "signal"), mode, parsed)
    last = machine.rules.get(machine.rule_count - 1)
    if last is not None and last.when is not None and machine.packml is None:
        words = "the last rule has a `when`: where no rule holds, the state is undefined"
        yield Finding((*at, machine.rule_count - 1), words, note=True)


def _reason(at: Path, reason: SignalReason, parsed: Parsed) -> Iterator[Finding]:
    place: Path = (*at, next(way for way in ("signal", "bits", "alarms") if getattr(reason, way) is not None))
    if reason.source not in parsed.types:
        yield Finding(place, unknown_signal(reason.source, parsed.types))
    elif reason.bits is not None and parsed.types.get(reason.source) in ("bool", "float", "text"):
        yield Finding(place, f"{reason.source} has no bits; name a whole number, or write `signal: {reason.source}`")
    elif reason.alarms is not None and (signal := parsed.signals.get(reason.source)) and not signal.is_alarm:
        words = "write `signal:` in place of `alarms:`, or give an OPC UA device a signal like {alarms: i=2253}"
        yield Finding(place, f"{reason.source} is a variable and no alarms; {words}")


def _mode(at: Path, mode: ModeConfig, parsed: Parsed) -> Iterator[Finding]:
    if mode.signal not in parsed.types:
        yield Finding(at, unknown_signal(mode.signal, parsed.types))


def _packml(at: Path, packml: PackmlStateConfig, parsed: Parsed) -> Iterator[Finding]:
    if packml.signal not in parsed.types:
        yield Finding(at, unknown_signal(packml.signal, parsed.types))
    elif (type_ := parsed.types.get(packml.signal)) in ("bool", "text"):
        what = "a truth value" if type_ == "bool" else "a text"
        yield Finding(at, f"{packml.signal} is {what}; a PackML state is a number")


def _trends(parsed: Parsed) -> Iterator[Finding]:
    for signal, trend in parsed.trends.items():
        at: Path = ("trends", signal)
        if signal not in parsed.types:
            yield Finding(at, unknown_signal(signal, parsed.types), key=True)
        elif trend is not None and (type_ := parsed.types.get(signal)) in ("bool", "text"):
            what = f"{signal} is a {'truth value' if type_ == 'bool' else 'text'}"
            if trend.swinging_door is not None:
                yield Finding((*at, "swinging_door"), f"{what}; only numbers lie on lines, write `on_change: true`")
            elif wrong := {"mean", "min", "max"}.intersection(trend.aggregates or ()):
                yield Finding((*at, "aggregates"), f"{what}, which has no {' or '.join(sorted(wrong))}")


def _reasons(at: Path, keys: list[str | int]) -> Iterator[Finding]:
    numbers = {str(key) for key in keys if isinstance(key, int)}
    for key in keys:
        if isinstance(key, str) and key in numbers:
            yield Finding((*at, key), f"the number {key} has a text already; keep one of them", key=True)


def _devices(parsed: Parsed) -> Iterator[Finding]:
    first: dict[str, str] = {}
    for name, device in parsed.devices.items():
        if (other := first.setdefault(device.identity, name)) != name:
            words = f"reads the same device as {other} ({device.identity}); is that meant?"
            yield Finding(("devices", name), words, note=True, key=True)
        for path, words in device.notes:
            yield Finding(("devices", name, *path), words, note=True)


def _endpoints(parsed: Parsed) -> Iterator[Finding]:
    """Devices behind one connection say the same of it."""
    first: dict[str, str] = {}
    for name, device in parsed.devices.items():
        other = first.setdefault(device.endpoint, name)
        mine, theirs = device.transport, parsed.devices[other].transport
        keys = ["protocol"] if mine["protocol"] != theirs["protocol"] else mine
        for key in keys:
            if mine[key] != theirs[key]:
                words = (
                    f"is {shown(mine[key])} here and {shown(theirs[key])} for {other}, which has the same connection"
                )
                remedy = "give both the same, or another endpoint"
                yield Finding(("devices", name, *key.split(".")), f"{words} ({device.endpoint}); {remedy}")


def _files(parsed: Parsed) -> Iterator[Finding]:
    """No two write one file: the buffer with what SQLite and the lock lay beside it, each uplink with its closed ones.

    Relative paths are under the state directory, which only the daemon knows: what may be the same gets a note.
    """
    written: dict[str, str] = {}
    if parsed.buffer is not None:
        written = {_resolved(parsed.buffer.path) + ending: BUFFER for ending in BUFFER_ENDINGS}
    for name, uplink in parsed.uplinks.items():
        if isinstance(uplink, FileUplink):
            path = _resolved(uplink.path)
            at: Path = ("uplinks", name, "path")
            if owner := next((who for other, who in written.items() if _is_same(path, other, who)), None):
                yield Finding(at, f"{owner} writes this file already; choose another")
            elif owner := next((who for other, who in written.items() if _may_be_same(path, other)), None):
                words = f"{owner} writes a file of this name too; choose another if both are in the state directory"
                yield Finding(at, words, note=True)
            written.setdefault(path, f"the uplink {name}")


def _uplinks(parsed: Parsed) -> Iterator[Finding]:
    claimed: dict[tuple[str, str], str] = {}
    renamed: dict[str, str] = {}
    for name, uplink in parsed.uplinks.items():
        if uplink.was is not None and (other := renamed.setdefault(uplink.was, name)) != name:
            yield Finding(
                ("uplinks", name, "was"), f"the uplink {other} was {uplink.was} too; only one can go on from it"
            )
        if uplink.was in parsed.uplinks:
            yield Finding(
                ("uplinks", name, "was"),
                f"{uplink.was} is an uplink of this file, which has its place in the buffer itself; rename one at a "
                "time, and take `was` away once that is done",
            )
        for claim in uplink.claims:
            if (other := claimed.setdefault(claim, name)) != name:
                words = f"the uplink {other} has {claim[1]} too; give each its own {claim[0]}"
                yield Finding(("uplinks", name), words, note=True, key=True)
        for key, words in uplink.notes:
            yield Finding(("uplinks", name, key), words, note=True)
        for what, names in (("machines", parsed.machine_names), ("signals", parsed.signals)):
            for one, other in _alike(names) if uplink.CASELESS else ():
                words = (
                    f"the {what} {one} and {other} differ by case alone, and {uplink.CASELESS} may take them for one"
                )
                yield Finding(("uplinks", name), words, note=True, key=True)


def _alike(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each name that is another but for upper and lower case, with the first like it."""
    first: dict[str, str] = {}
    for name in names:
        if (other := first.setdefault(name.lower(), name)) != name:
            yield name, other


def _resolved(path: str) -> str:
    return os.path.realpath(path) if os.path.isabs(path) else os.path.normpath(path)


def _is_same(path: str, other: str, who: str) -> bool:
    """Whether an uplink's path is another's, or one of them has the name that closed files of the other get."""
    return path == other or _is_closed(other, path) or (who != BUFFER and _is_closed(path, other))


def _is_closed(name: str, of: str) -> bool:
    return re.fullmatch(re.escape(of) + r"\.[0-9]+(\.gz|\.zst)?(\.part)?", name) is not None


def _may_be_same(path: str, other: str) -> bool:
    """Whether an absolute path ends like a relative one."""
    relative, absolute = sorted((path, other), key=os.path.isabs)
    return not os.path.isabs(relative) and os.path.isabs(absolute) and absolute.endswith(os.sep + relative)
