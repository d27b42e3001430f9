"""Shows what comes: a live page on a terminal, a line an event in a pipe, or objects for programs; and the summary."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol, TextIO

import orjson
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from gateway.receive.brief import brief
from gateway.receive.follower import Follower, Hole, Taken
from gateway.sheet import Sheet, aligned, drawn
from protocols.discovery import shown_line

LAST_EVENTS = 14
LAST_NOTES = 6
MOST_STREAMS = 20
"""Rows of the summary for people; those that were heard last."""


class Show(Protocol):
    """What whoever watches is told."""

    def event(self, event: Mapping[str, Any], taken: Taken) -> None:
        """One that came, new or again."""

    def note(self, words: str) -> None:
        """Something about the connection, or about what is no event."""

    def missing(self, hole: Hole) -> None:
        """Events that were delivered and did not come, for a while now."""

    def found(self, hole: Hole) -> None:
        """They came after all."""

    def draw(self, follower: Follower) -> None:
        """About once a second."""

    def end(self, follower: Follower) -> None:
        """Nothing more comes: the summary."""


def in_words(hole: Hole) -> str:
    """What is missing."""
    if hole.most == 1:
        what = f"event {hole.upto}"
    else:
        what = f"event {hole.upto}, and up to {hole.most - 1:,} between {hole.after} and it"
    return f"{what} of stream {hole.stream}"


def two_gateways(source: str, streams: Iterable[str]) -> str:
    """Of a line that is counted twice."""
    return shown_line(f"TWO GATEWAYS of {source} are alive, streams {' and '.join(streams)}: stop one of the two")


def summary(follower: Follower) -> dict[str, Any]:
    """Every figure, for programs."""
    streams = follower.streams.values()
    return {
        "complete": follower.is_complete,
        "received": sum(stream.received for stream in streams),
        "duplicates": sum(stream.duplicates for stream in streams),
        "late": sum(stream.late for stream in streams),
        "out_of_quarantine": sum(stream.retried for stream in streams),
        "revisions": follower.revised,
        "superseded": follower.superseded,
        "gaps": dict(follower.gaps),
        "gone": follower.gone,
        "second_gateways": {source: list(streams) for source, streams in follower.twins.items()},
        "chains_begun_anew": sum(stream.begun_anew for stream in streams),
        "missing": [
            {"stream": hole.stream, "after": str(hole.after), "upto": str(hole.upto), "proven": hole.is_proven}
            for hole in follower.holes()
        ],
        "missing_unlisted": follower.lost + sum(stream.lost for stream in streams),
        "streams": {
            name: {
                "source": stream.source, "received": stream.received, "duplicates": stream.duplicates,
                "last_seq": str(stream.last), "time": stream.time,
            }
            for name, stream in follower.streams.items()
        },
    }  # fmt: skip


class Objects:
    """One JSON object a line: `event` with what it is to a consumer, `missing`, `found`, and `summary` at the end."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def event(self, event: Mapping[str, Any], taken: Taken) -> None:
        """See `Show`."""
        if taken.is_new:
            self._write(event=event, order=taken.order, superseded=taken.is_superseded)

    def note(self, words: str) -> None:
        """See `Show`."""
        sys.stderr.write(f"{words}\n")

    def missing(self, hole: Hole) -> None:
        """See `Show`."""
        self._write(missing={"stream": hole.stream, "after": str(hole.after), "upto": str(hole.upto)})

    def found(self, hole: Hole) -> None:
        """See `Show`."""
        self._write(found={"stream": hole.stream, "after": str(hole.after), "upto": str(hole.upto)})

    def draw(self, follower: Follower) -> None:
        """See `Show`."""

    def end(self, follower: Follower) -> None:
        """See `Show`."""
        self._write(summary=summary(follower))

    def _write(self, **one: Any) -> None:
        self._out.write(orjson.dumps(one).decode() + "\n")
        self._out.flush()


