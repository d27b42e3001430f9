"""What operations ask: /livez, /readyz, /health, /metrics, /api/line and /api/events."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway.explain.events import EVENT_ID
from gateway.health.answers import Refusal, joined, json_answer, long_answer
from gateway.health.glance import glance
from gateway.health.sources import Sources

MOST_EVENTS = 1000


def routes(sources: Sources) -> Sequence[Route]:
    """By path; all are asked by GET."""
    answers = _Answers(sources)
    paths = {
        "/livez": answers.livez,
        "/readyz": answers.readyz,
        "/health": answers.health,
        "/metrics": answers.metrics,
        "/api/line": answers.line,
        "/api/events": answers.events,
    }
    return [Route(path, answer, methods=["GET"]) for path, answer in paths.items()]


class _Answers:
    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    async def livez(self, _: Request) -> Response:
        alive = self._sources.alive()
        return PlainTextResponse("ok\n" if alive else "the store task makes no progress\n", 200 if alive else 503)

    async def readyz(self, request: Request) -> Response:
        store = self._sources.checks()[0]
        states = {"stopping": not self._sources.stopping(), "store": store.status != "fail"}
        ready = all(states.values())
        text = "ok\n" if ready else f"not ready: {store.output or 'stopping'}\n"
        if "verbose" in request.query_params:
            text = "".join(f"[{'+' if good else '-'}] {name}\n" for name, good in states.items()) + text
        return PlainTextResponse(text, 200 if ready else 503)

    async def health(self, _: Request) -> Response:
        report = self._sources.report()
        return json_answer(report, 503 if report["status"] == "fail" else 200, "application/health+json")

    async def metrics(self, _: Request) -> Response:
        from gateway.health.metrics import CONTENT_TYPE, exposition  # its library is for those who ask

        return Response(exposition(self._sources), headers={"Content-Type": CONTENT_TYPE})

    async def events(self, request: Request) -> Response:
        """Stored events behind `after`, at most `limit`; of one `type` and `subject` those among the next 20,000.

        `after` is a seq of this buffer, or an event's id, which may be of a buffer before it.
        """
        asked = request.query_params
        remedy = f"after is a seq, 0 for all, or an event's id; limit is 1 to {MOST_EVENTS}"
        named, limit = EVENT_ID.fullmatch(asked.get("after", "0")), asked.get("limit", "100")
        if named is None or not limit.isdecimal() or not 1 <= int(limit[:9]) <= MOST_EVENTS:
            raise Refusal(400, "after or limit is not what it can be", remedy)
        outbox = self._sources.outbox
        after = outbox.envelope("").stored_seq(named[1] or outbox.stream, int(named[2]))
        if after is None:
            raise Refusal(404, f"the buffer never had {named[0]}", "see its `stream` and `former`, without `after`")
        return Response(
            await self._sources.events(after, int(limit), asked.get("type"), asked.get("subject")),
            media_type="application/json",
        )

    async def line(self, request: Request) -> Response:
        pieces = glance(self._sources, with_signals="signals" in request.query_params)
        return await long_answer(request, await joined(pieces))
