"""Writes a proposal as YAML that a person pastes: texts quoted where they have to be, comments that stay comments."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from protocols.discovery import Discovery, FoundSignal, LeftOut, ProposedMachine, shown_line

MOST_LEFT_OUT = 40
"""Lines of what is not proposed; the rest is counted."""
MOST_FACTS = 60
_VALUE, _NOTE, _PLACE = 50, 160, 160
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_NOT_PLAIN = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
"""Words that some YAML takes for something else than a text."""
_ESCAPED = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def document(found: Discovery) -> str:
    """The proposal: who the device is as comments, `devices:`, and `machines:` where any was recognised."""
    lines = [_comment(f"{found.url}, as it was when it was looked at", 0)]
    lines += _facts(found, 0)
    if found.signals or any(one.signals for one in found.neighbours):
        lines.append("devices:")
    else:
        lines.append(_comment("nothing that can be proposed was found", 0))
    lines += _device(found) if found.signals else ()
    lines += _left_out(found.left_out)
    for one in found.neighbours:
        lines += [*_facts(one, 2), *(_device(one) if one.signals else ()), *_left_out(one.left_out)]
        lines += [_comment(note, 2) for note in one.notes]
    lines += [_comment(note, 2) for note in found.notes]
    if found.machines:
        lines += ["machines:", *(line for machine in found.machines for line in _machine(machine))]
    return "\n".join(lines) + "\n"


def flow(value: Any) -> str:
    """A value on one line."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"{value}"
        case str():
            return text(value)
        case Mapping():
            return "{" + ", ".join(f"{text(f'{key}')}: {flow(one)}" for key, one in value.items()) + "}"
        case Sequence():
            return "[" + ", ".join(map(flow, value)) + "]"
    raise TypeError(f"{type(value).__name__} has no place in a configuration")


def text(value: str) -> str:
    """A text, quoted unless it is a plain name."""
    if _PLAIN.fullmatch(value) and value.lower() not in _NOT_PLAIN:
        return value
    if '"' in value and "'" not in value and value.isprintable():
        return f"'{value}'"
    return '"' + "".join(map(_escaped, value)) + '"'


def _escaped(letter: str) -> str:
    if letter in _ESCAPED:
        return _ESCAPED[letter]
    if letter.isprintable():
        return letter
    number = ord(letter)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _comment(words: str, indent: int) -> str:
    return f"{' ' * indent}# {shown_line(words, _NOTE)}"


def _facts(found: Discovery, indent: int) -> list[str]:
    return [_comment(f"{what}: {text}", indent) for what, text in found.facts[:MOST_FACTS]]


def _device(found: Discovery) -> Iterator[str]:
    yield f"  {text(found.name)}:"
    yield from (f"    {key}: {flow(value)}" for key, value in found.settings.items())
    yield "    signals:"
    above: tuple[str, ...] | None = None
    for signal in found.signals:
        if signal.place[:-1] != above:
            if signal.place[:-1] or above:
                yield f"      # {shown_line('/'.join(signal.place[:-1]) or 'at the top', _PLACE)}"
            above = signal.place[:-1]
        yield f"      {signal.name}: {flow(_keys(signal))}{_beside(signal)}"


def _keys(signal: FoundSignal) -> dict[str, Any]:
    unit = {} if not signal.unit else {"unit": signal.unit[:_VALUE]}
    return {**signal.address, "type": signal.type, **signal.extra, **unit}


def _beside(signal: FoundSignal) -> str:
    """Value and notes, as a comment."""
    value = shown_line(signal.value, _VALUE) if signal.value.strip() else '""'
    notes = "; ".join(shown_line(note, _NOTE) for note in signal.notes if note)
    return f"  # {value}{'; ' if notes else ''}{notes}"


def _left_out(left_out: Sequence[LeftOut]) -> Iterator[str]:
    """What is there and is not proposed, written so that a person can take it in where that is possible."""
    if not left_out:
        return
    yield _comment("not proposed:", 2)
    for one in left_out[:MOST_LEFT_OUT]:
        address = f" {shown_line(flow(one.address), _PLACE)}" if one.address else ""
        yield f"  #   {shown_line('/'.join(one.place), _PLACE)}: {shown_line(one.why, _NOTE)}{address}"
    if len(left_out) > MOST_LEFT_OUT:
        yield _comment(f"  and {len(left_out) - MOST_LEFT_OUT:,} more; --json has them all", 2)


def _machine(machine: ProposedMachine) -> Iterator[str]:
    yield f"  {text(machine.name)}:"
    yield f"    # recognised by {shown_line(machine.recognised_by, _NOTE)}"
    for key, value in machine.settings.items():
        if isinstance(value, list):
            yield f"    {key}:"
            yield from (f"      - {flow(one)}" for one in value)
        else:
            yield f"    {key}: {flow(value)}"
    yield from (_comment(note, 4) for note in machine.notes)
