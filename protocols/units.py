"""The units that a configuration is written in: durations, sizes, cycle times and rates, to numbers and back."""

from __future__ import annotations

import json
import re

_NUMBER = r"[0-9]{1,15}(?:\.[0-9]{1,9})?"
DURATION = re.compile(rf"({_NUMBER})\s*(ms|s|min|h|d)")
_MILLISECONDS = {"ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
SIZE = re.compile(rf"({_NUMBER})\s*(B|kB|KB|MB|GB|TB)")
_BYTES = {"B": 1, "kB": 1_000, "KB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000, "TB": 1_000_000_000_000}
RATE = re.compile(rf"({_NUMBER})\s*/\s*(h|min|s)")
CYCLE = re.compile(f"(?:{DURATION.pattern}|{RATE.pattern})")
_LONGEST_MS = 100 * 366 * _MILLISECONDS["d"]
_LARGEST_BYTES = 2**62
_SHORTEST_CYCLE_MS = 0.001
_LONGEST_CYCLE_MS = 30 * _MILLISECONDS["d"]


def shown(value: object) -> str:
    """A value as a message quotes it: on one line, as YAML would write it, and cut where it is long."""
    if isinstance(value, str):
        quoted = json.dumps(value if len(value) <= 80 else value[:77] + "...", ensure_ascii=False)
        return "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in quoted)
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    if isinstance(value, (dict, list, tuple)):
        return "a mapping" if isinstance(value, dict) else "a list"
    return f"{value}"


def parse_duration(text: object) -> int:
    """Milliseconds of a duration as written in a configuration: `250ms`, `5s`, `2min`, `8h`, `7d`."""
    if text == 0 and isinstance(text, int) and not isinstance(text, bool):
        return 0
    if isinstance(text, str) and (match := DURATION.fullmatch(text.strip())):
        milliseconds = float(match[1]) * _MILLISECONDS[match[2]]
        if milliseconds <= _LONGEST_MS:
            return round(milliseconds)
        raise ValueError(f"{shown(text)} is longer than a hundred years")
    raise ValueError(f"{shown(text)} is not a duration; write a number with its unit: 250ms, 5s, 2min, 8h or 7d")


def parse_size(text: object) -> int:
    """Bytes of a size as written in a configuration: `64MB`, `2GB` (decimal multiples)."""
    if isinstance(text, str) and (match := SIZE.fullmatch(text.strip())):
        size = float(match[1]) * _BYTES[match[2]]
        if size <= _LARGEST_BYTES:
            return round(size)
        raise ValueError(f"{shown(text)} is larger than any disk")
    raise ValueError(f"{shown(text)} is not a size; write a number with its unit: 500kB, 64MB or 2GB")


def parse_cycle(text: object) -> float:
    """Ideal cycle in milliseconds a part, written as a cycle time (`500ms`) or as a rate (`120/min`, `36000/h`)."""
    cycle = None
    if isinstance(text, str) and (match := RATE.fullmatch(text.strip())):
        cycle = _MILLISECONDS[match[2]] / float(match[1]) if float(match[1]) else 0.0
    elif isinstance(text, str) and (match := DURATION.fullmatch(text.strip())):
        cycle = float(match[1]) * _MILLISECONDS[match[2]]
    if cycle is None:
        raise ValueError(f"{shown(text)} is neither a cycle time nor a rate; write 500ms, or 120/min, 2/s, 36000/h")
    if not _SHORTEST_CYCLE_MS <= cycle <= _LONGEST_CYCLE_MS:
        raise ValueError(f"{shown(text)} is no cycle of a machine: a part takes more than 0 and at most 30 days")
    return cycle


def duration_text(milliseconds: int) -> str:
    """A duration as a configuration writes it, in the largest unit that keeps it whole: `2min` for 120000."""
    unit = next(unit for unit in ("d", "h", "min", "s", "ms") if milliseconds % _MILLISECONDS[unit] == 0)
    return f"{milliseconds // _MILLISECONDS[unit]}{unit}" if milliseconds else "0"


def counted(number: int, noun: str) -> str:
    """`1 signal`, `2,000 signals`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size_text(size: int) -> str:
    """A size as a configuration writes it: `64MB` for 64000000."""
    unit = next(unit for unit in ("TB", "GB", "MB", "kB", "B") if size % _BYTES[unit] == 0 and size >= _BYTES[unit])
    return f"{size // _BYTES[unit]}{unit}"
