"""What a device was found to hold, and the configuration that is proposed for it; no protocol's library is needed."""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, TypeAlias

from protocols.types import WireType

Plain: TypeAlias = Mapping[str, Any]
"""Keys and values as a configuration has them: texts, numbers, truth values, lists and mappings of these."""
Say: TypeAlias = Callable[[str], None]
"""Takes a line of progress."""

MOST_NAME = 60
"""Characters of a signal's name; a device's own may be far longer."""
_RESERVED = {"and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "line", "gateway"}
_LETTERS = {"ß": "ss", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "Ae", "œ": "oe", "đ": "d", "ł": "l", "Ł": "L", "µ": "u"}


@dataclass(frozen=True, slots=True)
class FoundSignal:
    """A variable or tag that can be read, as a signal of the configuration."""

    name: str
    place: tuple[str, ...]
    """Where it is in the device, from the outermost name on; untrusted text."""
    address: Plain
    """Its keys: `node`, `tag`, `member` and so on."""
    type: WireType
    value: str
    """The current value as text; untrusted."""
    unit: str | None = None
    extra: Plain = field(default_factory=dict)
    """Further keys that it needs, such as `length`."""
    notes: tuple[str, ...] = ()
    """Range, texts of an enumeration and so on; untrusted text."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that is there and is not proposed."""

    place: tuple[str, ...]
    why: str
    address: Plain = field(default_factory=dict)
    """What a person would write to have it all the same; empty where that would not work."""


@dataclass(frozen=True, slots=True)
class ProposedMachine:
    """A machine that was recognised."""

    name: str
    place: tuple[str, ...]
    """Where it is in the device; untrusted text."""
    recognised_by: str
    settings: Plain
    """Its section."""
    notes: tuple[str, ...] = ()
    """What a person has to add or to look at; may hold the device's text."""


@dataclass(slots=True)
class Discovery:
    """One device: who it is, what it holds, and what is proposed."""

    url: str
    name: str
    """The device's, in the configuration."""
    facts: list[tuple[str, str]] = field(default_factory=list)
    """What the device says of itself, as names and values; untrusted text."""
    settings: Plain = field(default_factory=dict)
    """The device's section without its signals."""
    signals: list[FoundSignal] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    machines: list[ProposedMachine] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """How much was left out and why, and what a person should know; may hold the device's text."""
    neighbours: list[Discovery] = field(default_factory=list)
    """Further devices behind the same endpoint, with facts, settings, signals and what they left out alone."""
    asked: int = 0
    """Requests that it took."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person wants to see."""

    match: tuple[str, ...] = ()
    """Patterns: `*Speed*` of a name or of what it lies in, `*/Status/*` of a whole path; all where there are none."""
    limit: int = 300
    """Most signals that are proposed."""
    depth: int = 10
    """Levels below the root, or below a tag."""
    arrays: bool = False
    """Whether the first element of each array is proposed."""
    name: str | None = None
    """The device's name."""

    def wants(self, place: Sequence[str]) -> bool:
        """Whether a place is among what was asked for; upper and lower case are one."""
        if not self.match:
            return True
        return any(
            fnmatchcase(name.lower(), pattern.lower())
            for pattern in self.match
            for name in (("/".join(place),) if "/" in pattern else place)
        )


class Pace:
    """Keeps requests apart: at most `rate` a second. `due` says how long the next one has to wait."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.gap_s = 1 / rate
        """Seconds between two requests."""
        self._clock = clock
        self._next = clock()
        self.asked = 0

    def due(self) -> float:
        """Seconds that the next request has to wait; it counts as made."""
        now = self._clock()
        at = max(self._next, now)
        self._next = at + self.gap_s
        self.asked += 1
        return at - now


def plain_name(text: str) -> str:
    """A device's text as a name of a configuration, `StateCurrent` as `state_current`; empty where nothing is left."""
    text = "".join(_LETTERS.get(letter, letter) for letter in text[: 4 * MOST_NAME])
    text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", text)
    text = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_").lower()[:MOST_NAME].rstrip("_")
    return f"_{text}" if text[:1].isdigit() else text


def device_name(*candidates: str) -> str:
    """A device's name out of the first of some texts that gives one."""
    name = next((one for text in candidates if (one := plain_name(text))), "plc")
    return f"{name}_plc" if name in _RESERVED else name


def names_of(places: Iterable[Sequence[str]]) -> list[str]:
    """A name for each place: of its last parts as many as tell it from the others, and a number where none do.

    The same places give the same names, in whatever order they come; but for places that are wholly alike.
    """
    parts = [[one for one in map(plain_name, place) if one] or ["signal"] for place in places]
    names = [""] * len(parts)
    used: set[str] = set()
    numbers: dict[str, int] = {}
    unnamed = list(range(len(parts)))
    taken = 0
    while unnamed:
        taken += 1
        by_name: dict[str, list[int]] = {}
        for one in unnamed:
            by_name.setdefault(_joined(parts[one][-taken:]), []).append(one)
        unnamed = []
        for name, several in by_name.items():
            is_told = len(several) == 1 and name not in used
            for one in several:
                if not is_told and len(parts[one]) > taken:
                    unnamed.append(one)
                    continue
                names[one] = _numbered(name, used, numbers)
                used.add(names[one])
    return names


def _joined(parts: Sequence[str]) -> str:
    name = "_".join(parts)
    name = name[-MOST_NAME:].lstrip("_") if len(name) > MOST_NAME else name
    name = f"_{name}" if name[:1].isdigit() else name
    return f"{name}_" if name in _RESERVED else name


def _numbered(name: str, used: set[str], numbers: dict[str, int]) -> str:
    candidate = name
    while candidate in used:
        numbers[name] = numbers.get(name, 1) + 1
        candidate = f"{name}_{numbers[name]}"
    return candidate


def shown_line(text: str, most: int = 120) -> str:
    """A device's text on one line, without anything that moves a cursor or turns its direction, and not too long."""
    cut = text if len(text) <= most else text[: most - 1] + "…"
    return "".join(one if one.isprintable() else "?" for one in cut)
