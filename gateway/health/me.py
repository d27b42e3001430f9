"""GET /api/me: who asks, and whether an entry needs a name and its PIN."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.health.answers import json_answer
from gateway.health.doorkeeper import Visitor
from gateway.health.sources import Sources


def routes(sources: Sources) -> Sequence[Route]:
    """One."""

    async def me(request: Request) -> Response:
        visitor: Visitor = request.state.visitor
        operators = sources.config.health.who_enter
        wants_pin = visitor.role == "viewer" or (visitor.role == "local" and bool(operators))
        return json_answer({"who": visitor.name, "role": visitor.role, "operators": operators, "wants_pin": wants_pin})

    return [Route("/api/me", me, methods=["GET"])]