class Plain:
    """A line an event, and then the summary."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def event(self, event: Mapping[str, Any], taken: Taken) -> None:
        """See `Show`."""
        if taken.is_new:
            self._write(line(event, taken))

    def note(self, words: str) -> None:
        """See `Show`."""
        sys.stderr.write(f"{shown_line(words)}\n")

    def missing(self, hole: Hole) -> None:
        """See `Show`."""
        self._write(f"MISSING: {in_words(hole)}")

    def found(self, hole: Hole) -> None:
        """See `Show`."""
        self._write(f"came after all: {in_words(hole)}")

    def draw(self, follower: Follower) -> None:
        """See `Show`."""

    def end(self, follower: Follower) -> None:
        """See `Show`."""
        streams = sheet(follower)
        for words in (streams.title, *aligned(streams)):
            self._write(words)
        for words in verdict(follower):
            self._write(words)

    def _write(self, words: str) -> None:
        self._out.write(f"{words}\n")
        self._out.flush()


class Terminal:
    """A page that is drawn anew about once a second, and stays at the end."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False)
        self._events: deque[Text] = deque(maxlen=LAST_EVENTS)
        self._notes: deque[Text] = deque(maxlen=LAST_NOTES)

    def event(self, event: Mapping[str, Any], taken: Taken) -> None:
        """See `Show`."""
        if taken.is_new:
            style = "dim" if taken.is_superseded else "yellow" if taken.order in ("late", "retried") else ""
            self._events.append(Text(line(event, taken), style, no_wrap=True, overflow="ellipsis"))

    def note(self, words: str) -> None:
        """See `Show`."""
        self._notes.append(Text(shown_line(words)))

    def missing(self, hole: Hole) -> None:
        """See `Show`."""
        self._notes.append(Text(f"MISSING: {in_words(hole)}", "bold red"))

    def found(self, hole: Hole) -> None:
        """See `Show`."""
        self._notes.append(Text(f"came after all: {in_words(hole)}", "green"))

    def draw(self, follower: Follower) -> None:
        """See `Show`."""
        self._live.start()
        self._live.update(Group(*self._page(follower)), refresh=True)

    def end(self, follower: Follower) -> None:
        """See `Show`."""
        style = "bold green" if follower.is_complete else "bold red"
        words = [Text(words, style) for words in verdict(follower)]
        self._live.start()
        self._live.update(Group(*self._page(follower), *words), refresh=True)
        self._live.stop()

    def _page(self, follower: Follower) -> Iterator[Any]:
        streams = sheet(follower)
        yield Panel(drawn(streams, lambda _: ""), title=streams.title, title_align="left", border_style="dim")
        yield from self._events
        yield from self._notes


def line(event: Mapping[str, Any], taken: Taken) -> str:
    """An event in one line."""
    kind = str(event["type"]).removeprefix("linegate.").removesuffix(".v1")
    words = [str(event.get("time", "")), str(event["seq"]), str(event.get("subject", "")), kind]
    words.append(brief(kind, event.get("data", event)))
    if taken.is_superseded:
        words.append("(older than what came before)")
    elif taken.order == "late":
        words.append("(sent again)")
    elif taken.order == "retried":
        words.append("(out of quarantine)")
    return shown_line("  ".join(filter(None, words)))


def sheet(follower: Follower) -> Sheet:
    """The streams."""
    holes: dict[str, int] = {}
    for hole in follower.holes():
        holes[hole.stream] = holes.get(hole.stream, 0) + 1
    shown = list(follower.streams.items())[-MOST_STREAMS:]
    rows = [
        (
            shown_line(stream.source), shown_line(name[:8]), f"{stream.received:,}", f"{stream.duplicates:,}",
            str(stream.last), str(holes.get(name, 0) + stream.lost), shown_line(stream.time),
        )
        for name, stream in shown
    ]  # fmt: skip
    left_out = len(follower.streams) - len(rows)
    title = f"streams, without {left_out:,} that were heard before" if left_out else "streams"
    return Sheet(title, ("line", "stream", ">received", ">again", ">last seq", ">holes", "newest"), rows)


def verdict(follower: Follower) -> Iterator[str]:
    """What it comes to."""
    found = summary(follower)
    yield (
        f"{found['received']:,} received, {found['duplicates']:,} more came again and were dropped; "
        f"{found['revisions']:,} revisions, {found['superseded']:,} older than what came before; "
        f"{found['late']:,} late, {found['out_of_quarantine']:,} out of quarantine"
    )
    if follower.gaps:
        told = ", ".join(f"{count} {what}" for what, count in sorted(follower.gaps.items()))
        yield f"gaps that gateways told: {told}; {follower.gone:,} events given up"
    if found["chains_begun_anew"]:
        yield f"{found['chains_begun_anew']} chains began anew: nothing proves what lay before"
    for source, both in follower.twins.items():
        yield two_gateways(source, both)
    for hole in follower.holes():
        yield f"{'MISSING' if hole.is_proven else 'perhaps missing'}: {in_words(hole)}"
    if not found["received"]:
        yield "nothing came"
    elif follower.is_complete:
        yield "complete: nothing is missing"
