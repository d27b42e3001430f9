"""The line as a Sparkplug B edge node on one connection to a broker.

Sparkplug publishes at QoS 0, which nobody acknowledges. An event counts as delivered once the broker has acknowledged a
later QoS 1 message of ours on the same connection, the proof: a server takes what a client sends in order (MQTT 5.0,
4.6). What was not proven when a connection ended goes out again on the next one, as history.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Never

import structlog

from gateway.events import StoredEvent
from gateway.uplinks.mqtt import broker, reasons
from gateway.uplinks.mqtt.broker import Broker
from gateway.uplinks.mqtt.link import Link, Lost
from gateway.uplinks.mqtt.messages import Message
from gateway.uplinks.said import said
from gateway.uplinks.sparkplug.births import next_bd_seq
from gateway.uplinks.sparkplug.config import SparkplugUplink
from gateway.uplinks.sparkplug.host import HostState, PrimaryHost
from gateway.uplinks.sparkplug.metrics import Metrics
from gateway.uplinks.sparkplug.payload import commands
from gateway.uplinks.sparkplug.proofs import Proofs
from gateway.uplinks.sparkplug.session import REBIRTH, Place, Session, Unsendable
from gateway.uplinks.uplink import Rejected, UplinkContext
from protocols.driver import ConfigError, ConnectFailed, NotConnected
from protocols.worker import in_daemon_thread

HOST_S = 20.0
"""How long a connection waits for the primary host; then the next broker's turn comes."""
REBIRTH_S = 1.0
"""Least time between two births: what asks for more is answered at its end, all at once."""
IN_FLIGHT = 2
"""A proof, and the death of one whose proof is still owed."""
STEP = 4
"""By this factor the number of events grows that one proof is for, from one on each connection."""
MOST_NAMES = 20
"""Refused commands that are logged by name."""

log = structlog.get_logger("uplink")


