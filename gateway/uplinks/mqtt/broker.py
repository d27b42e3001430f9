"""One broker as configured: how a connection to it begins, and what its refusals mean."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial

import structlog

from gateway.config.uplinks import resolved
from gateway.uplinks.mqtt import reasons
from gateway.uplinks.mqtt.config import HIDES, BrokerUplink
from gateway.uplinks.mqtt.link import Client, Link, Lost, Refused
from gateway.uplinks.mqtt.messages import Message
from gateway.uplinks.twins import CONTESTED, UNHEARD, unheard
from gateway.uplinks.uplink import TryLater, UplinkContext
from protocols.dial import connect_failed, dial, tls_context
from protocols.driver import ConfigError, ConnectFailed, NotConnected
from protocols.worker import in_daemon_thread

CONNACK_S = 10.0
PUBACK_S = 10.0
"""Longest silence of the broker while it owes us an acknowledgement."""
TAKEN_OVER_S = 30.0
"""Two clients of one id that both connected at once would end each other's connection at every turn."""
FAREWELL_S = 1.0
"""How long the broker may take to acknowledge that we go; else it publishes the will."""

_SILENT = "look at the broker's load and at the network"

log = structlog.get_logger("uplink")


class Broker:
    """Where it is, and who we are there; every error names it."""

    def __init__(self, config: BrokerUplink, context: UplinkContext, server: tuple[str, int]) -> None:
        self._config = config
        self._context = context
        self._host, self._port = server

    @property
    def is_contested(self) -> bool:
        """Whether another gateway was there before this connection: it may have ended the one before, and this one."""
        return CONTESTED in self._context.kept

    @property
    def peer(self) -> str:
        """`host:port`."""
        return f"{self._host}:{self._port}"

    async def open(self, in_flight: int, make_will: Callable[[], Awaitable[Message | None]]) -> Link:
        """Connect; `make_will` is asked right before CONNECT.

        Raises ConnectFailed or NotConnected; or ConfigError for a secret or a certificate file that cannot be read, and
        where the broker refuses this client.
        """
        config = self._config
        user, password = await in_daemon_thread("secrets", lambda: resolved(config.user, config.password))
        sock = await dial(self._host, self._port, partial(tls_context, config.tls) if config.is_secure else None)
        async with AsyncExitStack() as undo:
            undo.callback(sock.close)
            is_trial = self._context.trial  # beside the daemon, whose session and will are none of its business
            will = None if is_trial else await make_will()
            client_id = (config.client_id or default_client_id(self._context)) + ("-trial" if is_trial else "")
            link = Link(sock, Client(client_id, user, password, config.version, in_flight, will))
            undo.push_async_callback(link.close, disconnect=False)
            await self._begin(link)
            undo.pop_all()
        return link

    async def _begin(self, link: Link) -> None:
        try:
            await link.connect(CONNACK_S)
        except Refused as refused:
            raise self._refused_client(refused.code) from None
        except Lost as lost:
            if lost.tls is not None:
                raise connect_failed(self.peer, self._host, lost.tls) from None
            remedy = "check that the port fits mqtt:// or mqtts://, and whether the broker wants a client certificate"
            raise ConnectFailed(f"{self.peer}: {lost} before the session began", remedy) from None
        if link.maximum_qos < 1:
            raise ConfigError(f"{self.peer} takes QoS 0 only, which nobody acknowledges", "use a broker with QoS 1")
        if self._config.version != 5:
            self.warn("denials_are_not_seen", HIDES, "use `version: 5` where the broker speaks it")

    def _refused_client(self, code: int) -> ConnectFailed | ConfigError:
        remedy = "check `user` and `password`, and what the broker allows this client"
        if code != reasons.NOT_AUTHORIZED:
            remedy = reasons.remedy(code)
        kind = ConfigError if code in reasons.ABOUT_THE_CLIENT else ConnectFailed
        return kind(f"{self.peer} refuses the client: {reasons.words(code)}", remedy)

    def warn(self, event: str, why: str, remedy: str) -> None:
        """Say something once, whatever the number of connections."""
        if event not in self._context.said:
            self._context.said.add(event)
            log.warning(event, uplink=self._context.name, why=why, remedy=remedy)

    async def hear_others(self, link: Link, topic: str) -> None:
        """Have what other gateways of this line say on a topic; a broker that hangs up over it is not asked again.

        Raises NotConnected.
        """
        if UNHEARD in self._context.said:
            return
        lost, words = None, ""
        try:
            code = await link.subscribe(topic, no_local=True)
        except Lost as error:
            lost, words = error, str(error)
        else:
            words = reasons.words(code) if code >= reasons.REFUSAL else ""
        if words:
            why = f"{self.peer} does not let this client read {topic}: {words}"
            unheard(self._context, why, "let it subscribe there")
        if lost is not None:
            raise self.not_connected(lost) from None

    def not_connected(self, lost: Lost) -> NotConnected:
        """The connection is gone."""
        if lost.code == reasons.TAKEN_OVER or (lost.code is None and self.is_contested):
            remedy = reasons.remedy(reasons.TAKEN_OVER)  # not each broker says so
            return TryLater(f"{self.peer}: {lost}", remedy, TAKEN_OVER_S)
        remedy = "check the broker and the network" if lost.code is None else reasons.remedy(lost.code)
        return NotConnected(f"{self.peer}: {lost}", remedy)

    def silent(self) -> NotConnected:
        """It owes us an acknowledgement for too long."""
        return NotConnected(f"{self.peer} does not acknowledge within {PUBACK_S:g} s", _SILENT)


def default_client_id(context: UplinkContext) -> str:
    """The same for each run of one uplink of one line, of 23 letters and digits: what every server must accept."""
    line = context.line
    place = "\0".join((line.enterprise, line.site, line.area, line.name, context.name))
    return "linegate" + hashlib.sha256(place.encode()).hexdigest()[:15]
