"""Where the event to be explained comes from, and those that belong to it: a file, the daemon, or its buffer."""

from __future__ import annotations

import re
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson

from gateway.config.model import Config
from gateway.events import TYPE_PREFIX, TYPE_VERSION, Envelope, Former
from gateway.outbox.errors import BufferError, BufferLocked
from gateway.outbox.look import look

AROUND = 20_000
"""How many numbers before an event those that belong to it are looked for."""
MOST = 1000
HTTP_S = 10
EVENT_ID = re.compile(r"(?:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-)?([0-9]{1,18})")
"""An event's id, or its seq alone."""

_BESIDE = {
    "machine.state": frozenset({"machine.stop"}),
    "machine.stop": frozenset({"machine.state", "operator.entry"}),
    "machine.kpi": frozenset({"machine.stop", "operator.entry"}),
}
"""What else of the same subject explains an event of a type."""

Event = dict[str, Any]
"""A CloudEvent."""


class EventError(Exception):
    """The event cannot be had; says why and what to do."""

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(why)
        self.why = why
        self.remedy = remedy


class Found:
    """An event with those of the same type and subject around it, in the order in which they were stored."""

    def __init__(self, event: Event, others: list[Event]) -> None:
        """`others` has the event itself, too."""
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
        return sorted(unique.values(), key=lambda one: one["data"].get("rev", 0))

    def told_of(self, stop: str) -> list[Event]:
        """What people said of a stop or of a part of it, and what they took back of that, in its order."""
        entries = [one for one in self._others if short_type(one) == "operator.entry"]
        entries = sorted({one["id"]: one for one in entries}.values(), key=lambda one: one["time"])
        said = [one for one in entries if stop in (_root(one["data"]["target"]), _root(one["data"].get("other")))]
        names = {one["data"]["entry"] for one in said}
        return [one for one in entries if one in said or one["data"]["target"] in names]

    def beside(self, kind: str) -> list[Event]:
        """Events of a type that may belong to it, in their order."""
        return list({one["id"]: one for one in self._others if short_type(one) == kind}.values())

    def earlier(self, kind: str) -> list[Event]:
        """Of these, those that were stored before it."""
        until = next(at for at, one in enumerate(self._others) if one["id"] == self.event["id"])
        return [one for one in self._others[:until] if short_type(one) == kind]

    def before(self) -> Event | None:
        """The event of the same type and subject that came before it."""
        same = [one for one in self.earlier(self.kind) if one["subject"] == self.event["subject"]]
        return same[-1] if same else None


Numbered = tuple[int, Event]
"""A CloudEvent and the number under which it is stored, which is another one where it is of a buffer before."""
Question = tuple[int, int, str | None, str | None]
"""Events behind a number: at most so many, of a short type and a subject where given."""
Fetch = Callable[[int, int, str | None, str | None], tuple[Envelope, list[Numbered]]]
"""Answers a question with whose the buffer is, and the events."""
Search = Generator[Question, list[Numbered], Found]
"""Asks what it needs to know, whoever knows it, and ends with what was found."""


def _root(name: str | None) -> str:
    """The stop that a part is of."""
    return (name or "").partition("/")[0]


def short_type(event: Event) -> str:
    """`machine.state` of `linegate.machine.state.v1`."""
    return str(event["type"]).removeprefix(TYPE_PREFIX).removesuffix(TYPE_VERSION)


def find(config: Config, state_dir: Path, wanted: str) -> Found:
    """The event that a person means: its id, its seq, a file with it as JSON, or `-` for standard input.

    Raises EventError.
    """
    named = EVENT_ID.fullmatch(wanted)
    if named is None:
        return _from_text(wanted)
    fetch = _source(config, state_dir)
    has, _ = fetch(0, 1, None, None)
    number = has.stored_seq(named[1] or has.stream, int(named[2]))
    if number is None:
        before = "".join(f", and has events of {one.stream} before it" for one in has.former)
        words = f"the buffer never had {wanted}: it is of stream {has.stream}{before}"
        raise EventError(words, "give the event as JSON in a file")
    search = search_for(number, wanted)
    try:
        question = next(search)
        while True:
            question = search.send(fetch(*question)[1])
    except StopIteration as done:
        found: Found = done.value
        return found


def search_for(number: int, wanted: str) -> Search:
    """The event that is stored under a number, with those around it; a person called it `wanted`. Raises EventError."""
    events = yield number - 1, 1, None, None
    if not events or events[0][0] != number:
        words = "it is not stored yet, or was delivered and has gone after `buffer.retain`"
        raise EventError(
            f"the buffer has no event {wanted}: {words}", "give the event as JSON in a file, or - for input"
        )
    event = events[0][1]
    others: list[Numbered] = []
    for kind in sorted({short_type(event)} | _BESIDE.get(short_type(event), frozenset())):
        at, last = number - AROUND, number + AROUND
        while at < last:
            events = yield at, MOST, kind, event["subject"]
            others += events
            if len(events) < MOST and at + AROUND >= last:
                break
            at = events[-1][0] if len(events) == MOST else at + AROUND
    return Found(event, [one for _, one in sorted(others, key=itemgetter(0))])


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
    return Found(events[-1], sorted(events, key=lambda one: int(one["seq"])))


def _source(config: Config, state_dir: Path) -> Fetch:
    """The buffer where no daemon has it, else the daemon."""
    path = state_dir / config.buffer.path

    def from_buffer(after: int, limit: int, kind: str | None, subject: str | None) -> tuple[Envelope, list[Numbered]]:
        envelope, events = look(path, config.source, after, limit, kind, subject)
        return envelope, [(event.seq, orjson.loads(envelope.json(event))) for event in events]

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
    known = Envelope("", "")

    def fetch(after: int, limit: int, kind: str | None, subject: str | None) -> tuple[Envelope, list[Numbered]]:
        nonlocal known
        asked = {"after": _behind(known, after), "limit": limit, "type": kind, "subject": subject}
        query = urlencode({key: value for key, value in asked.items() if value is not None})
        try:
            with urllib.request.urlopen(f"http://{address}/api/events?{query}", timeout=HTTP_S) as reply:
                answer = orjson.loads(reply.read())
            known = Envelope("", answer["stream"], tuple(_former(answer["former"])))
            events = [(known.stored_seq(one["stream"], int(one["seq"])), one) for one in answer["events"]]
            return known, [(number, one) for number, one in events if number is not None]
        except (urllib.error.URLError, OSError, ValueError, KeyError) as error:
            remedy = "see that `health.listen` is the running daemon's, or give the event as JSON in a file"
            raise EventError(f"the daemon at {address} cannot be asked: {error}", remedy) from None

    return fetch


def _behind(envelope: Envelope, number: int) -> str:
    """What /api/events calls a stored number: a seq, or an id where it is of a buffer before."""
    if number >= 0 or not envelope.former:
        return str(max(0, number))
    base, stream = envelope.numbered(max(number, envelope.former[-1].base + 1))
    return f"{stream}-{max(0, number - base)}"


def _former(told: list[dict[str, str]]) -> Iterator[Former]:
    """Buffers before it, by their streams and last numbers, the youngest first."""
    base = 0
    for one in told:
        base -= int(one["last_seq"])
        yield Former(base, one["stream"])
