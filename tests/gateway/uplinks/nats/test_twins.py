"""Two gateways of one line at one server hear each other's `gateway.alive`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from gateway.events import Envelope
from gateway.uplinks.nats.publisher import NatsPublisher
from gateway.uplinks.uplink import UplinkContext
from protocols.driver import ConfigError
from tests.peers.nats import NatsServer, Reader
from tests.processes import until

if TYPE_CHECKING:
    from tests.gateway.uplinks.nats.conftest import Make

OURS, THEIRS = (f"0192f0c4-0000-4000-8000-00000000000{n}" for n in range(2))


def of(context: UplinkContext, stream: str) -> UplinkContext:
    return replace(context, envelope=Envelope(context.envelope.source, stream), said=set(), others={}, kept={})


class Line:
    """One gateway and its uplink."""

    def __init__(self, make: Make, context: UplinkContext, make_events: Any, **settings: Any) -> None:
        self.context = context
        self.uplink: NatsPublisher = make(context, **settings)
        self._make_events = make_events

    async def say(self, seq: int) -> None:
        """What it says each minute."""
        (event,) = self._make_events(seq, kind="gateway.alive")
        assert await self.uplink.write([event._replace(subject="gateway")]) == 1


@pytest.mark.parametrize("content", ["structured", "binary"])
async def test_two_of_one_line_are_told(
    server: NatsServer, make: Make, context: UplinkContext, make_events: Any, content: str
) -> None:
    await server.start()
    reader = Reader()
    await reader.follow(server)
    first, second = (Line(make, of(context, stream), make_events, content=content) for stream in (OURS, THEIRS))
    with capture_logs() as said:
        for one in (first, second):
            await one.uplink.connect()
            await one.say(1)
        assert not second.context.others, "its own, and what was before it"
        await first.say(2)
        await until(lambda: THEIRS in first.context.others and OURS in second.context.others)
    assert {one["stream"] for one in said if one["event"] == "second_gateway"} == {OURS, THEIRS}
    await reader.leave()


async def test_a_clone_is_told_and_our_own_connection_before_is_none(
    server: NatsServer, make: Make, context: UplinkContext, make_events: Any
) -> None:
    await server.start()
    reader = Reader()
    await reader.follow(server)
    ours = Line(make, of(context, OURS), make_events)
    await ours.uplink.connect()
    await ours.say(7)
    again = Line(make, ours.context, make_events)
    await again.uplink.connect()
    await ours.say(7)  # of a connection that the server has not seen the end of
    await again.say(8)
    assert not ours.context.others
    clone = Line(make, of(context, OURS), make_events)
    await clone.uplink.connect()
    await clone.say(9)
    await until(lambda: OURS in ours.context.others)
    await reader.leave()


@pytest.mark.parametrize("subject", ["plant.{type}.{subject}", "plant.{line}"])
async def test_what_other_lines_say_is_not_asked_for(
    server: NatsServer, make: Make, context: UplinkContext, make_events: Any, subject: str
) -> None:
    """Thousands of gateways would hear each other, or all events of the line."""
    await server.start()
    reader = Reader()
    await reader.follow(server, subjects=("plant.>",))
    first, second = (Line(make, of(context, each), make_events, subject=subject) for each in (OURS, THEIRS))
    for one in (first, second, first):
        if one.uplink._link is None:
            await one.uplink.connect()
        await one.say(1)
    assert not first.context.others
    await reader.leave()


async def test_a_server_that_does_not_permit_it_is_no_less_a_server(
    server: NatsServer, make: Make, context: UplinkContext, make_events: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    permissions = '{ publish: "acme.>", subscribe: "_INBOX.>" }'
    await server.start(
        f"authorization {{ default_permissions: {permissions}, "
        "users: [{user: line-3, password: x}, {user: reader, password: readers-own, "
        'permissions: {publish: ">", subscribe: ">"}}] }'
    )
    reader = Reader()
    await reader.follow(server)
    monkeypatch.setenv("NATS_PASSWORD", "x")
    uplink = make(of(context, OURS), user="line-3", password={"env": "NATS_PASSWORD"})
    with capture_logs() as said:
        await uplink.connect()
        assert await uplink.write(make_events(1)) == 1
    (unheard,) = said
    assert unheard["event"] == "second_gateway_is_not_heard"
    assert "gateway.alive.gateway" in unheard["why"]
    elsewhere = make(of(context, OURS), subject="{line}.{type}", user="line-3", password={"env": "NATS_PASSWORD"})
    await elsewhere.connect()
    with pytest.raises(ConfigError, match="permissions violation for publish"):
        await elsewhere.write(make_events(1))
    await reader.leave()
