"""Events into a JetStream stream: in order, acknowledged only by a PubAck, what comes twice dropped by the server."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Never

import nats.errors

from gateway.config.uplinks import resolved
from gateway.events import StoredEvent
from gateway.uplinks.content import Content
from gateway.uplinks.encoding import Unencodable
from gateway.uplinks.nats.answers import ABOUT_THE_EVENT, WRONG_STREAM, Answer
from gateway.uplinks.nats.config import TOKEN, NatsUplink
from gateway.uplinks.nats.link import Link, Login
from gateway.uplinks.nats.transport import NoTls, SocketTransport, UnwantedTls
from gateway.uplinks.template import place
from gateway.uplinks.twins import Twins, unheard
from gateway.uplinks.uplink import Rejected, UplinkContext
from gateway.uplinks.window import Window
from protocols.dial import DIAL_S, connect_failed, dial, tls_context
from protocols.driver import ConfigError, ConnectFailed, NotConnected
from protocols.worker import in_daemon_thread

ANSWER_S = 10.0
"""Longest silence of the server while it owes us an answer."""
WRITE_S = 1.0
"""A `write` sends nothing more after this long: what a cancellation makes forget, and so repeat, is bounded by it."""
ALIVE = "gateway.alive"
MSG_ID = "Nats-Msg-Id"
EXPECTED_STREAM = "Nats-Expected-Stream"
PREFIX = "ce-"
"""Of attributes as headers (CloudEvents' NATS binding, binary content mode)."""

_CREDS = r"-----BEGIN NATS USER JWT-----\s+\S+\s+[\s\S]*-----BEGIN USER NKEY SEED-----\s+SU[A-Z2-7]+\s"


@dataclass(frozen=True, slots=True)
class Message:
    """One event as it goes out."""

    subject: str
    headers: dict[str, str]
    payload: bytes
    size: int
    """Bytes that count against the server's limits."""


class NatsPublisher:
    """One connection to one server of a cluster."""

    def __init__(self, config: NatsUplink, context: UplinkContext) -> None:
        self._config = config
        self._context = context
        self._content = Content(context.envelope, config, PREFIX)
        self._subject = partial(config.subject.format, **place(context.line, TOKEN))
        self._peer = ""
        self._link: Link | None = None
        self._window = Window(config.in_flight)
        self._under_way: deque[tuple[int, Message]] = deque()
        """Numbers and messages that the server has not answered, in the order sent."""
        self._next: Message | None = None
        """Made, and waiting for its turn."""
        self._is_silent = False
        self._twins: Twins | None = None

    async def connect(self) -> None:
        """Connect to the first server that is there.

        Raises ConnectFailed; or ConfigError for a secret or a certificate file that cannot be used, and where a server
        refuses this user.
        """
        login = await in_daemon_thread("secrets", self._login)
        context = None
        if self._config.is_secure:
            context = await in_daemon_thread("tls", partial(tls_context, self._config.tls))
        failures: list[ConnectFailed] = []
        for host, port in self._config.servers:
            try:
                return await self._connect(host, port, login, context)
            except ConnectFailed as failure:
                failures.append(failure)
        why = "; ".join(failure.why for failure in failures)
        raise ConnectFailed(why, failures[0].remedy)

    async def serve(self) -> Never:
        """Wait for the end of the connection. Raises NotConnected."""
        link = self._connected()
        await link.wait_lost()
        raise self._not_connected(link)

    async def write(self, events: Sequence[StoredEvent]) -> int:
        """Publish in order; how many of the prefix the stream has.

        Raises Rejected for an event that is refused as such, ConfigError for a subject that this user may not publish
        to, NotConnected where none was acknowledged.
        """
        link = self._connected()
        if self._is_silent:  # it still owes us answers
            raise self._silent()
        self._under_way.clear()
        self._next = None
        stop_at = asyncio.get_running_loop().time() + WRITE_S
        sent = done = 0
        unsendable = ""
        while True:
            while sent < len(events) and not unsendable and (asyncio.get_running_loop().time() < stop_at or not sent):
                try:
                    if not await self._send(link, events[sent]):
                        break
                    sent += 1
                except Unencodable as error:
                    unsendable = str(error)
            if not self._under_way:
                break
            answer = await self._next_answer(link)
            if answer is None:
                return self._broken(link, events[done], done)
            _, message = self._under_way.popleft()
            if not answer.is_stored:
                while self._under_way and await self._next_answer(link) is not None:
                    self._under_way.popleft()
                return self._refused(answer, message, done)
            done += 1
            self._window.taken(message.size)
        if unsendable:
            raise Rejected(done, unsendable)
        return done

    async def close(self) -> None:
        """Idempotent."""
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    async def _connect(self, host: str, port: int, login: Login, context: ssl.SSLContext | None) -> None:
        self._peer = f"{host}:{port}"
        sock = await dial(host, port, None)
        link = self._link = Link(SocketTransport(sock, is_secure=context is not None))
        config = self._config
        url = f"{'tls' if context else 'nats'}://{f'[{host}]' if ':' in host else host}:{port}"
        name = f"linegate {self._context.envelope.source} {self._context.name}"
        try:
            await link.connect(
                url, name, login, context,
                timeout_s=min(ANSWER_S, DIAL_S), inbox=config.inbox, tls_first=config.tls_first,
            )  # fmt: skip
            if link.denied:
                raise self._not_permitted(link)
            await (self._try_subject(link) if self._context.trial else self._hear_others(link))
        except (OSError, ValueError, nats.errors.Error, TimeoutError) as error:
            await self.close()
            raise self._connect_failed(host, link, error) from None

    async def _try_subject(self, link: Link) -> None:
        """See whether a stream would take an event: it refuses one that expects another stream, and stores nothing."""
        message = Message(self._subject(type="gateway.alive", subject="gateway"), {EXPECTED_STREAM: "-"}, b"", 0)
        self._under_way.append((await link.publish(message.subject, message.headers, message.payload), message))
        answer = await self._next_answer(link)
        if answer is None:
            raise self._not_permitted(link) if link.denied else self._silent()
        self._under_way.clear()
        if answer.code != WRONG_STREAM:
            self._refused(answer, message, 0)

    async def _hear_others(self, link: Link) -> None:
        """Other gateways of this line: each says each minute that it is alive, on a subject of the line's own."""
        if not {"{line}", "{type}"} <= set(re.findall(r"\{\w+\}", self._config.subject)):
            return
        self._twins = Twins(self._context)
        remedy = "let the server permit this user to subscribe there"
        await link.hear(
            self._subject(type=ALIVE, subject="gateway"), self._heard,
            lambda words: unheard(self._context, f"{self._peer}: {words}", remedy),
        )  # fmt: skip

    def _heard(self, headers: Mapping[str, str]) -> None:
        """A `gateway.alive`: ours, also of the connection before, or another's."""
        stream, _, seq = headers.get(MSG_ID, "").rpartition("-")
        if self._twins is None or not seq.isdecimal():
            return
        is_clones = stream == self._context.envelope.stream and int(seq) > self._context.kept.get(ALIVE, 0)
        if is_clones or not self._twins.is_ours(stream):
            self._twins.heard(stream)
        self._twins.look()

    def _connect_failed(self, host: str, link: Link, error: Exception) -> ConnectFailed | ConfigError:
        if isinstance(error, NoTls):
            return ConnectFailed(f"{self._peer} offers no TLS", "enable TLS there; nothing was sent")
        if isinstance(error, UnwantedTls):
            return ConfigError(f"{self._peer} wants TLS", "write tls:// in `url`")
        if isinstance(error, OSError) and not isinstance(error, TimeoutError):
            return connect_failed(self._peer, host, error)
        if isinstance(error, (TimeoutError, ValueError)) or "INFO" in str(error):
            remedy = "check that the port is that of a NATS server, and whether `tls_first` fits it"
            return ConnectFailed(f"{self._peer} does not speak NATS with us", remedy)
        words = link.words(error)
        if "auth" in words.lower():
            remedy = "check `user` and `password`, `token`, `nkey` or `creds`, and that the server knows this user"
            return ConfigError(f"{self._peer} refuses the client: {words}", remedy)
        remedy = "see the server's log, and whether it wants a client certificate"
        return ConnectFailed(f"{self._peer} refuses the connection: {words}", remedy)

    def _login(self) -> Login:
        """Blocking. Raises ConfigError naming the place, never the content."""
        config = self._config
        user, password = resolved(config.user, config.password)
        _, token = resolved(None, config.token)
        _, nkey = resolved(None, config.nkey)
        _, creds = resolved(None, config.creds)
        if config.nkey is not None and not re.fullmatch(r"SU[A-Z2-7]{56}", nkey or ""):
            raise ConfigError(f"{config.nkey.place} holds no user's NKey seed", "write the seed alone into it: SU...")
        if config.creds is not None and not re.search(_CREDS, f"{creds}\n"):
            raise ConfigError(f"{config.creds.place} holds no credentials", "write the whole .creds file into it")
        return Login(user, password, token, nkey, creds)

    async def _send(self, link: Link, event: StoredEvent) -> bool:
        """Whether the event has gone out; it waits while others must be answered first. Raises Unencodable."""
        if self._next is None:
            self._next = self._message(link, event)
        oldest = self._under_way[0][1].size if self._under_way else 0
        if not self._window.takes(self._next.size, len(self._under_way), oldest):
            return False
        if event.type == ALIVE:
            self._context.kept[ALIVE] = max(event.seq, self._context.kept.get(ALIVE, 0))
        message, self._next = self._next, None
        self._under_way.append((await link.publish(message.subject, message.headers, message.payload), message))
        return True

    def _message(self, link: Link, event: StoredEvent) -> Message:
        headers, payload = self._content.of(event)
        headers[MSG_ID] = self._context.envelope.id(event)
        size = link.size(headers, payload)
        if size > link.max_payload:
            raise Unencodable(f"the message has {size} bytes, and the server takes {link.max_payload} at most")
        return Message(self._subject(type=event.type, subject=event.subject), headers, payload, size)

    async def _next_answer(self, link: Link) -> Answer | None:
        """The answer to the oldest message; None when the link breaks, stays silent, or the server denies something."""
        number, _ = self._under_way[0]
        try:
            while number not in link.answers:
                if link.lost or link.denied:
                    return None
                link.changed.clear()
                async with asyncio.timeout(ANSWER_S):
                    await link.changed.wait()
        except TimeoutError:
            return None
        return link.answers.pop(number)

    def _refused(self, answer: Answer, message: Message, done: int) -> int:
        if answer.code in ABOUT_THE_EVENT:
            raise Rejected(done, f"{self._peer} refuses the message: {answer.words} ({answer.code})")
        if not done:
            why = f"{self._peer} does not store messages for {message.subject}: {answer.words} ({answer.code})"
            raise NotConnected(why, answer.remedy)
        return done

    def _broken(self, link: Link, oldest: StoredEvent, done: int) -> int:
        self._is_silent = not link.lost and not link.denied
        if done:
            return done
        if link.denied:
            raise self._not_permitted(link)
        if not link.lost:
            raise self._silent()
        if len(self._under_way) > 1:
            raise self._not_connected(link)
        _, message = self._under_way[0]
        what = f"event {oldest.seq} (a message of {message.size} bytes)"
        remedy = f"check the server and the network; if it breaks each time at {what}, see the server's log"
        raise NotConnected(f"{self._peer}: {link.lost}", remedy)

    def _not_permitted(self, link: Link) -> ConfigError:
        return ConfigError(f"{self._peer}: {link.denied}", "let the server permit this user to do that")

    def _not_connected(self, link: Link) -> NotConnected:
        return NotConnected(f"{self._peer}: {link.lost}", "check the server and the network")

    def _silent(self) -> NotConnected:
        return NotConnected(
            f"{self._peer} does not acknowledge within {ANSWER_S:g} s", "look at the server's load and at the network"
        )

    def _connected(self) -> Link:
        if self._link is None:
            raise NotConnected("it is not connected")
        return self._link
