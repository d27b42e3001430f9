"""POST /api/entries: what a person says of a machine or the line, answered once it is stored."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple

import orjson
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.config.nearest import did_you_mean, nearest
from gateway.entries.check import Refused
from gateway.events import StoredEvent
from gateway.health.answers import Refusal, json_answer
from gateway.health.doorkeeper import Visitor, unknown
from gateway.health.guard import MOST_BYTES, too_long
from gateway.health.sources import Sources
from gateway.inputs import Entry
from gateway.outbox.errors import BufferError

TEXTS = (
    "what",
    "machine",
    "target",
    "reason",
    "note",
    "at",
    "other",
    "job",
    "product",
    "crew",
    "job_due",
    "who",
    "once",
)
WHOLE = ("amount", "job_target")
FIELDS = (*TEXTS, *WHOLE)
STATUS = {"unknown": 404, "conflict": 409, "wrong": 422}
BODY_S = 5.0
"""How long what is sent may take to arrive."""
STORED_S = 5.0
"""How long the store may take before it is said that it does not."""
MOST_WAITING = 16
"""Entries that wait for the store at a time."""
LOOKED_THROUGH = 20_000
"""Events that one question to the store looks through."""
MOST_KNOWN = 1000
"""Entries that are known by what was sent as `once`."""
LONGEST_ONCE = 100
LONGEST_SHOWN = 100
"""Characters of what somebody sent, in the log."""
NOT_STORED = "see the store in /health; the disk, as a rule"

log = structlog.get_logger("entries")


def routes(sources: Sources) -> Sequence[Route]:
    """One."""
    return [Route("/api/entries", _Desk(sources).take, methods=["POST"])]


class _Known(NamedTuple):
    """An entry that the engine has."""

    entry: str
    machine: str
    after: int
    """The event before its own has this number, or a higher one."""
    given: Mapping[str, Any]


class _Desk:
    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._waiting = 0
        self._known: dict[tuple[str, str], _Known] = {}
        """By who entered it, and `once`; the newest at the end."""

    async def take(self, request: Request) -> Response:
        """Judge, enter, and wait until it is on the disk."""
        visitor: Visitor = request.state.visitor
        given = await _body(request)
        with self._audited(request, visitor, given) as line:
            _check_form(given)
            who = line["who"] = self._who(visitor, given)
            known = self._find_known(who, given) or self._enter_new(visitor, given, who)
            line["entry"] = known.entry
            line["seq"] = await self._stored(known)
        return json_answer({"entry": line["entry"], "seq": line["seq"]}, 201)

    def _find_known(self, who: str, given: Mapping[str, Any]) -> _Known | None:
        """What was sent once more, since nobody heard the answer: by this daemon, or by the one before it."""
        once = given.get("once") or ""
        known = self._known.get((who, once))
        if known is None and once:
            word = self._sources.view.entry_ending(given["machine"], _mark(who, once))
            return None if word is None else _Known(word.entry, given["machine"], 0, given)
        if known is not None and known.given != given:
            raise Refusal(409, f"{known.entry} was sent as this `once` before", "give each entry one of its own")
        return known

    def _enter_new(self, visitor: Visitor, given: Mapping[str, Any], who: str) -> _Known:
        self._check_store()
        after = self._sources.outbox.last_seq
        known = _Known(self._enter(visitor, given, who).entry, given["machine"], after, given)
        if given.get("once"):
            self._known[who, given["once"]] = known
            if len(self._known) > MOST_KNOWN:
                del self._known[next(iter(self._known))]
        return known

    @contextmanager
    def _audited(self, request: Request, visitor: Visitor, given: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """One line of the log, whatever becomes of it."""
        machine = given.get("machine")
        line: dict[str, Any] = {
            "who": visitor.name or _shown(given.get("who")),
            "role": visitor.role,
            "remote": request.client.host if request.client else None,
            "what": _shown(given.get("what")),
            "machine": machine if machine == "line" or machine in list(self._sources.config.machines) else None,
            "target": _shown(given.get("target")),
        }
        try:
            yield line
        except Refusal as refusal:
            log.warning("operator_entry", refused=refusal.why, **line)
            raise
        log.info("operator_entry", **line)

    def _who(self, visitor: Visitor, given: Mapping[str, Any]) -> str:
        """Under which name it is entered: an operator's own; whoever has the token names anybody."""
        named: str = given.get("who") or ""
        if visitor.role == "viewer" or (visitor.role == "local" and self._sources.config.health.who_enter):
            raise unknown("an entry needs an operator's name and PIN")
        if visitor.name is not None:
            if named not in ("", visitor.name):
                raise Refusal(403, f"{visitor.name} cannot enter as {named}", "leave `who` out, or give that one's PIN")
            return visitor.name
        return named.strip()

    def _check_store(self) -> None:
        if self._sources.stopping():
            raise Refusal(503, "the daemon is stopping", "enter it again when it runs")
        if degraded := self._sources.outbox.stats.degraded:
            raise Refusal(503, f"nothing can be stored now: {degraded}", f"{NOT_STORED}; then enter it again")
        if self._waiting >= MOST_WAITING:
            raise Refusal(503, f"{MOST_WAITING} entries are being stored", "enter it again in a moment")

    def _enter(self, visitor: Visitor, given: Mapping[str, Any], who: str) -> Entry:
        """From here on the engine has it. Nothing else has its turn between checking and entering."""
        view, engine = self._sources.view, self._sources.engine
        now = engine.clock.now()
        entry = Entry(
            entry=self._name(given, who, now),
            who=who,
            at=now,
            moment=_moment(given, "at", engine.clock.utc_offset),
            job_due=_moment(given, "job_due", 0),
            **{name: given.get(name) for name in FIELDS if name not in ("at", "job_due", "who", "once")},  # type: ignore[arg-type]
        )
        undone = view.entry(entry.target) if entry.what == "undo" and entry.target else None
        if undone is not None and visitor.role == "operator" and undone.who != who:
            raise Refusal(403, f"{undone.who} said that, not {who}", "have them, or a supervisor, take it back")
        try:
            view.check(entry)
        except Refused as refused:
            raise Refusal(STATUS[refused.kind], refused.why, refused.remedy) from None
        engine.submit(entry)
        return entry

    def _name(self, given: Mapping[str, Any], who: str, now: int) -> str:
        """What was given as `once` is in it, so that it is known again after a restart."""
        first = f"{given['machine']}-{given['what']}-{now}"
        end = _mark(who, given["once"]) if given.get("once") else ""
        name, number = first + end, 1
        while self._sources.view.entry(name) is not None:
            number += 1
            name = f"{first}-{number}{end}"
        return name

    async def _stored(self, known: _Known) -> str:
        """The number of its event, which is on the disk."""
        self._waiting += 1
        try:
            async with asyncio.timeout(STORED_S):
                await self._sources.outbox.flush()
                return str((await self._find(known)).seq)
        except TimeoutError:
            why = f"{known.entry} is entered, but was not stored within {STORED_S:g} s"
            raise Refusal(
                504, why, f"do not enter it again: it is stored as soon as that works; {NOT_STORED}"
            ) from None
        except BufferError as error:
            raise Refusal(504, f"{known.entry} is entered, but not stored: {error.why}", NOT_STORED) from None
        finally:
            self._waiting -= 1

    async def _find(self, known: _Known) -> StoredEvent:
        """Its event. Raises BufferError."""
        after = known.after
        while after < self._sources.outbox.last_seq:
            found = await self._sources.outbox.recent(after, MOST_WAITING, "operator.entry", known.machine)
            for event in found:
                if orjson.loads(event.data)["entry"] == known.entry:
                    return event
            after = found[-1].seq if found else after + LOOKED_THROUGH
        raise BufferError("it was lost, for there was no room", NOT_STORED)


