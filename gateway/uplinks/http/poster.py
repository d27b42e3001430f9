"""Events as batches posted to an HTTP server: one request at a time, acknowledged by an answer of 2xx."""

from __future__ import annotations

import asyncio
import base64
import time
import zlib
from collections.abc import Sequence
from typing import Never
from urllib.parse import urlsplit

from gateway import __version__
from gateway.config.uplinks import resolved
from gateway.events import StoredEvent
from gateway.uplinks.compression import compress
from gateway.uplinks.encoding import Encoding, Unencodable
from gateway.uplinks.http import answers
from gateway.uplinks.http.config import HttpUplink
from gateway.uplinks.http.connection import Answer, Broken, Connection
from gateway.uplinks.pace import Pace
from gateway.uplinks.uplink import Rejected, TryLater, UplinkContext
from protocols.dial import tls_context
from protocols.driver import ConfigError, NotConnected
from protocols.worker import DaemonWorker

FIRST_BYTES = 1_000_000
"""What a body may have before compression, until a server says that this is too much."""
STEP = 4
"""A batch grows by this factor with each that is taken, and shrinks by it with each that is refused."""

_WANTS_ANOTHER = "; a server that refuses every event so wants another `format`, `shape` or `compression`"


class HttpPoster:
    """One server.

    A connection begins with a batch of one event. A batch that is refused is divided until the event that is to blame
    stands alone; so does one over which a server hangs up, since the next connection begins with one again.
    """

    def __init__(self, config: HttpUplink, context: UplinkContext) -> None:
        parts = urlsplit(config.url)
        self._config = config
        self._stream = context.envelope.stream
        self._encoding = Encoding(context.envelope, config)
        self._host = config.host
        self._port = parts.port or (443 if config.is_secure else 80)
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = [
            ("Host", parts.netloc),
            ("User-Agent", f"linegate/{__version__}"),
            ("Content-Type", self._encoding.batch_content_type),
        ]
        if config.compression != "none":
            self._headers.append(("Content-Encoding", config.compression))
        self._secrets = answers.callers(parts)
        self._worker = DaemonWorker(f"uplink {context.name}")
        self._connection: Connection | None = None
        self._most = 1
        self._most_bytes = FIRST_BYTES
        self._pace = Pace(context.kept, config.timeout / 1000)

    @property
    def peer(self) -> str:
        """`host:port`."""
        return f"{self._host}:{self._port}"

    async def connect(self) -> None:
        """Raises ConnectFailed, or ConfigError for a secret or a certificate file that cannot be used."""
        user, password = await self._worker.call(lambda: resolved(self._config.user, self._config.password))
        _, token = await self._worker.call(lambda: resolved(None, self._config.token))
        if token is not None:
            self._authorise("Bearer", token, [token])
        elif user is not None:
            both = base64.b64encode(f"{user}:{password or ''}".encode()).decode()
            self._authorise("Basic", both, [both, *filter(None, [password])])
        self._connection = await self._open()

    async def serve(self) -> Never:
        """Nothing to listen to: a server that went away is noticed with the next request."""
        await asyncio.get_running_loop().create_future()
        raise AssertionError("unreachable")

    async def write(self, events: Sequence[StoredEvent]) -> int:
        """Post the first events; how many were taken.

        Raises Rejected for an event that is refused alone, ConfigError where the server wants other credentials,
        NotConnected or TryLater for every other answer and for none.
        """
        while True:
            batch = self._written(events)
            begun = time.monotonic()
            answer = await self._post(events[: len(batch)], batch)
            if answers.is_success(answer):
                self._pace.taken(sum(map(len, batch)), time.monotonic() - begun)
                self._most = min(STEP * max(self._most, len(batch)), self._config.batch)
                return len(batch)
            if answer.status not in answers.REFUSED:
                raise self._not_taken(answer)
            self._check_coding(answer)
            if len(batch) == 1:
                hint = _WANTS_ANOTHER if answer.status == answers.UNSUPPORTED else ""
                raise Rejected(0, f"{self.peer} refuses the event: {self._words(answer)}{hint}")
            self._most = max(1, len(batch) // STEP)
            if answer.status == answers.TOO_LARGE:
                self._most_bytes = max(1, sum(map(len, batch)) // 2)

    async def close(self) -> None:
        """Idempotent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        self._worker.stop()

    def _written(self, events: Sequence[StoredEvent]) -> list[bytes]:
        """The bytes of the next batch's events. Raises Rejected where there is none before one that is no JSON."""
        batch: list[bytes] = []
        size = 0
        for event in events[: self._most]:
            try:
                written = self._encoding.event(event)
            except Unencodable as error:
                if batch:
                    break
                raise Rejected(0, str(error)) from None
            size += len(written)
            if batch and (size > self._most_bytes or not self._pace.fits(size)):
                break
            batch.append(written)
        return batch

    async def _post(self, events: Sequence[StoredEvent], batch: Sequence[bytes]) -> Answer:
        """The answer to one batch. A connection that the server gave up while nothing was said is no loss."""
        body, key = await self._worker.call(lambda: self._body(events, batch))
        headers = [*self._headers, ("Content-Length", str(len(body))), ("Idempotency-Key", key)]
        while True:
            connection = self._connection
            is_new = connection is None or not connection.is_usable
            try:
                async with asyncio.timeout(self._config.timeout / 1000):
                    if connection is None or is_new:
                        connection = self._connection = await self._open()
                    return await connection.post(self._target, headers, body)
            except TimeoutError:
                if len(batch) > 1:
                    self._pace.too_slow(sum(map(len, batch)))
                words = f"{self.peer} does not answer within {self._config.timeout / 1000:g} s"
                raise NotConnected(words, "look at the server's load and at the network, or raise `timeout`") from None
            except Broken as broken:
                if is_new:
                    remedy = "see the server's log, and whether it wants a client certificate"
                    raise NotConnected(f"{self.peer}: {broken}", remedy) from None

    def _body(self, events: Sequence[StoredEvent], batch: Sequence[bytes]) -> tuple[bytes, str]:
        """What is sent, and a key that is the same whenever these events are sent like this; in a thread."""
        body = self._encoding.batch(batch)
        key = f'"{self._stream}-{events[0].seq}-{events[-1].seq}-{zlib.crc32(body):08x}"'
        if self._config.compression != "none":
            body = compress(self._config.compression, body)
        return body, key

    async def _open(self) -> Connection:
        context = None
        if self._config.is_secure:
            context = await self._worker.call(lambda: tls_context(self._config.tls))
        return await Connection.open(self._host, self._port, context)

    def _authorise(self, scheme: str, credentials: str, secrets: list[str]) -> None:
        if not credentials.isascii() or not credentials.isprintable() or " " in credentials:
            place = self._config.token.place if self._config.token is not None else ""
            raise ConfigError(f"{place} holds what no header field can carry", "write the token alone into it")
        self._headers.append(("Authorization", f"{scheme} {credentials}"))
        self._secrets += secrets

    def _check_coding(self, answer: Answer) -> None:
        """Raise ConfigError where it is the compression that the server does not know, and no event's fault."""
        coding, taken = self._config.compression, answer.headers.get("accept-encoding")
        if answer.status == answers.UNSUPPORTED and coding != "none" and taken is not None and coding not in taken:
            raise ConfigError(f"{self.peer} does not take {coding}", "set `compression` to what it takes, or to none")

    def _not_taken(self, answer: Answer) -> NotConnected | ConfigError:
        why = f"{self.peer} answers {self._words(answer)}"
        remedy = answers.remedy(answer.status)
        if answer.status in answers.UNAUTHORISED:
            return ConfigError(why, remedy)
        wait_s = answers.asked_to_wait_s(answer)
        return TryLater(why, remedy, wait_s) if wait_s else NotConnected(why, remedy)

    def _words(self, answer: Answer) -> str:
        return answers.words(answer, self._secrets)
