"""Events from a NATS JetStream stream, by a pull consumer: each message acknowledged when its events were taken."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Any

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy

from gateway.config.uplinks import resolved
from gateway.receive.decode import decode_message
from gateway.receive.follower import NotAnEvent
from gateway.receive.source import KEPT_S, MOST_MESSAGES, Receiver, Settings
from gateway.uplinks.nats.transport import NoTls, SocketTransport, UnwantedTls
from protocols.dial import connect_failed, dial, tls_context
from protocols.driver import ConfigError, ConnectFailed, LinkError, NotConnected
from protocols.worker import in_daemon_thread

ANSWER_S = 10
FETCH_S = 1.0
CLOSE_S = 2.0
ACK_S = 5
"""After so long what a consumer that died had not acknowledged comes again; taking takes less."""
PREFIX = "ce-"
"""Of attributes as headers (CloudEvents' NATS binding, binary content mode)."""


class NatsSource:
    """`nats://host:4222/STREAM`, or `/STREAM/subject.>` for a part of it; `tls://` for TLS.

    With a name the consumer stays at the server (durable), and goes on where it was.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stream, _, subject = settings.path.partition("/")
        self._subject = subject or ">"
        if not settings.host or not self._stream:
            raise ConfigError(f"{settings.url} names no stream", "write nats://host/STREAM, or tls:// for TLS")
        self._host, self._port = settings.host, settings.port(4222)
        self._errors: list[Exception] = []

    async def run(self, receiver: Receiver) -> None:
        """See `Source`."""
        settings = self._settings
        user, password = await in_daemon_thread("secrets", lambda: resolved(settings.user, settings.password))
        _, token = await in_daemon_thread("secrets", lambda: resolved(None, settings.token))
        context = None
        if settings.is_secure:
            context = await in_daemon_thread("certificates", lambda: tls_context(settings.tls))
        client = Client()
        try:
            await self._connect(client, context, user=user, password=password, token=token)
            await self._receive(client, receiver)
        finally:
            with contextlib.suppress(nats.errors.Error, OSError, AssertionError):  # TimeoutError is one of OSError
                async with asyncio.timeout(CLOSE_S):  # it waits for a server that is gone
                    await client.close()

    async def _connect(self, client: Client, context: ssl.SSLContext | None, **login: Any) -> None:
        host = f"[{self._host}]" if ":" in self._host else self._host
        url = f"{'tls' if context else 'nats'}://{host}:{self._port}"
        # given to nats-py: its own would leave it to the server whether a password is encrypted
        client._transport = SocketTransport(await dial(self._host, self._port, None), is_secure=context is not None)
        try:
            await client.connect(
                url, allow_reconnect=False, connect_timeout=ANSWER_S, tls=context, error_cb=self._note, **login
            )
        except NoTls:
            remedy = "enable TLS there, or write nats:// where nobody else reads on the way; nothing was sent"
            raise ConnectFailed(f"{self._host}:{self._port} offers no TLS", remedy) from None
        except UnwantedTls:
            raise ConfigError(f"{self._host}:{self._port} wants TLS", "write tls:// in the URL") from None
        except (OSError, nats.errors.Error, TimeoutError, ValueError) as error:
            raise self._refused(self._errors[-1] if self._errors else error) from None

    async def _receive(self, client: Client, receiver: Receiver) -> None:
        begin = DeliverPolicy.ALL if self._settings.begin == "oldest" else DeliverPolicy.NEW
        name = self._settings.name
        config = ConsumerConfig(deliver_policy=begin, ack_wait=ACK_S, inactive_threshold=KEPT_S if name else None)
        try:
            consumer = await client.jetstream().pull_subscribe(self._subject, name, self._stream, config)
            receiver.ready(f"{self._subject} of the stream {self._stream} at {self._host}:{self._port}")
            while client.is_connected:
                try:
                    messages = await consumer.fetch(MOST_MESSAGES, FETCH_S)
                except TimeoutError:
                    continue
                self._take(messages, receiver)
                for message in messages:
                    await message.ack()
        except nats.js.errors.NotFoundError:
            words = f"{self._host}:{self._port} has no stream {self._stream}"
            raise ConfigError(words, "check its name, and that this user may see it") from None
        except (nats.js.errors.APIError, nats.js.errors.NoStreamResponseError) as error:
            remedy = "let the server permit this user to consume that stream"
            raise ConfigError(f"{self._host}:{self._port}: {error}", remedy) from None
        except (nats.errors.Error, OSError) as error:
            if isinstance(error, OSError) and client.is_connected:
                raise  # not of the connection: what came could not be stored
            raise self._lost() from None
        raise self._lost()

    def _take(self, messages: list[Msg], receiver: Receiver) -> None:
        events = []
        for message in messages:
            try:
                events += decode_message(message.headers or {}, PREFIX, message.data)
            except NotAnEvent as error:
                receiver.strange(message.subject, str(error))
        receiver.take(events)

    async def _note(self, error: Exception) -> None:
        self._errors.append(error)

    def _lost(self) -> NotConnected:
        said = f": {_plain(self._errors[-1])}" if self._errors else ""
        return NotConnected(
            f"{self._host}:{self._port}: the connection broke{said}", "check the server and the network"
        )

    def _refused(self, error: Exception) -> LinkError:
        peer, words = f"{self._host}:{self._port}", _plain(error)
        if isinstance(error, OSError) and not isinstance(error, TimeoutError):
            return connect_failed(peer, self._host, error)
        if "auth" in words.lower():
            remedy = "check --user and what --password-env or --password-file names, or --token-env"
            return ConfigError(f"{peer} refuses this client: {words}", remedy)
        remedy = "check that this is the port of a NATS server, and whether it wants tls:// or a client certificate"
        return ConnectFailed(f"{peer} does not speak NATS with us: {words}", remedy)


def _plain(error: Exception) -> str:
    return str(error).removeprefix("nats: ").strip("'") or type(error).__name__
