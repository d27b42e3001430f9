"""One NATS connection by nats-py: publishes with a reply subject of its own, and keeps the answers.

nats-py's JetStream client makes a task and a random token for each message; a JetStream publish is a message with a
reply subject, and its acknowledgement what comes there. nats-py connects again by itself unless told not to, and is
given its transport (`_transport`) and a parser that knows an end (`_ps`): `tests/gateway/uplinks/nats/test_link.py`
fails when that changes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nats.aio.client import Client, RawCredentials
from nats.aio.msg import Msg
from nats.errors import Error, ProtocolError
from nats.protocol.parser import Parser

from gateway.uplinks.nats.answers import NO_STREAM, Answer
from gateway.uplinks.nats.transport import LONGEST, SocketTransport
from gateway.uplinks.said import said

PING_S = 15
CLOSE_S = 2.0
_OVERHEAD = len(b"NATS/1.0\r\n\r\n")
_STATUS = "Status"


@dataclass(frozen=True, slots=True)
class Login:
    """Who connects, at most one of them."""

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    nkey: str | None = field(default=None, repr=False)
    creds: str | None = field(default=None, repr=False)

    @property
    def secrets(self) -> list[str]:
        """All that a server may repeat: it is told them in JSON."""
        creds = [line for line in (self.creds or "").splitlines() if line and not line.startswith("---")]
        told = [one for one in (self.password, self.token, self.nkey, *creds) if one]
        return [*told, *(json.dumps(one)[1:-1] for one in told)]

    def options(self) -> dict[str, Any]:
        """As nats-py has them."""
        return {
            "user": self.user,
            "password": self.password,
            "token": self.token,
            "nkeys_seed_str": self.nkey,
            "user_credentials": None if self.creds is None else RawCredentials(self.creds),
        }


class _Parser(Parser):
    """nats-py's, which gathers a message of any length that the server says, and a line that never ends."""

    def __init__(self, client: Client, on_endless: Callable[[str], None]) -> None:
        super().__init__(client)
        self._on_endless = on_endless

    async def parse(self, data: bytes = b"") -> None:
        """nats-py's: what came."""
        await super().parse(data)
        if self.needed > LONGEST or len(self.buf) > 2 * LONGEST:
            self._on_endless(f"the server sends a message of more than {LONGEST:,} bytes")
            raise ProtocolError


class Link:
    """One connection; it tells `changed` of each answer, and of its end."""

    def __init__(self, transport: SocketTransport) -> None:
        self.changed = asyncio.Event()
        self.answers: dict[int, Answer] = {}
        """By the number that `publish` gave; whoever takes an answer removes it."""
        self.lost = ""
        """Why the connection is gone, as soon as it is known to be."""
        self.denied = ""
        """The server's words where it does not permit what was published or subscribed."""
        self._heard = ""
        self._on_unheard: Callable[[str], None] = lambda _words: None
        self._transport = transport
        self._client = Client()
        self._client._ps = _Parser(self._client, self._on_lost)
        self._number = 0
        self._unanswered: set[int] = set()
        self._inbox = ""
        self._secrets: list[str] = []

    async def connect(
        self, url: str, name: str, login: Login, context: ssl.SSLContext | None, *,
        timeout_s: float, inbox: str, tls_first: bool,
    ) -> None:  # fmt: skip
        """CONNECT, and a subscription for the answers. Raises OSError, nats-py's errors, TimeoutError or ValueError."""
        client, self._secrets = self._client, login.secrets
        client._transport = self._transport
        self._transport.on_lost = self._on_lost
        await client.connect(
            url, name=name, allow_reconnect=False, connect_timeout=max(1, round(timeout_s)), ping_interval=PING_S,
            tls=context, tls_handshake_first=tls_first, inbox_prefix=inbox, skip_subject_validation=True,
            error_cb=self._on_error, disconnected_cb=self._on_disconnected, **login.options(),
        )  # fmt: skip
        self._inbox = client.new_inbox()
        await client.subscribe(f"{self._inbox}.*", cb=self._on_answer)
        await client.flush(max(1, round(timeout_s)))

    @property
    def max_payload(self) -> int:
        """Bytes of headers and payload that the server takes."""
        return self._client.max_payload

    @staticmethod
    def size(headers: Mapping[str, str], payload: bytes) -> int:
        """What counts against `max_payload`."""
        lines = sum(len(key) + len(value.encode()) + 4 for key, value in headers.items())
        return _OVERHEAD + lines + len(payload)

    async def publish(self, subject: str, headers: Mapping[str, str], payload: bytes) -> int:
        """Hand one message to the socket; its number. One for a connection that is gone is never answered."""
        self._number += 1
        self._unanswered.add(self._number)
        with contextlib.suppress(Error, OSError):
            await self._client.publish(subject, payload, f"{self._inbox}.{self._number}", dict(headers))
        return self._number

    async def hear(
        self, subject: str, take: Callable[[Mapping[str, str]], None], on_denied: Callable[[str], None]
    ) -> None:
        """Have `take` called with the headers of what anybody publishes to a subject, we too.

        Or `on_denied` with the server's words, where it does not permit that; nothing else comes of it.
        """

        async def heard(message: Msg) -> None:
            take(message.headers or {})

        self._heard, self._on_unheard = subject, on_denied
        with contextlib.suppress(Error, OSError):
            await self._client.subscribe(subject, cb=heard)

    async def wait_lost(self) -> None:
        """Wait until the connection is gone."""
        while not self.lost:
            self.changed.clear()
            await self.changed.wait()

    def words(self, error: Exception) -> str:
        """An error without nats-py's name before it and the server's quotes around it."""
        return said(str(error).removeprefix("nats: ").strip().strip("'"), self._secrets)

    async def close(self) -> None:
        """End the connection and nats-py's tasks; idempotent."""
        self._transport.on_lost = lambda _why: None
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._client.close()
        except (Error, OSError, TimeoutError, AssertionError):
            pass  # it never came to a connection, or it is gone
        finally:
            self._transport.close()

    async def _on_answer(self, message: Msg) -> None:
        text = message.subject.rpartition(".")[2]
        number = int(text) if text.isdecimal() and len(text) < 20 else 0
        if number not in self._unanswered:  # told twice, or somebody else's who may publish to our inbox
            return
        self._unanswered.remove(number)
        if message.headers and message.headers.get(_STATUS) == "503":
            self.answers[number] = NO_STREAM
        else:
            self.answers[number] = Answer.parsed(message.data)
        self.changed.set()

    async def _on_error(self, error: Exception) -> None:
        words = self.words(error)
        if "permissions violation" not in words.lower():
            return
        if self._heard and f'subscription to "{self._heard}"'.lower() in words.lower():
            self._on_unheard(words)
        else:
            self.denied = words
            self.changed.set()

    async def _on_disconnected(self) -> None:
        self._on_lost("the connection was given up")

    def _on_lost(self, why: str) -> None:
        if not self.lost:
            last = self._client.last_error
            self.lost = f"the server ended the connection: {self.words(last)}" if type(last) is Error else why
            self.changed.set()
