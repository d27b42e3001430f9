"""How the endpoint answers: JSON, and what it refuses with why and remedy, whoever refuses it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

REMEDIES = {404: "docs/operations.md lists what there is", 405: "docs/operations.md says how it is asked"}
"""Of what Starlette refuses itself."""


class Refusal(Exception):
    """Raised by a route: the request is answered with `status` and `{"why", "remedy"}`."""

    def __init__(self, status: int, why: str, remedy: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(why)
        self.status, self.why, self.remedy, self.headers = status, why, remedy, headers


def json_answer(body: Any, status: int = 200, content_type: str = "application/json") -> Response:
    """What orjson makes of `body`."""
    return Response(orjson.dumps(body), status, media_type=content_type)


def refused(_: Request | None, error: Exception) -> Response:
    """The answer to a request that a route, or Starlette itself, refuses."""
    if isinstance(error, Refusal):
        status, why, remedy, headers = error.status, error.why, error.remedy, error.headers
    else:
        assert isinstance(error, HTTPException)
        status, why, headers = error.status_code, error.detail, error.headers
        remedy = REMEDIES.get(status, "")
    return Response(orjson.dumps({"why": why, "remedy": remedy}), status, headers, "application/json")
