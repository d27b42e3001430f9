"""Two gateways of one line at one broker notice each other, and nobody else does so by mistake."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from structlog.testing import capture_logs

from gateway.events import Envelope, Former
from gateway.uplinks.mqtt.config import MqttUplink
from gateway.uplinks.mqtt.publisher import MqttPublisher
from gateway.uplinks.mqtt.twins import Births
from gateway.uplinks.twins import CONTESTED
from gateway.uplinks.uplink import TryLater, UplinkContext
from protocols.driver import NotConnected
from tests.processes import until

if TYPE_CHECKING:
    from tests.gateway.uplinks.conftest import Broker, Script

SOURCE = "/acme/berlin/filling/line-3"
OURS, THEIRS, BEFORE = (f"0192f0c4-0000-4000-8000-00000000000{n}" for n in range(3))
NOW, LATER = "2026-11-22T06:00:00.000Z", "2026-11-22T07:00:00.000Z"


def with_stream(context: UplinkContext, stream: str) -> UplinkContext:
    envelope = Envelope(SOURCE, stream, (Former(-9, BEFORE),))
    return dataclasses.replace(context, envelope=envelope, said=set(), others={}, kept={})


def publisher(port: int, context: UplinkContext, **settings: Any) -> MqttPublisher:
    section = {"type": "mqtt", "url": f"mqtt://127.0.0.1:{port}", **settings}
    return MqttPublisher(MqttUplink.model_validate(section), context)


def birth(stream: str, time: str | None = NOW, state: str = "online", source: str = SOURCE) -> bytes:
    return orjson.dumps({"state": state, "source": source, "stream": stream} | ({} if time is None else {"time": time}))


@pytest.mark.parametrize("version", [5, "3.1.1"])
async def test_two_of_one_line_are_told_and_one_that_goes(broker: Broker, context: UplinkContext, version: Any) -> None:
    await broker.start()
    ours, theirs = with_stream(context, OURS), with_stream(context, THEIRS)
    with capture_logs() as said:
        first = publisher(broker.port, ours, client_id="one", version=version)
        await first.connect()
        assert not ours.others
        second = publisher(broker.port, theirs, client_id="two", version=version)
        await second.connect()
        await until(lambda: THEIRS in ours.others and OURS in theirs.others)
        assert {one["stream"] for one in said if one["event"] == "second_gateway"} == {OURS, THEIRS}
        await second.close()
        await until(lambda: not ours.others)
        await first.close()
        again = publisher(broker.port, ours, client_id="one", version=version)
        await again.connect()
        await again.close()
    assert not ours.others
    assert [one["event"] for one in said].count("second_gateway") == 2


def told(context: UplinkContext, *said: tuple[bytes, bool], born: str = NOW) -> dict[str, str]:
    births = Births(context)
    births.born = born
    for payload, is_retained in said:
        births.told(payload, is_retained=is_retained)
    return context.others


def test_who_is_another(context: UplinkContext) -> None:
    ours = with_stream(context, OURS)
    assert told(ours, (birth(THEIRS), True)) == {THEIRS: NOW}
    assert told(ours, (birth(THEIRS), True), (birth(THEIRS, None, "offline"), False)) == {}
    assert told(ours, (birth(BEFORE), True)) == {}, "our own, before it was restored"
    assert told(ours, (birth(OURS), False)) == {}, "the echo of our birth"
    assert told(ours, (birth(OURS, LATER), True)) == {}, "our own, of the connection before"
    assert told(ours, (birth(OURS, LATER), False)) == {OURS: LATER}, "a clone of this machine"


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"{", b"[]", b"7", b'"online"', birth("x"), birth(THEIRS, source="/acme/other"), birth(THEIRS, "\x1b[2J"),
        orjson.dumps({"state": "online", "source": SOURCE, "stream": 7}), birth(THEIRS) + b" " * 5000 + b"x",
        orjson.dumps({"state": "online", "source": SOURCE, "stream": THEIRS, "time": 7}),
    ],
)  # fmt: skip
def test_what_anybody_may_write_there_is_not_believed(context: UplinkContext, payload: bytes) -> None:
    told_of = told(with_stream(context, OURS), (payload, False))
    assert told_of in ({}, {THEIRS: NOW})
    assert not told_of or payload.startswith(birth(THEIRS))


async def test_a_broker_that_hangs_up_over_it_is_not_asked_again(script: Script, context: UplinkContext) -> None:
    script.suback = lambda _mid: b""
    port = await script.start()
    with capture_logs() as said:
        uplink = publisher(port, context)
        with pytest.raises(NotConnected):
            await uplink.connect()
        await uplink.close()
        uplink = publisher(port, context)
        await uplink.connect()
        await uplink.close()
    assert [one["event"] for one in said] == ["second_gateway_is_not_heard"]
    assert script.kinds[:5] == [1, 8, 1, 3, 3]


async def test_a_broker_that_refuses_to_tell_is_no_less_a_broker(
    script: Script, context: UplinkContext, make_events: Any
) -> None:
    script.suback = lambda mid: b"\x90\x04" + mid + b"\x00\x87"
    uplink = publisher(await script.start(), context)
    with capture_logs() as said:
        await uplink.connect()
    assert await uplink.write(make_events(1)) == 1
    await uplink.close()
    (unheard,) = said
    assert unheard["event"] == "second_gateway_is_not_heard"
    assert "gateway/state: not authorized (0x87)" in unheard["why"]


@pytest.mark.parametrize("version", [5, "3.1.1"])
async def test_two_of_one_client_id_do_not_end_each_others_connection_at_every_turn(
    broker: Broker, context: UplinkContext, version: Any
) -> None:
    """A broker need not say why it ended the connection: what the other one left on the topic does."""
    await broker.start()
    ours, theirs = with_stream(context, OURS), with_stream(context, THEIRS)
    losses: list[NotConnected] = []
    with capture_logs() as said:
        last = publisher(broker.port, ours, version=version)
        await last.connect()
        for told in (theirs, ours, theirs, ours):
            one = publisher(broker.port, told, version=version)
            await one.connect()
            losses.append(await lost(last))
            await last.close()
            last = one
        await last.close()
    assert sorted(one["stream"] for one in said if one["event"] == "second_gateway") == [OURS, THEIRS]
    assert [isinstance(loss, TryLater) for loss in losses] == [False, False, True, True], "nobody knows at first"
    assert isinstance(losses[2], TryLater)
    assert losses[2].wait_s >= 30
    assert "second gateway of this line" in losses[2].remedy


async def test_whoever_learns_first_that_it_was_ended_waits(
    script: Script, context: UplinkContext, make_events: Any
) -> None:
    """Delivering or listening; a connection that nobody contests is tried again at once."""
    script.answer = lambda number, mid: b"" if number == 2 else b"\x40\x02" + mid
    uplink = publisher(await script.start(), context)
    await uplink.connect()
    context.kept[CONTESTED] = 1
    with pytest.raises(TryLater):
        await uplink.write(make_events(1))
    assert isinstance(await lost(uplink), TryLater)
    await uplink.close()
    again = publisher(script.port, context)
    await again.connect()
    assert CONTESTED not in context.kept
    await again.close()


async def lost(uplink: MqttPublisher) -> NotConnected:
    with pytest.raises(NotConnected) as error:
        await uplink.serve()
    return error.value


async def test_a_session_that_was_taken_over_is_left_for_a_while(script: Script, context: UplinkContext) -> None:
    script.answer = lambda _number, mid: b"\x40\x02" + mid + b"\xe0\x01\x8e"
    uplink = publisher(await script.start(), context)
    await uplink.connect()
    assert isinstance(await lost(uplink), TryLater)
    await uplink.close()
