"""An explanation: a headline, and sections of sentences; for people or as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TextIO
from zoneinfo import ZoneInfo

from protocols.discovery import shown_line

LONGEST = 1000
"""Characters of one sentence; what a device says may be longer than anyone reads."""


@dataclass(slots=True)
class Section:
    """One question, and its answer in sentences."""

    title: str
    lines: list[str] = field(default_factory=list)

    def say(self, *lines: str) -> Section:
        """Add sentences."""
        self.lines += [line for line in lines if line]
        return self


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an event says what it says."""

    headline: str
    sections: list[Section]
    notes: list[str]
    """What weakens the explanation, such as a configuration that has changed."""

    def plain(self, event: dict[str, Any]) -> dict[str, Any]:
        """Plain values, for `--json`."""
        sections = [{"title": one.title, "lines": one.lines} for one in self.sections if one.lines]
        return {"headline": self.headline, "sections": sections, "notes": self.notes, "event": event}

    def show(self, out: TextIO) -> None:
        """Write it for a person. What devices said is shown without control characters."""
        if out.isatty():
            from rich.console import Console  # for people alone: a daemon explains too
            from rich.text import Text

            console = Console(file=out)
            console.print(Text(_shown(self.headline), style="bold"))
            for section in self._told():
                console.print(Text(f"\n{section.title}", style="cyan"))
                for line in section.lines:
                    console.print(Text(f"  {_shown(line)}"))
            for note in self.notes:
                console.print(Text(f"\nnote: {note}", style="yellow"))
            return
        out.write(f"{_shown(self.headline)}\n")
        for section in self._told():
            out.write(f"\n{section.title}\n")
            out.writelines(f"  {_shown(line)}\n" for line in section.lines)
        out.writelines(f"\nnote: {note}\n" for note in self.notes)

    def _told(self) -> Iterable[Section]:
        return (section for section in self.sections if section.lines)


class Clock:
    """Times as people of the line read them."""

    def __init__(self, zone: str) -> None:
        self._zone = ZoneInfo(zone)

    def moment(self, text: str | None) -> str:
        """A time of an event in the line's zone, with milliseconds where it has any."""
        if text is None:
            return "an unknown time"
        local = datetime.fromisoformat(text).astimezone(self._zone)
        fraction = f".{local.microsecond // 1000:03d}" if local.microsecond else ""
        return f"{local:%Y-%m-%d %H:%M:%S}{fraction}"


def seconds(value: float | None) -> str:
    """A duration in words: `90.25 s`, `1 h 2 min 3 s`."""
    if value is None:
        return "an unknown time"
    if value < 120:
        return f"{value:g} s"
    whole, rest = divmod(round(value * 1000), 1000)
    hours, minutes, left = whole // 3600, whole // 60 % 60, whole % 60
    parts = [f"{hours} h"] if hours else []
    parts += [f"{minutes} min"] if minutes else []
    parts += [f"{left + rest / 1000:g} s"] if left or rest else []
    return " ".join(parts)


def value_text(value: object) -> str:
    """A signal's value as a configuration would write it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else f"{value:.10g}" if isinstance(value, float) else f"{value}"


def _shown(text: str) -> str:
    return shown_line(text, LONGEST)
