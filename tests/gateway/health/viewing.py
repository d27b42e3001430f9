"""A viewer of the stream, a real HTTP client that reads server-sent events; and how somebody says who they are."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp


def basic(name: str, key: str) -> str:
    """What a browser makes of a name and a PIN or token (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{name}:{key}".encode()).decode()


class Viewer:
    """One answer of GET /api/stream, read message by message."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer
        self.kinds: list[str] = []
        """Of all messages that were read."""

    async def message(self) -> tuple[str, Any] | None:
        """The next one as (event, data); None where the stream has ended in order."""
        event = ""
        while line := await self.answer.content.readline():
            key, _, value = line.decode().rstrip("\n").partition(": ")
            if key == "event":
                event = value
            elif key == "data":
                self.kinds.append(event)
                return event, json.loads(value)
        return None

    async def until(self, event: str, is_it: Callable[[Any], Any] = lambda _: True, seconds: float = 60.0) -> Any:
        """The data of the first such message that `is_it`."""
        async with asyncio.timeout(seconds):
            while (found := await self.message()) is not None:
                if found[0] == event and is_it(found[1]):
                    return found[1]
        raise AssertionError(f"the stream ended without {event}")


@asynccontextmanager
async def viewer(url: str, query: str = "", **options: Any) -> AsyncIterator[Viewer]:
    """Look at the line at `url`."""
    async with (
        aiohttp.ClientSession(read_bufsize=2**22) as session,
        session.get(f"{url}/api/stream{query}", **options) as answer,
    ):
        assert answer.status == 200
        assert answer.content_type == "text/event-stream"
        yield Viewer(answer)
