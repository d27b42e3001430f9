"""Shows the running demo: a live page on a terminal, plain lines in a pipe."""

from __future__ import annotations

import sys
import time
from collections import deque
from typing import Any, Protocol

import click
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from gateway.demo.configuration import Places

SUMMARY_EVERY_S = 10.0
RATE_OVER_S = 10.0
_COLOURS = {
    "production": "bold green",
    "unplanned_stop": "bold red",
    "starved": "yellow",
    "blocked": "yellow",
    "suspended": "yellow",
    "unknown": "magenta",
}
_LAST_EVENTS = 8


class Show(Protocol):
    """What the demo tells whoever watches."""

    def begin(self, places: Places) -> None:
        """Everything runs; here is where to look."""

    def event(self, event: dict[str, Any]) -> None:
        """The daemon published an event (CloudEvents)."""

    def line(self, snapshot: dict[str, Any], elapsed_s: float) -> None:
        """The line as it is now; about once a second."""

    def note(self, text: str) -> None:
        """What the demo itself does."""

    def end(self) -> None:
        """Nothing more moves; idempotent."""


def show_for(stream_is_terminal: bool) -> Show:
    """The one that fits the output."""
    return Terminal() if stream_is_terminal else Plain()


def why(state: dict[str, Any]) -> str:
    """Why a machine is in its state, from its reason or its cause: `cap jam (17)`."""
    reason, cause = state.get("reason"), state.get("cause")
    if reason:
        code, text = reason.get("code"), reason.get("text")
        return str(text) if code in (None, text) else f"{text or 'fault'} ({code})"
    return str(cause) if cause else ""


def describe(event: dict[str, Any]) -> str | None:
    """An event in a few words, None for one that is not worth a line here."""
    kind, data = event["type"].removeprefix("linegate.").removesuffix(".v1"), event["data"]
    words: tuple[object, ...]
    match kind:
        case "machine.state" if not data["final"]:
            words = (data["state"], why(data))
        case "machine.state" if data["duration_s"] is not None:
            words = (data["state"], f"ended after {data['duration_s']:.1f} s,", _parts(data["parts"]))
        case "machine.production":
            words = ("production:", _parts(data))
        case "counter.fault":
            words = ("counter fault:", data["why"])
        case "signal.quarantined" | "signal.restored":
            words = (kind.partition(".")[2], f"{data['address']}:", data["why"])
        case "device.lost" | "device.restored":
            words = (kind.partition(".")[2], data.get("why") or "")
        case _:
            return None
    text = " ".join(str(word) for word in words if word)
    return f"{clock(event['time'])}  {event['subject']}  {text}"


def clock(time_text: str) -> str:
    """The time of day, in UTC, of an RFC 3339 time."""
    return time_text[11:23].rstrip("Z") + "Z"


def _parts(parts: dict[str, Any] | None) -> str:
    if parts is None:
        return ""
    scrap = "" if parts.get("scrap") is None else f", {parts['scrap']} scrap"
    return f"{parts['total']} parts{scrap}"


class Rates:
    """Parts a minute of each machine over the last few seconds; the daemon's own are of whole minutes."""

    def __init__(self) -> None:
        self._seen: dict[str, deque[tuple[float, int]]] = {}

    def of(self, name: str, machine: dict[str, Any], elapsed_s: float) -> str:
        """The rate as it is shown, empty where nothing can be said."""
        if machine["parts"] is None:
            return ""
        seen = self._seen.setdefault(name, deque())
        seen.append((elapsed_s, machine["parts"]["total"]))
        while seen[0][0] < elapsed_s - RATE_OVER_S:
            seen.popleft()
        (began_s, before), (now_s, total) = seen[0], seen[-1]
        # Totals begin at 0 with the production day.
        if now_s == began_s or total < before:
            return ""
        return f"{(total - before) * 60 / (now_s - began_s):.0f}/min"


