"""GET /api/stream: the line as it changes, as server-sent events, to some viewers at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from gateway.health.answers import TURN_S, Refusal, packs
from gateway.health.channels import (
    GZIP_HEAD,
    RETRY,
    Channel,
    HealthChannel,
    LineChannel,
    Message,
    SignalsChannel,
    message,
)
from gateway.health.sources import Sources

MOST_VIEWERS = 32
SLOW_S = 20.0
"""A viewer that has not taken a message after so long is left."""
HEADERS = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no", "Vary": "Accept-Encoding"}


class Stream:
    """Makes messages while somebody looks, and keeps none for a viewer that is slow: it gets the newest."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._signals: SignalsChannel
        self._viewers: set[_Viewer] = set()
        self._channels: tuple[Channel, ...] = ()
        self._making: _Making | None = None
        self._configuration = sources.config
        self._unwatch: Callable[[], None] = lambda: None
        self._timer: asyncio.Handle | None = None

    @property
    def route(self) -> Route:
        """Where it is asked for."""
        return Route("/api/stream", self._join, methods=["GET"])

    async def _join(self, request: Request) -> Response:
        if request.method == "HEAD":
            return Response(headers=HEADERS)
        if self._sources.stopping():
            raise Refusal(503, "the daemon is stopping", "ask again when it runs")
        for viewer in [viewer for viewer in self._viewers if viewer.is_gone]:
            self.leave(viewer)  # before it has its turn to find out itself
        if len(self._viewers) >= MOST_VIEWERS:
            why = f"{MOST_VIEWERS} viewers look at the line already"
            raise Refusal(503, why, "close the page where nobody looks at it", {"Retry-After": "10"})
        wants_signals = "signals" in request.query_params
        return _Viewer(self, request.scope["state"]["transport"], wants_signals, packs(request))

    def begin(self, viewer: _Viewer) -> None:
        """One more who looks."""
        if not self._viewers:
            line, health = LineChannel(self._sources), HealthChannel(self._sources)
            self._signals = SignalsChannel(self._sources)
            self._channels = (line, health, self._signals)
            self._configuration = self._sources.config
            self._unwatch = self._sources.view.watch(self._changed)
        self._viewers.add(viewer)
        self._signals.is_whole_wanted |= viewer.wants_signals
        viewer.wake(self._channels)
        self._await()

    def leave(self, viewer: _Viewer) -> None:
        """One less; with the last of them all work ends."""
        self._viewers.discard(viewer)
        viewer.wake(())
        if not self._viewers:
            self._rest()

    def end(self, why: str) -> None:
        """Say goodbye to all who look; whoever does not take it is not waited for."""
        viewers = list(self._viewers)
        self._viewers.clear()
        self._rest()
        for viewer in viewers:
            viewer.dismiss(message("bye", {"why": why}))

    def _rest(self) -> None:
        self._unwatch()
        self._unwatch, self._channels, self._making = lambda: None, (), None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _changed(self) -> None:
        line, health, _ = self._channels
        if not line.is_stale:
            line.is_stale = health.is_stale = True
            self._await()

    def _turn(self) -> None:
        """Make a bit of the message that is due: then others have their turn."""
        if self._sources.config is not self._configuration:
            self.end("reload")  # they come again, and get all that there is now
            return
        making, self._making = self._making or _Making(self._next()), None
        try:
            if making.goes_on():
                self._making = making
        finally:  # what failed is logged by the loop, and tried again when it is due
            self._await()
        if self._making is None:
            for viewer in self._viewers:
                viewer.wake(self._channels)

    def _next(self) -> Channel:
        """Of which a message is due next."""
        wants_signals = any(viewer.wants_signals for viewer in self._viewers)
        channels = (channel for channel in self._channels if channel.is_for_all or wants_signals)
        return min(channels, key=lambda channel: channel.due)

    def _await(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        loop, left = asyncio.get_running_loop(), self._next().due - time.monotonic()
        if self._making is not None or left <= 0:
            self._timer = loop.call_soon(self._turn)
        else:
            self._timer = loop.call_later(left, self._turn)


class _Making:
    """A message on its way to be one."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._steps = channel.make()
        self._took = 0.0

    def goes_on(self) -> bool:
        """Do a bit of it; whether there is more to do."""
        began = time.monotonic()
        is_done = True
        try:
            for _ in self._steps:
                if time.monotonic() - began >= TURN_S:
                    is_done = False
                    break
        finally:
            self._took += time.monotonic() - began
            if is_done:
                self._channel.made(self._took)
        return not is_done


class _Viewer(Response):
    """One answer: sends what is new whenever its peer has taken what was sent before."""

    def __init__(self, stream: Stream, transport: asyncio.Transport, wants_signals: bool, packed: bool) -> None:
        super().__init__(headers={**HEADERS, **({"Content-Encoding": "gzip"} if packed else {})})
        del self.headers["Content-Length"]
        self._is_packed = packed
        self.wants_signals = wants_signals
        self._stream, self._transport = stream, transport
        self._channels: tuple[Channel, ...] = ()
        self._seen: dict[Channel, int] = {}
        self._news = asyncio.Event()
        self._bye: Message | None = None
        self._limit: asyncio.Timeout | None = None
        """Of what is being sent."""

    @property
    def is_gone(self) -> bool:
        """Whether the peer has left."""
        return self._transport.is_closing()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Until the peer is gone or slow, or the stream ends."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await self._send(send, [GZIP_HEAD if self._is_packed else b"", self._bytes(RETRY)])
        self._stream.begin(self)
        try:
            while not self.is_gone and not self._bye:
                await self._news.wait()
                self._news.clear()
                if told := [self._bye] if self._bye else self._untold():
                    await self._send(send, map(self._bytes, told))
        except TimeoutError:
            self._transport.abort()
        finally:
            self._stream.leave(self)
        if self._bye and not self.is_gone:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            while (await receive())["type"] != "http.disconnect":
                pass  # uvicorn would take an end before that for one that was forgotten

    def wake(self, channels: tuple[Channel, ...]) -> None:
        """There may be something new."""
        self._channels = channels
        self._news.set()

    def dismiss(self, bye: Message) -> None:
        """Send this and no more, but nothing to a peer that has not even taken what was before it."""
        self._bye = bye
        self._news.set()
        if self._limit is not None:
            self._limit.reschedule(0)

    def _bytes(self, message: Message) -> bytes:
        return message.packed if self._is_packed else message.plain

    async def _send(self, send: Send, parts: Iterable[bytes]) -> None:
        """Raises TimeoutError."""
        async with asyncio.timeout(SLOW_S) as self._limit:
            await send({"type": "http.response.body", "body": b"".join(parts), "more_body": True})
        self._limit = None

    def _untold(self) -> list[Message]:
        told = []
        for channel in self._channels:
            seen = self._seen.get(channel, 0)
            is_new = seen != channel.number and (channel.is_for_all or self.wants_signals)
            if is_new and (news := channel.since(seen)) is not None:
                told.append(news)
                self._seen[channel] = channel.number
        return told
