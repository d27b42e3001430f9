"""Two edge nodes of one line at one broker notice each other by their proofs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from structlog.testing import capture_logs

from gateway.events import Envelope, Former
from gateway.uplinks.sparkplug.config import SparkplugUplink
from gateway.uplinks.sparkplug.node import SparkplugNode
from gateway.uplinks.sparkplug.proofs import Proofs
from gateway.uplinks.uplink import TryLater, UplinkContext
from protocols.driver import NotConnected
from tests.gateway.uplinks.sparkplug.live import LiveLine
from tests.gateway.uplinks.sparkplug.recording import context
from tests.processes import until

if TYPE_CHECKING:
    from tests.gateway.uplinks.conftest import Broker, Script

OURS, THEIRS, BEFORE = (f"0192f0c4-0000-4000-8000-00000000000{n}" for n in range(3))
SECTION = {"type": "sparkplug", "url": "mqtt://127.0.0.1:1883"}


@pytest.fixture
def told(tmp_path: Path) -> UplinkContext:
    line = LiveLine()
    line.see("filler_plc", running=True, fault=0, bottles=1)
    return context(line, tmp_path)


def of(told: UplinkContext, stream: str) -> UplinkContext:
    envelope = Envelope(told.envelope.source, stream, (Former(-9, BEFORE),))
    return dataclasses.replace(told, envelope=envelope, said=set(), others={}, kept={})


def node(port: int, told: UplinkContext, **settings: Any) -> SparkplugNode:
    section = {**SECTION, "url": f"mqtt://127.0.0.1:{port}", **settings}
    return SparkplugNode(SparkplugUplink.model_validate(section), told)


@pytest.mark.parametrize("version", [5, "3.1.1"])
async def test_two_of_one_line_are_told(broker: Broker, told: UplinkContext, version: Any) -> None:
    await broker.start()
    ours, theirs = of(told, OURS), of(told, THEIRS)
    first, second = node(broker.port, ours, version=version), node(broker.port, theirs, version=version, client_id="b")
    with capture_logs() as said:
        await first.connect()
        await second.connect()
        await until(lambda: THEIRS in ours.others)
        assert not theirs.others, "what is kept there may be of a gateway that it replaces"
        assert await first.write([LiveLine().events[0]]) == 1
        await until(lambda: OURS in theirs.others)
    assert [one["stream"] for one in said if one["event"] == "second_gateway"] == [THEIRS, OURS]
    await first.close()
    await second.close()


async def test_two_of_one_client_id_do_not_end_each_others_connection_at_every_turn(
    broker: Broker, told: UplinkContext
) -> None:
    await broker.start()
    ours, theirs = of(told, OURS), of(told, THEIRS)
    losses: list[NotConnected] = []
    with capture_logs() as said:
        last = node(broker.port, ours)
        await last.connect()
        for other in (theirs, ours, theirs, ours):
            one = node(broker.port, other)
            await one.connect()
            with pytest.raises(NotConnected) as lost:
                await last.serve()
            losses.append(lost.value)
            await last.close()
            last = one
        await last.close()
    assert sorted(one["stream"] for one in said if one["event"] == "second_gateway") == [OURS, THEIRS]
    assert [isinstance(loss, TryLater) for loss in losses] == [False, False, True, True], "nobody knows at first"


async def test_a_broker_that_does_not_tell_us_is_no_less_a_broker(script: Script, told: UplinkContext) -> None:
    granted = iter((b"\x01", b"\x87"))
    script.suback = lambda mid: b"\x90\x04" + mid + b"\x00" + next(granted)
    one = node(await script.start(), told)
    with capture_logs() as said:
        await one.connect()
    assert [each["event"] for each in said] == ["second_gateway_is_not_heard"]
    assert await one.write([LiveLine().events[0]]) == 1
    await one.close()


def test_who_is_another(told: UplinkContext) -> None:
    ours = of(told, OURS)
    proofs = Proofs(SparkplugUplink.model_validate(SECTION), ours)
    mine = proofs.message(None).payload
    again = Proofs(SparkplugUplink.model_validate(SECTION), ours)
    assert again.message(None).payload == mine, "each connection of one run says the same"
    for body in (mine, mine.replace(OURS.encode(), BEFORE.encode()), b"", b"[]", b"{", b'{"stream": 7}', b"\xff"):
        again.hear(body, is_retained=False)
    assert not ours.others
    clone = orjson.dumps({**orjson.loads(mine), "since": "2026-11-22T06:00:00.000Z"})
    again.proven()
    again.hear(clone, is_retained=True)
    assert not ours.kept.get("contested"), "our own, of before a restart: a broker may remember what is old"
    again.hear(clone, is_retained=False)
    assert list(ours.others) == [OURS]
    again.hear(mine.replace(OURS.encode(), THEIRS.encode()), is_retained=True)
    assert list(ours.others) == [OURS, THEIRS]
    assert ours.kept["contested"], "it was there since we were"
