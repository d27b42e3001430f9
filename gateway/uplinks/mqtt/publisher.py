"""Events as MQTT messages: QoS 1, in order, acknowledged only by a PUBACK whose reason code says so."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import Never

from gateway.events import StoredEvent, rfc3339
from gateway.uplinks.encoding import Unencodable
from gateway.uplinks.mqtt import broker, reasons
from gateway.uplinks.mqtt.broker import Broker
from gateway.uplinks.mqtt.config import MqttUplink
from gateway.uplinks.mqtt.link import Link, Lost
from gateway.uplinks.mqtt.messages import Message, Messages
from gateway.uplinks.mqtt.twins import BORN, Births
from gateway.uplinks.pace import Pace
from gateway.uplinks.uplink import Rejected, UplinkContext
from protocols.driver import NotConnected

WRITE_S = 1.0
"""A `write` sends nothing more after this long: what a cancellation makes forget, and so repeat, is bounded by it."""
STEP = 4
"""A batch grows by this factor with each that is taken, and shrinks by it with each that is refused."""


class MqttPublisher:
    """One connection to a broker.

    The window of unacknowledged messages begins at one and grows by one with each acknowledgement, up to `in_flight`
    and what the server allows, and a batch begins with one event: an event that makes a broker hang up is so found
    alone at the head sooner or later.
    """

    def __init__(self, config: MqttUplink, context: UplinkContext) -> None:
        self._config = config
        self._context = context
        self._messages = Messages(config, context)
        self._pace = Pace(context.kept, broker.PUBACK_S)
        self._messages.fits = self._pace.fits
        self._broker = Broker(config, context, config.server)
        self._link: Link | None = None
        self._limit = config.in_flight
        self._window = 1
        self._most = 1
        self._in_flight: deque[tuple[int, Message]] = deque()
        """Message ids in the order sent; the answers to them are in `_answers` until their turn comes."""
        self._answers: dict[int, int] = {}
        self._changed = asyncio.Event()
        self._is_silent = False
        self._is_online = False
        self._births: Births | None = None

    async def connect(self) -> None:
        """Connect, and say that the gateway is there.

        Raises ConnectFailed or NotConnected; or ConfigError for a secret or a certificate file that cannot be read, and
        where the broker refuses this client.
        """
        link = self._link = await self._broker.open(self._config.in_flight, self._will)
        link.on_puback = self._on_puback
        link.on_lost = self._changed.set
        self._take_limits(link)
        if not self._context.trial:
            await self._look_for_twins(link)
            await self._say_online(link)

    async def _will(self) -> Message | None:
        return self._messages.state("offline")

    async def serve(self) -> Never:
        """Wait for the end of the connection. Raises NotConnected."""
        raise self._broker.not_connected(await self._connected().wait_lost())

    async def write(self, events: Sequence[StoredEvent]) -> int:
        """Publish in order; how many of the prefix the broker has acknowledged.

        Raises Rejected for an event that the broker refuses as such, NotConnected where none was acknowledged.
        """
        link = self._connected()
        if self._is_silent:  # it still owes us answers: what is sent now could be too much for it
            raise self._broker.silent()
        if self._births is not None:
            self._births.look()
        self._forget()
        stop_at = asyncio.get_running_loop().time() + WRITE_S
        waiting: deque[Message] = deque()
        built = done = 0
        unsendable = ""
        while True:
            while len(self._in_flight) < self._window and not unsendable:
                if not waiting:
                    if built == len(events) or (built and asyncio.get_running_loop().time() >= stop_at):
                        break
                    unsendable = self._build(events[built:], waiting)
                    built += sum(message.events for message in waiting)
                else:
                    unsendable = self._send(link, waiting.popleft())
            if not self._in_flight:
                break
            began = asyncio.get_running_loop().time()
            code = await self._next_answer(link)
            if code is None:
                return self._broken(link, events, done)
            _, message = self._in_flight.popleft()
            if code in reasons.SUCCESS:
                if message.events > 1:
                    self._pace.taken(len(message.payload), asyncio.get_running_loop().time() - began)
                done += message.events
                self._grow(message)
                continue
            await self._drain(link)
            if code not in reasons.ABOUT_THE_EVENT or message.is_alone:
                return self._refused(code, done)
            self._most = max(1, self._most // STEP)
            waiting.clear()
            built, unsendable = done, ""
        if unsendable:
            raise Rejected(done, unsendable)
        return done

    async def close(self) -> None:
        """Say that the gateway goes, or let the broker say it; idempotent."""
        link, self._link = self._link, None
        if link is None:
            return
        is_said = not self._is_online
        try:
            if self._is_online and link.lost is None:
                is_said = await self._say_offline(link)
        finally:
            await link.close(disconnect=is_said)

    def _take_limits(self, link: Link) -> None:
        """What the broker said of itself, and what its version means."""
        self._limit = min(self._config.in_flight, link.receive_maximum)
        sizes = [size for size in (self._config.max_packet, link.maximum_packet_size) if size is not None]
        self._messages.most_bytes = min(sizes, default=None)
        self._messages.may_retain = link.may_retain
        if self._config.retain_state and not link.may_retain:
            self._broker.warn(
                "states_are_not_retained", f"{self._broker.peer} retains nothing", "leave `retain_state` out"
            )

    async def _look_for_twins(self, link: Link) -> None:
        """From what is kept of an earlier birth on."""
        message = self._messages.state("online")
        if message is None:
            return
        births = self._births = Births(self._context)
        link.on_message = lambda _topic, payload, is_retained: births.told(payload, is_retained=is_retained)
        await self._broker.hear_others(link, message.topic)

    async def _say_online(self, link: Link) -> None:
        now_ms = time.time_ns() // 1_000_000
        message = self._messages.state("online", now_ms)
        if message is None:
            return
        if self._births is not None:
            self._births.born = rfc3339(now_ms)
        self._forget()
        self._send(link, message)
        code = await self._next_answer(link)
        if code is None:
            self._broken(link, (), 0)
        elif code not in reasons.SUCCESS:  # the events matter more
            why = f"{self._broker.peer} refuses it on {message.topic}: {reasons.words(code)}"
            self._broker.warn("state_is_not_published", why, reasons.remedy(code))
            return
        self._is_online = True
        self._context.kept[BORN] = 1

    async def _say_offline(self, link: Link) -> bool:
        """Whether the broker has it, so that no will is needed."""
        message = self._messages.state("offline", time.time_ns() // 1_000_000)
        if message is None or link.lost is not None:
            return False
        number = 0
        try:
            async with asyncio.timeout(broker.FAREWELL_S):
                while number not in self._answers and link.lost is None:
                    if not number and sum(one not in self._answers for one, _ in self._in_flight) < self._limit:
                        number = link.publish(message)
                    self._changed.clear()
                    await self._changed.wait()
        except (Lost, TimeoutError):
            return False
        return self._answers.get(number) in reasons.SUCCESS

    def _forget(self) -> None:
        self._messages.begin()
        self._in_flight.clear()
        self._answers.clear()

    def _build(self, events: Sequence[StoredEvent], waiting: deque[Message]) -> str:
        """Add the next messages; why the next event cannot be one, or ""."""
        try:
            waiting.extend(self._messages.next(events, self._most))
        except Unencodable as error:
            return str(error)
        return ""

    def _send(self, link: Link, message: Message) -> str:
        """Publish one message; why it cannot be, or ""."""
        try:
            self._in_flight.append((link.publish(message), message))
        except Lost:
            self._in_flight.append((0, message))  # no answer will come; the link's end says so
        except ValueError as error:
            return f"the event cannot be sent: {error}"
        return ""

    def _grow(self, message: Message) -> None:
        self._window = min(self._window + 1, self._limit)
        if message.events >= self._most:
            self._most = min(self._most * STEP, self._config.batch)

    async def _next_answer(self, link: Link) -> int | None:
        """The reason code of the oldest message, in order; None when the link breaks or stays silent."""
        oldest, _ = self._in_flight[0]
        try:
            while oldest not in self._answers:
                if link.lost is not None:
                    return None
                self._changed.clear()
                async with asyncio.timeout(broker.PUBACK_S):
                    await self._changed.wait()
        except TimeoutError:
            return None
        return self._answers.pop(oldest)

    async def _drain(self, link: Link) -> None:
        """Wait for the answers to what is under way behind a refused event: the server counts those messages."""
        while self._in_flight and await self._next_answer(link) is not None:
            self._in_flight.popleft()

    def _refused(self, code: int, done: int) -> int:
        if code in reasons.ABOUT_THE_EVENT:
            raise Rejected(done, f"{self._broker.peer} refuses the message: {reasons.words(code)}")
        if not done:
            raise NotConnected(f"{self._broker.peer} refuses messages: {reasons.words(code)}", reasons.remedy(code))
        return done

    def _broken(self, link: Link, events: Sequence[StoredEvent], done: int) -> int:
        self._is_silent = link.lost is None
        _, oldest = self._in_flight[0]
        if self._is_silent and oldest.events > 1:
            self._pace.too_slow(len(oldest.payload))
        if done:
            return done
        if link.lost is None:
            raise self._broker.silent()
        if not events or len(self._in_flight) > 1 or not oldest.is_alone or self._broker.is_contested:
            raise self._broker.not_connected(link.lost)
        if link.lost.code in reasons.ABOUT_THE_EVENT:
            raise Rejected(0, f"{self._broker.peer} refuses the message: {reasons.words(link.lost.code)}")
        if link.lost.code is None:
            what = f"event {events[0].seq} (a message of {oldest.size} bytes)"
            remedy = f"check the broker and the network; if it breaks each time at {what}, see the broker's log"
            raise NotConnected(f"{self._broker.peer}: {link.lost}", f"{remedy}, and set `max_packet` to what it takes")
        raise self._broker.not_connected(link.lost)

    def _connected(self) -> Link:
        if self._link is None:
            raise NotConnected(f"{self._broker.peer} is not connected")
        return self._link

    def _on_puback(self, mid: int, code: int) -> None:
        self._answers[mid] = code
        self._changed.set()
