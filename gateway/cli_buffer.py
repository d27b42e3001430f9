"""The command line for store-and-forward: `linegate buffer`."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import click

from gateway.cli_options import FILE, JSON, STATE_DIR

EXAMPLES = """\b
Examples:
  linegate buffer stats line-3.yaml --state-dir /var/lib/linegate/line-3
  linegate buffer peek line-3.yaml --last 50 --subject filler
  linegate buffer export line-3.yaml --type 'machine.*' > events.ndjson
  linegate buffer quarantine line-3.yaml list
  linegate buffer quarantine line-3.yaml retry mes 1841
  linegate buffer estimate line-3.yaml
"""
STATS_EXAMPLES = """\b
Examples:
  linegate buffer stats line-3.yaml
  linegate buffer stats line-3.yaml --json | jq .backlog
"""
PEEK_EXAMPLES = """\b
Examples:
  linegate buffer peek line-3.yaml
  linegate buffer peek line-3.yaml --last 500 --type 'gateway.*'
"""
EXPORT_EXAMPLES = """\b
Examples:
  linegate buffer export line-3.yaml > events.ndjson
  linegate buffer export line-3.yaml --after 1841 --type machine.stop | linegate explain line-3.yaml -
"""
ESTIMATE_EXAMPLES = """\b
Examples:
  linegate buffer estimate line-3.yaml
  linegate buffer estimate line-3.yaml --json | jq .hours
"""
QUARANTINE_EXAMPLES = """\b
Examples:
  linegate buffer quarantine line-3.yaml list
  linegate buffer quarantine line-3.yaml show mes 1841
  linegate buffer quarantine line-3.yaml retry mes 1841 1850
  linegate buffer quarantine line-3.yaml export mes > refused.ndjson
  linegate buffer quarantine line-3.yaml delete mes --all
"""
TYPES = click.option("--type", "types", multiple=True, metavar="GLOB", help="Only types like this (machine.*).")
SUBJECTS = click.option("--subject", "subjects", multiple=True, metavar="GLOB", help="Only subjects like this.")


class EventName(click.ParamType[str]):
    """What a person calls a stored event."""

    name = "event"
    _FORM = re.compile(r"([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}-)?[1-9][0-9]{0,18}")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """A seq, or an id."""
        if not self._FORM.fullmatch(value):
            self.fail(f"{value!r} is no event's seq (1841) and no id (0192f0c4-...-1841)", param, ctx)
        return str(value)


@click.group(short_help="Look into store-and-forward.", epilog=EXAMPLES)
def buffer() -> None:
    """Look into store-and-forward: through the daemon that runs, else in its file."""


@buffer.command(short_help="What is stored, and how far each uplink is.", epilog=STATS_EXAMPLES)
@FILE
@STATE_DIR
@JSON
def stats(file: Path, state_dir: Path, as_json: bool) -> None:
    """Show what is stored of each class, what it takes, how far each uplink is, and what is set aside."""
    from gateway.buffer.command import Command

    sys.exit(Command(file, state_dir, as_json=as_json).stats())


@buffer.command(epilog=PEEK_EXAMPLES)
@FILE
@STATE_DIR
@JSON
@click.option("--last", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many numbers back.")
@TYPES
@SUBJECTS
def peek(
    file: Path, state_dir: Path, as_json: bool, last: int, types: tuple[str, ...], subjects: tuple[str, ...]
) -> None:
    """Show the newest stored events."""
    from gateway.buffer.command import Command

    sys.exit(Command(file, state_dir, as_json=as_json).peek(last, types, subjects))


@buffer.command(short_help="Print all stored events as CloudEvents.", epilog=EXPORT_EXAMPLES)
@FILE
@STATE_DIR
@click.option("--after", type=click.IntRange(0), help="Only those of the present stream with a greater seq.")
@TYPES
@SUBJECTS
def export(file: Path, state_dir: Path, after: int | None, types: tuple[str, ...], subjects: tuple[str, ...]) -> None:
    """Print all stored events as CloudEvents, one a line; no cursor moves."""
    from gateway.buffer.command import Command

    sys.exit(Command(file, state_dir, as_json=True).export(after, types, subjects))


@buffer.command(short_help="Show how many hours of outage fit.", epilog=ESTIMATE_EXAMPLES)
@FILE
@STATE_DIR
@JSON
def estimate(file: Path, state_dir: Path, as_json: bool) -> None:
    """Show how many hours of outage fit, at the rate and size of the newest events."""
    from gateway.buffer.command import Command

    sys.exit(Command(file, state_dir, as_json=as_json).estimate())


@buffer.command(epilog=QUARANTINE_EXAMPLES)
@FILE
@click.argument("what", type=click.Choice(["list", "show", "retry", "export", "delete"]))
@click.argument("uplink", required=False)
@click.argument("events", nargs=-1, type=EventName())
@click.option("--all", "everything", is_flag=True, help="retry, delete: all of the uplink's.")
@STATE_DIR
@JSON
def quarantine(
    file: Path,
    what: str,
    uplink: str | None,
    events: tuple[str, ...],
    everything: bool,
    state_dir: Path,
    as_json: bool,
) -> None:
    """Handle events that an uplink's receiver refused for good.

    list and export: of one UPLINK or all. show: UPLINK EVENT. retry and delete: UPLINK EVENTS, or UPLINK --all. An
    event is its seq, or its id where it is of a stream before this one. What is tried again goes before what the uplink
    comes to next, and names the last event delivered in its prevseq.
    """
    from gateway.buffer.command import Command

    if what == "show" and (uplink is None or len(events) != 1):
        raise click.UsageError("show wants UPLINK and one EVENT")
    if what in ("retry", "delete") and (uplink is None or bool(events) == everything):
        raise click.UsageError(f"{what} wants UPLINK and EVENTS, or UPLINK --all")
    command = Command(file, state_dir, as_json=as_json)
    sys.exit(command.quarantine(what, uplink, None if everything else list(events)))
