"""How the endpoint answers: JSON, made bit by bit and packed where it is long; what it refuses with why and remedy."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from protocols.worker import in_daemon_thread

REMEDIES = {404: "docs/operations.md lists what there is", 405: "docs/operations.md says how it is asked"}
"""Of what Starlette refuses itself."""
TURN_S = 0.001
"""How long something is made until others have their turn."""
WORTH_PACKING = 10_000
"""Bytes."""
FASTEST = 1
GZIP = 31
"""zlib's window bits for gzip's format."""


class Refusal(Exception):
    """Raised by a route: the request is answered with `status` and `{"why", "remedy"}`."""

    def __init__(self, status: int, why: str, remedy: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(why)
        self.status, self.why, self.remedy, self.headers = status, why, remedy, headers


def json_answer(body: Any, status: int = 200, content_type: str = "application/json") -> Response:
    """What orjson makes of `body`."""
    return Response(orjson.dumps(body), status, media_type=content_type)


def json_object(members: Iterable[tuple[str, Any]]) -> Iterator[bytes]:
    """What orjson makes of a dict of these, member by member."""
    before = b"{"
    for name, member in members:
        yield before + orjson.dumps(name) + b":" + orjson.dumps(member)
        before = b","
    yield b"{}" if before == b"{" else b"}"


async def joined(pieces: Iterator[bytes]) -> bytes:
    """All of them, made while others have their turns."""
    found = []
    until = time.monotonic() + TURN_S
    for piece in pieces:
        found.append(piece)
        if time.monotonic() > until:
            await asyncio.sleep(0)
            until = time.monotonic() + TURN_S
    return b"".join(found)


def packs(request: Request) -> bool:
    """Whether whoever asks understands gzip, and does not forbid it (RFC 9110, 12.5.3)."""
    for accepted in request.headers.get("Accept-Encoding", "").lower().split(","):
        coding, _, weight = accepted.replace(" ", "").partition(";q=")
        if coding in ("gzip", "x-gzip"):
            return weight.strip("0.") != "" or not weight
    return False


async def long_answer(request: Request, body: bytes) -> Response:
    """JSON that may be long, which a thread packs then."""
    vary = {"Vary": "Accept-Encoding"}
    if len(body) < WORTH_PACKING or not packs(request):
        return Response(body, media_type="application/json", headers=vary)
    packed = await in_daemon_thread("compress", lambda: zlib.compress(body, FASTEST, GZIP))
    return Response(packed, media_type="application/json", headers={**vary, "Content-Encoding": "gzip"})


def refused(_: Request | None, error: Exception) -> Response:
    """The answer to a request that a route, or Starlette itself, refuses."""
    if isinstance(error, Refusal):
        status, why, remedy, headers = error.status, error.why, error.remedy, error.headers
    else:
        assert isinstance(error, HTTPException)
        status, why, headers = error.status_code, error.detail, error.headers
        remedy = REMEDIES.get(status, "")
    return Response(orjson.dumps({"why": why, "remedy": remedy}), status, headers, "application/json")