def _mark(who: str, once: str) -> str:
    """The end of the id of what somebody sent as `once`."""
    return "-" + hashlib.blake2b(f"{who}\0{once}".encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


async def _body(request: Request) -> dict[str, Any]:
    """Raises Refusal."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MOST_BYTES:
                    raise too_long()
        given = orjson.loads(body)
    except (TimeoutError, ClientDisconnect):
        raise Refusal(408, "what is sent did not arrive", "send it again", {"Connection": "close"}) from None
    except orjson.JSONDecodeError as error:
        raise Refusal(400, f"this is no JSON: {error}", "send one object") from None
    if not isinstance(given, dict):
        raise Refusal(400, "an entry is one object", f"with {', '.join(FIELDS)}")
    return given


def _check_form(given: Mapping[str, Any]) -> None:
    """Raises Refusal where a field is none, or not of its type; the rest is the engine's to judge."""
    for name, value in given.items():
        if name not in FIELDS:
            shown = _shown(name)
            raise Refusal(422, f"{shown} is no field{did_you_mean(nearest(shown or '', FIELDS))}", _FIELDS)
        if value is not None and name not in WHOLE and not isinstance(value, str):
            raise Refusal(422, f"{name} is no text", f'write "{name}": "..."')
        if value is not None and name in WHOLE and (not isinstance(value, int) or isinstance(value, bool)):
            raise Refusal(422, f"{name} is no whole number", f'write "{name}": 12')
    if len(given.get("once") or "") > LONGEST_ONCE:
        raise Refusal(422, f"once has more than {LONGEST_ONCE} characters", "a UUID, for example, has 36")
    for name in ("what", "machine"):
        if not given.get(name):
            raise Refusal(422, f"{name} is missing", _FIELDS)


_FIELDS = f"an entry has what and machine, and of {', '.join(FIELDS[2:])} those that it needs"


def _moment(given: Mapping[str, Any], name: str, utc_offset: int) -> int | None:
    """Engine time of an RFC 3339 time; UTC where the offset is 0. Raises Refusal."""
    if (at := given.get(name)) is None:
        return None
    try:
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None:
            raise ValueError
        return round(moment.timestamp() * 1000) - utc_offset
    except (ValueError, OverflowError):
        raise Refusal(422, f"{name} is no time", "write it like 2026-11-22T06:00:00.250Z, with its zone") from None


def _shown(value: Any) -> str | None:
    """What somebody sent, as far as a log has room for it."""
    return value[:LONGEST_SHOWN] if isinstance(value, str) else None
