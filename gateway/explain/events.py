"""Where the event to be explained comes from, and those that belong to it: a file, the daemon, or its buffer."""

from __future__ import annotations

import re
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson

from gateway.config.model import Config
from gateway.events import TYPE_PREFIX, TYPE_VERSION, Envelope
from gateway.outbox.errors import BufferError, BufferLocked
from gateway.outbox.look import look

AROUND = 20_000
"""How many numbers before an event those that belong to it are looked for."""
MOST = 1000
HTTP_S = 10
_ID = re.compile(r"(?:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-)?([0-9]{1,19})")

Event = dict[str, Any]
"""A CloudEvent."""
Fetch = Callable[[int, int, str | None, str | None], tuple[str, list[Event]]]
"""The stream, and events behind a seq: at most so many, of a short type and a subject where given."""


class EventError(Exception):
    """The event cannot be had; says why and what to do."""

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(why)
        self.why = why
        self.remedy = remedy


class Found:
    """An event with those of the same type and subject around it."""

    def __init__(self, event: Event, others: list[Event]) -> None:
        self.event = event
        self.kind = short_type(event)
        self.data: dict[str, Any] = event["data"]
        self._others = others

    def of(self, kind: str, key: str, value: object) -> list[Event]:
        """Events of a type whose data has a value, of the same subject, in order of their revisions."""
        same = [
            one
            for one in self._others
            if short_type(one) == kind and one["subject"] == self.event["subject"] and one["data"].get(key) == value
        ]
        unique = {one["id"]: one for one in same}
        return sorted(unique.values(), key=lambda one: (one["data"].get("rev", 0), int(one["seq"])))

    def before(self) -> Event | None:
        """The event of the same type and subject that came before it."""
        seq = int(self.event["seq"])
        earlier = [one for one in self._others if short_type(one) == self.kind and int(one["seq"]) < seq]
        same = [one for one in earlier if one["subject"] == self.event["subject"]]
        return max(same, key=lambda one: int(one["seq"]), default=None)


def short_type(event: Event) -> str:
    """`machine.state` of `linegate.machine.state.v1`."""
    return str(event["type"]).removeprefix(TYPE_PREFIX).removesuffix(TYPE_VERSION)


def find(config: Config, state_dir: Path, wanted: str) -> Found:
    """The event that a person means: its id, its seq, a file with it as JSON, or `-` for standard input.

    Raises EventError.
    """
    named = _ID.fullmatch(wanted)
    if named is None:
        return _from_text(wanted)
    stream, seq = named[1], int(named[2])
    fetch = _source(config, state_dir)
    has, events = fetch(seq - 1, 1, None, None)
    if stream is not None and stream != has:
        raise EventError(f"the event is of stream {stream}, the buffer is {has}", "give the event as JSON in a file")
    if not events or int(events[0]["seq"]) != seq:
        words = "it is not stored yet, or was delivered and has gone after `buffer.retain`"
        raise EventError(f"the buffer has no event {seq}: {words}", "give the event as JSON in a file, or - for input")
    event = events[0]
    return Found(event, _around(fetch, event))


def _around(fetch: Fetch, event: Event) -> list[Event]:
    """Events of the same subject that an explanation may need."""
    after, found = max(0, int(event["seq"]) - AROUND), []
    kinds = {"machine.state", "machine.stop"} if short_type(event) in ("machine.state", "machine.stop") else set()
    for kind in sorted({short_type(event)} | kinds):
        at, last = after, int(event["seq"]) + AROUND
        while at < last:
            _, events = fetch(at, MOST, kind, event["subject"])
            found += events
            if len(events) < MOST and at + AROUND >= last:
                break
            at = int(events[-1]["seq"]) if len(events) == MOST else at + AROUND
    return found


def _from_text(wanted: str) -> Found:
    """JSON of one event, or of several lines: the last is meant, the others belong to it."""
    try:
        text = sys.stdin.buffer.read() if wanted == "-" else Path(wanted).read_bytes()
    except OSError as error:
        words = f"{wanted} is no event's id, and no file that can be read: {error.strerror}"
        raise EventError(words, "give an id like 0192f0c4-...-1841, its number, a file with the event, or -") from None
    remedy = "give one CloudEvent of linegate, or several, one a line, the one that is meant last"
    try:
        events = [orjson.loads(text)]
    except orjson.JSONDecodeError:
        try:
            events = [orjson.loads(line) for line in text.splitlines() if line.strip()]
        except orjson.JSONDecodeError as error:
            raise EventError(f"{wanted}: no JSON: {error}", remedy) from None
    for event in events:
        if not isinstance(event, dict) or not isinstance(event.get("data"), dict):
            raise EventError(f"{wanted}: no event of linegate", remedy)
        if missing := {"id", "type", "subject", "seq"} - event.keys():
            raise EventError(f"{wanted}: an event without {', '.join(sorted(missing))}", remedy)
    if not events:
        raise EventError(f"{wanted} is empty", remedy)
    return Found(events[-1], events)


def _source(config: Config, state_dir: Path) -> Fetch:
    """The buffer where no daemon has it, else the daemon."""
    path = state_dir / config.buffer.path
    envelope = config.source

    def from_buffer(after: int, limit: int, kind: str | None, subject: str | None) -> tuple[str, list[Event]]:
        stream, events = look(path, after, limit, kind, subject)
        return stream, [orjson.loads(Envelope(envelope, stream).json(event)) for event in events]

    try:
        from_buffer(0, 1, None, None)
    except BufferLocked:
        address = config.health.address
        if address is None or address[1] == 0:
            words = "a daemon has the buffer, and `health.listen` says no address at which it can be asked"
            raise EventError(words, "set health.listen to an address, or give the event as JSON in a file") from None
        host, port = address
        return _from_daemon(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    except BufferError as error:
        raise EventError(error.why, error.remedy) from None
    return from_buffer


def _from_daemon(address: str) -> Fetch:
    def fetch(after: int, limit: int, kind: str | None, subject: str | None) -> tuple[str, list[Event]]:
        asked = {"after": after, "limit": limit, "type": kind, "subject": subject}
        query = urlencode({key: value for key, value in asked.items() if value is not None})
        try:
            with urllib.request.urlopen(f"http://{address}/api/events?{query}", timeout=HTTP_S) as reply:
                answer = orjson.loads(reply.read())
                return answer["stream"], answer["events"]
        except (urllib.error.URLError, OSError, ValueError, KeyError) as error:
            remedy = "see that `health.listen` is the running daemon's, or give the event as JSON in a file"
            raise EventError(f"the daemon at {address} cannot be asked: {error}", remedy) from None

    return fetch
