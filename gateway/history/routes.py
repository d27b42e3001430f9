"""What pages ask of the past: /api/about, /api/history, /api/stops, /api/entries, /api/rests and /api/explain."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.calendar.calendar import Calendar
from gateway.calendar.rests import rests
from gateway.entries.overlay import root
from gateway.explain.events import EVENT_ID, EventError
from gateway.health.answers import Refusal, json_answer, long_answer
from gateway.health.sources import Sources
from gateway.history.about import about
from gateway.history.history import HOURS
from gateway.history.telling import FOREVER, Asked, said, stops, told
from gateway.outbox.encode import dumped
from gateway.outbox.errors import BufferError

HOUR_MS = 3_600_000
USUAL_HOURS = 8.0
REST_DAYS = 3
EARLIEST, LATEST = 0, 4_102_444_800_000
"""1970 to 2100: of these times the calendar is asked."""
MOST_ROWS = 1000


def routes(sources: Sources) -> Sequence[Route]:
    """By path; all are asked by GET."""
    answers = _Answers(sources)
    paths = {
        "/api/about": answers.about,
        "/api/history": answers.history,
        "/api/stops": answers.stops,
        "/api/entries": answers.entries,
        "/api/explain": answers.explain,
        "/api/rests": answers.rests,
    }
    return [Route(path, answer, methods=["GET"]) for path, answer in paths.items()]


class _Answers:
    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._history = sources.history
        self._about: tuple[str, bytes] | None = None
        self._turn = asyncio.Lock()
        """One long answer is made at a time: they share what the loop has to spare."""

    async def about(self, request: Request) -> Response:
        config = self._sources.config
        if self._about is None or self._about[0] != config.digest:
            self._about = config.digest, dumped(about(config, self._sources.view))
        return await long_answer(request, self._about[1])

    async def history(self, request: Request) -> Response:
        """Of one `machine` (then with its minutes) or all: the last `hours`, or `from` to `to`; behind `after`."""
        config = self._sources.config
        machine = request.query_params.get("machine")
        if machine is not None and machine not in config.machines:
            known = ", ".join(config.machines) or "none"
            raise Refusal(404, f"{machine!r} is no machine of this line", f"machines are: {known}")
        names = config.machines if machine is None else [machine]
        asked = Asked(
            self._machines(names), *self._span(request.query_params), self._after(request), machine is not None
        )
        async with self._turn:
            body = await told(self._history, asked, config.digest)
            return await long_answer(request, body)

    async def stops(self, request: Request) -> Response:
        """The newest stops of the hours that are kept, at most `limit`; of those that wait for a reason: `waiting`."""
        limit = _limit(request)
        machines = self._machines(self._sources.config.machines)
        async with self._turn:
            body = await stops(self._history, machines, "waiting" in request.query_params, limit)
            return await long_answer(request, body)

    async def entries(self, request: Request) -> Response:
        """What people said in the hours that are kept: the newest first, at most `limit`."""
        return await long_answer(request, said(self._history, _limit(request)))

    async def explain(self, request: Request) -> Response:
        """Why an `event` says what it says, by its id or seq, or why there was a `stop`."""
        event, stop = request.query_params.get("event"), request.query_params.get("stop")
        number = self._history.newest_of_stop(root(stop)) if stop is not None else self._number(event or "")
        wanted = (stop or event or "nothing")[:100]
        if number is None:
            remedy = "give an event's id or seq, or the id of a stop of the hours that are kept"
            raise Refusal(404, f"the buffer knows nothing of {wanted!r}", remedy)
        try:
            return json_answer(await self._sources.explainer.explain(number, wanted, self._sources.config))
        except EventError as error:
            raise Refusal(404, error.why, error.remedy) from None
        except BufferError as error:
            raise Refusal(503, error.why, "see the check `store` of /health") from None

    async def rests(self, request: Request) -> Response:
        """When nothing is meant to be made `from` then `to` then: on the line, and of machines with maintenance."""
        remedy = f"from and to are whole UTC milliseconds, from before to, at most {REST_DAYS} days apart"
        try:
            from_ms, to_ms = int(request.query_params.get("from", "")), int(request.query_params.get("to", ""))
        except ValueError:
            raise Refusal(400, "the time asked for is no number", remedy) from None
        if not EARLIEST <= from_ms < to_ms <= min(LATEST, from_ms + REST_DAYS * 24 * HOUR_MS):
            raise Refusal(400, "the time asked for is beyond its bounds", remedy)
        config = self._sources.config
        calendar = Calendar(config.line.time_zone, config.calendar)

        def of(machine: str | None) -> list[tuple[object, ...]]:
            return [tuple(one) for one in rests(calendar, machine, from_ms, to_ms)]

        return json_answer({"line": of(None), "machines": {name: of(name) for name in sorted(calendar.maintained)}})

    def _number(self, event: str) -> int | None:
        """Under which number an event is stored, where it is of a stream that the buffer knows."""
        if (named := EVENT_ID.fullmatch(event)) is None:
            return None
        envelope = self._history.envelope
        return envelope.stored_seq(named[1] or envelope.stream, int(named[2]))

    def _machines(self, names: Iterable[str]) -> dict[str, int]:
        return {name: self._sources.config.machines[name].short_stop for name in names}

    def _span(self, asked: Mapping[str, str]) -> tuple[int, int]:
        """Without `to` without an end: what is told while the answer waits for its turn belongs to it too."""
        remedy = f"hours is a number above 0 up to {HOURS}; from and to are whole UTC milliseconds, from before to"
        try:
            to_ms = int(asked["to"]) if "to" in asked else FOREVER
            hours = float(asked.get("hours", USUAL_HOURS))
            until = min(to_ms, self._history.now())
            from_ms = int(asked["from"]) if "from" in asked else until - round(hours * HOUR_MS)
        except (ValueError, OverflowError):
            raise Refusal(400, "the time asked for is no number", remedy) from None
        if not (0 < hours <= HOURS and 0 <= from_ms < to_ms <= FOREVER):
            raise Refusal(400, "the time asked for is beyond its bounds", remedy)
        return from_ms, to_ms

    def _after(self, request: Request) -> int | None:
        """None where the answer has to be full: for whoever knows nothing, or knows another stream."""
        given = request.query_params.get("after")
        if given is None:
            return None
        if (cursor := EVENT_ID.fullmatch(given)) is None or cursor[1] is None:
            raise Refusal(400, "after is no cursor", "give back the `cursor` of the answer before, or leave it out")
        history = self._history
        stream, seq = cursor[1], int(cursor[2])
        knows = stream == history.envelope.stream and seq <= history.last_seq and not history.loading
        return seq if knows else None


def _limit(request: Request) -> int:
    try:
        limit = int(request.query_params.get("limit", "200"))
    except ValueError:
        limit = 0
    if not 1 <= limit <= MOST_ROWS:
        raise Refusal(400, "limit is beyond its bounds", f"limit is a whole number from 1 to {MOST_ROWS}")
    return limit