class Plain:
    """Lines for a pipe or a log: where to look, each change, and a summary every few seconds."""

    def __init__(self) -> None:
        self._next_summary_s = SUMMARY_EVERY_S
        self._rates = Rates()

    def begin(self, places: Places) -> None:
        """See `Show`."""
        click.echo("The demo runs; look here:")
        for name, where in places.lines():
            click.echo(f"  {name:<21} {where}")

    def event(self, event: dict[str, Any]) -> None:
        """See `Show`."""
        ends = event["type"] == "linegate.machine.state.v1" and event["data"]["final"]
        if not ends and (text := describe(event)) is not None:
            click.echo(text)

    def line(self, snapshot: dict[str, Any], elapsed_s: float) -> None:
        """See `Show`."""
        rates = {name: self._rates.of(name, machine, elapsed_s) for name, machine in snapshot["machines"].items()}
        if elapsed_s < self._next_summary_s:
            return
        self._next_summary_s += SUMMARY_EVERY_S
        for name, machine in snapshot["machines"].items():
            words = (f"{elapsed_s:.0f} s:", name, machine["state"], _parts(machine["parts"]), rates[name])
            click.echo("  ".join(word for word in words if word))

    def note(self, text: str) -> None:
        """See `Show`."""
        click.echo(text)

    def end(self) -> None:
        """See `Show`."""


class Terminal:
    """A page that is drawn anew about once a second."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(file=sys.stdout)
        self._live: Live | None = None
        self._places: Places | None = None
        self._snapshot: dict[str, Any] = {"machines": {}}
        self._events: deque[str] = deque(maxlen=_LAST_EVENTS)
        self._note = "Ctrl-C ends the demo and compares its counts."
        self._elapsed_s = 0.0
        self._rates = Rates()
        self._shown_rates: dict[str, str] = {}

    def begin(self, places: Places) -> None:
        """See `Show`."""
        self._places = places
        self._live = Live(self.page(), console=self._console, auto_refresh=False)
        self._live.start()

    def event(self, event: dict[str, Any]) -> None:
        """See `Show`."""
        if (text := describe(event)) is not None:
            self._events.append(text)

    def line(self, snapshot: dict[str, Any], elapsed_s: float) -> None:
        """See `Show`."""
        self._snapshot, self._elapsed_s = snapshot, elapsed_s
        machines = snapshot["machines"].items()
        self._shown_rates = {name: self._rates.of(name, machine, elapsed_s) for name, machine in machines}
        self._draw()

    def note(self, text: str) -> None:
        """See `Show`."""
        self._note = text
        if self._live is None:
            self._console.print(Text(text))
        else:
            self._draw()

    def end(self) -> None:
        """See `Show`."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _draw(self) -> None:
        if self._live is not None:
            self._live.update(self.page(), refresh=True)

    def page(self) -> Group:
        places = Table.grid(padding=(0, 2))
        for name, where in self._places.lines() if self._places is not None else ():
            places.add_row(Text(name), Text(where, style="cyan", overflow="fold"))
        events = Text("\n".join(self._events), no_wrap=True, overflow="ellipsis")
        title = f"linegate demo  {time.strftime('%H:%M:%S', time.gmtime(self._elapsed_s))}"
        return Group(
            Panel(self._machines(), title=title),
            Panel(events, title="last events"),
            Panel(places, title="look here"),
            Text(self._note),
        )

    def _machines(self) -> Table:
        table = Table(box=None, expand=True)
        for heading in ("machine", "state", "since", "why"):
            table.add_column(heading)
        for heading in ("parts", "good", "scrap", "rate"):
            table.add_column(heading, justify="right")
        for name, machine in self._snapshot["machines"].items():
            parts = machine["parts"] or {}
            numbers = (str(parts.get(key, "")) for key in ("total", "good", "scrap"))
            state = Text(machine["state"], style=_COLOURS.get(machine["category"], ""))
            since = "" if machine["since"] is None else clock(machine["since"])
            table.add_row(Text(name), state, since, Text(why(machine)), *numbers, self._shown_rates[name])
        return table