class SparkplugNode:
    """One connection, one Sparkplug session."""

    def __init__(self, config: SparkplugUplink, context: UplinkContext) -> None:
        self._config = config
        self._context = context
        turn = context.kept.get("turn", 0)
        context.kept["turn"] = (turn + 1) % len(config.servers)
        self._broker = Broker(config, context, config.servers[turn])
        line = context.line
        self._place = Place(config.group or line.site, config.node or line.name)
        self._host = None if config.primary_host is None else PrimaryHost(config.primary_host)
        self._bd_seq = 0
        self._session: Session | None = None
        self._link: Link | None = None
        self._changed = asyncio.Event()
        self._proofs = Proofs(config, context)
        self._proof: tuple[int, int | None] | None = None
        """Message id of the proof that was sent last, and the reason code of its PUBACK."""
        self._is_silent = False
        self._born_at = 0.0
        """Loop time of the last birth."""
        self._rebirth_due: float | None = None
        """Loop time of the birth that a host asked for; until then no data goes out."""
        self._most = 1

    async def connect(self) -> None:
        """Connect, wait for the primary host where there is one, and publish the births.

        Raises ConnectFailed, NotConnected or ConfigError.
        """
        link = self._link = await self._broker.open(IN_FLIGHT, self._will)
        link.on_puback = self._on_puback
        link.on_lost = self._changed.set
        link.on_message = self._on_message
        await self._subscribe(link, self._place.topic("NCMD"))
        if self._context.trial:
            return
        if self._host is not None:
            await self._wait_for(self._host, link)
        session = Session(self._place, self._metrics(), self._bd_seq)
        sizes = [size for size in (self._config.max_packet, link.maximum_packet_size) if size is not None]
        session.most_bytes = min(sizes, default=None)
        self._proofs.may_retain = link.may_retain
        await self._broker.hear_others(link, self._proofs.topic)
        self._bear(session, link)
        self._session = session
        await self._prove(link)

    async def serve(self) -> Never:
        """Send what changes, and answer hosts. Raises NotConnected at the end of the connection, or of the host."""
        loop = asyncio.get_running_loop()
        look_at = loop.time() + self._config.interval / 1000
        while True:
            link, session = self._connected()
            self._follow_reload(session, link)
            now = loop.time()
            if self._rebirth_due is not None and now >= self._rebirth_due:
                self._rebirth_due = None
                self._bear(session, link)
                self._changed.set()
            if now >= look_at and self._rebirth_due is None:
                look_at = now + self._config.interval / 1000
                self._send(link, session.look(_utc_ms(), self._config.kpi_interval))
                self._proofs.look()
            until = look_at if self._rebirth_due is None else self._rebirth_due
            await self._wait(until - loop.time())

    async def write(self, events: Sequence[StoredEvent]) -> int:
        """Publish in order; how many of the prefix are proven to have reached the broker.

        Raises Rejected for an event that is larger than the broker takes, NotConnected where nothing is proven.
        """
        if self._is_silent:
            raise self._broker.silent()
        while self._rebirth_due is not None:
            self._connected()
            await self._wait(broker.PUBACK_S)
        link, session = self._connected()
        self._follow_reload(session, link)
        taken = events[: self._most]
        rejected: Unsendable | None = None
        try:
            messages = session.tell(taken, _utc_ms())
        except Unsendable as unsendable:
            rejected, taken = unsendable, taken[: unsendable.which]
            messages = session.tell(taken, _utc_ms())
        self._send(link, messages)
        if taken:
            await self._prove(link, taken[-1])
            self._most = min(self._most * STEP, len(events) * STEP)
        if rejected is not None:
            raise Rejected(len(taken), f"the event cannot be sent: {rejected}")
        return len(taken)

    async def close(self) -> None:
        """Say that the edge node goes, or let the broker say it; idempotent."""
        link, self._link = self._link, None
        if link is None:
            return
        is_said = False
        try:
            if self._session is not None and link.lost is None:
                is_said = await self._say_death(link)
        finally:
            with_will = self._config.version == 5 and not self._context.trial
            await link.close(disconnect=is_said or with_will or self._context.trial, with_will=with_will)

    async def _will(self) -> Message:
        path = self._context.state_dir / f"sparkplug-{self._context.name}.bdseq"
        try:
            self._bd_seq = await in_daemon_thread("bdseq", lambda: next_bd_seq(path))
        except OSError as error:
            remedy = "free space or mend the disk: a session without a number of its own would pass for another"
            raise ConnectFailed(f"{path} cannot be written: {error.strerror}", remedy) from None
        return self._place.death(self._bd_seq)

    async def _subscribe(self, link: Link, topic: str) -> None:
        try:
            code = await link.subscribe(topic)
        except Lost as lost:
            raise self._broker.not_connected(lost) from None
        if code >= reasons.REFUSAL:
            remedy = "let the broker's access list allow this user and client to read the topic"
            raise ConfigError(f"{self._broker.peer} refuses to send us {topic}: {reasons.words(code)}", remedy)

    async def _wait_for(self, host: PrimaryHost, link: Link) -> None:
        """Until the primary host is online. What it says of itself comes after the subscription."""
        await self._subscribe(link, host.topic)
        end = asyncio.get_running_loop().time() + HOST_S
        while host.state is not HostState.ONLINE:
            if link.lost is not None:
                raise self._broker.not_connected(link.lost)
            if (left := end - asyncio.get_running_loop().time()) <= 0:
                raise self._without_host(host)
            await self._wait(left)

    def _without_host(self, host: PrimaryHost) -> ConnectFailed:
        state = "says nothing" if host.state is HostState.UNHEARD else "is offline"
        remedy = "start the host, or check its ID; events are kept until it is there"
        return ConnectFailed(f"the primary host {host.name} {state} at {self._broker.peer}", remedy)

    def _metrics(self) -> Metrics:
        return Metrics(self._config, self._context.view, self._context.envelope)

    def _follow_reload(self, session: Session, link: Link) -> None:
        """Another configuration has other metrics."""
        if session.metrics.config is not self._context.view.config:
            session.metrics = self._metrics()
            self._bear(session, link)

    def _bear(self, session: Session, link: Link) -> None:
        self._born_at = asyncio.get_running_loop().time()
        try:
            self._send(link, session.birth(_utc_ms()))
        except Unsendable as error:
            remedy = "let the broker take larger messages, or have fewer `signals`"
            raise ConfigError(f"{self._broker.peer}: {error}", remedy) from None

    def _send(self, link: Link, messages: Iterable[Message]) -> None:
        try:
            for message in messages:
                link.publish(message)
        except Lost as lost:
            raise self._broker.not_connected(lost) from None

    async def _prove(self, link: Link, event: StoredEvent | None = None) -> None:
        """Have a later message acknowledged than all that was sent so far."""
        try:
            self._proof = (link.publish(self._proofs.message(event)), None)
            async with asyncio.timeout(broker.PUBACK_S):
                while self._proof[1] is None:
                    self._connected()
                    await self._wait(broker.PUBACK_S)
        except Lost as lost:
            raise self._broker.not_connected(lost) from None
        except TimeoutError:
            self._is_silent = True
            raise self._broker.silent() from None
        if (code := self._proof[1]) not in reasons.SUCCESS:
            why = f"{self._broker.peer} refuses the proof on {self._proofs.topic}: {reasons.words(code)}"
            raise NotConnected(why, reasons.remedy(code))
        self._proofs.proven()

    async def _say_death(self, link: Link) -> bool:
        """Whether the broker has it."""
        try:
            number = link.publish(self._place.death(self._bd_seq))
            self._proof = (number, None)
            async with asyncio.timeout(broker.FAREWELL_S):
                while self._proof[1] is None and link.lost is None:
                    await self._wait(broker.FAREWELL_S)
        except (Lost, TimeoutError):
            return False
        return self._proof[1] in reasons.SUCCESS

    async def _wait(self, seconds: float) -> None:
        """Until something happens; for so long at most."""
        self._changed.clear()
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._changed.wait()
        except TimeoutError:
            pass

    def _connected(self) -> tuple[Link, Session]:
        """What there is to work with. Raises NotConnected where the connection or the primary host is gone."""
        link, session = self._link, self._session
        if link is None or session is None:
            raise NotConnected(f"{self._broker.peer} is not connected")
        if link.lost is not None:
            raise self._broker.not_connected(link.lost)
        if self._host is not None and self._host.state is HostState.OFFLINE:
            raise self._without_host(self._host)
        return link, session

    def _on_puback(self, mid: int, code: int) -> None:
        if self._proof is not None and self._proof[0] == mid:
            self._proof = (mid, code)
            self._changed.set()

    def _on_message(self, topic: str, body: bytes, is_retained: bool) -> None:
        if self._host is not None and self._host.hear(topic, body):
            self._changed.set()
        elif topic == self._place.topic("NCMD"):
            self._command(body)
        elif topic == self._proofs.topic:
            self._proofs.hear(body, is_retained=is_retained)

    def _command(self, body: bytes) -> None:
        wanted = commands(body)
        if wanted is None:
            self._refuse("what is no Sparkplug payload")
        for command in wanted or ():
            if command.name != REBIRTH:
                self._refuse(command.name)
            elif command.is_true and self._rebirth_due is None:
                self._rebirth_due = max(asyncio.get_running_loop().time(), self._born_at + REBIRTH_S)
                self._changed.set()

    def _refuse(self, name: str) -> None:
        """Nothing is ever written to a machine."""
        name = said(name)
        if f"command {name}" not in self._context.said and len(self._context.said) < MOST_NAMES:
            self._context.said.add(f"command {name}")
            log.warning(
                "command_refused", uplink=self._context.name, metric=name,
                why="linegate only reads", remedy=f"the one command that it takes is {REBIRTH}",
            )  # fmt: skip


def _utc_ms() -> int:
    return time.time_ns() // 1_000_000
