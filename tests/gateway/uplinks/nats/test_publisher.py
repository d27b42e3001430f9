"""Events into a real JetStream: what is stored, what is dropped as a duplicate, what is refused and in which words."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from gateway.events import StoredEvent
from gateway.uplinks.uplink import Rejected, UplinkContext
from protocols.driver import ConfigError, NotConnected
from tests.peers.nats import NatsServer, Reader

if TYPE_CHECKING:
    from tests.gateway.uplinks.nats.conftest import Make

STREAM = "0192f0c4-0000-4000-8000-000000000000"
QUICK = "gateway.uplinks.nats.publisher.ANSWER_S"


async def test_events_arrive_once_in_order(server: NatsServer, make: Make, make_events: Any) -> None:
    """What comes again within the stream's window the server drops by its id, and acknowledges."""
    await server.start()
    reader = Reader()
    await reader.follow(server)
    for _ in range(2):  # as after a lost answer
        uplink = make()
        await uplink.connect()
        assert await uplink.write(make_events(*range(1, 201))) == 200
        await uplink.close()
    await reader.finish()
    assert [event["seq"] for event in reader.events] == [str(seq) for seq in range(1, 201)]
    first = reader.messages[0]
    assert first.subject == "acme.berlin.filling.line-3.machine.state.filler"
    assert first.headers is not None
    assert first.headers["content-type"] == "application/cloudevents+json"
    assert first.headers["Nats-Msg-Id"] == reader.events[0]["id"] == f"{STREAM}-1"


async def test_binary_content(server: NatsServer, make: Make, make_events: Any) -> None:
    await server.start()
    reader = Reader()
    await reader.follow(server, subjects=("plant.>",))
    uplink = make(content="binary", subject="plant.{line}.{subject}")
    await uplink.connect()
    assert await uplink.write(make_events(7, data=b'{"n":7}')) == 1
    await reader.finish()
    (message,) = reader.messages
    assert message.subject == "plant.line-3.filler"
    assert json.loads(message.data) == {"n": 7}
    assert message.headers == {
        "content-type": "application/json", "Nats-Msg-Id": f"{STREAM}-7", "ce-specversion": "1.0", "ce-seq": "7",
        "ce-id": f"{STREAM}-7", "ce-source": "/acme/berlin/filling/line-3", "ce-subject": "filler", "ce-prevseq": "6",
        "ce-type": "linegate.machine.state.v1", "ce-time": "2026-11-22T06:00:00.007Z", "ce-stream": STREAM,
        "ce-dataschema": "urn:linegate:machine.state.v1",
    }  # fmt: skip


async def test_a_subject_without_a_stream(server: NatsServer, make: Make, make_events: Any) -> None:
    await server.start()
    uplink = make()
    await uplink.connect()
    with pytest.raises(NotConnected, match=r"acme\.berlin\.filling\.line-3\.machine\.state\.filler") as told:
        await uplink.write(make_events(1, 2))
    assert "make a stream" in told.value.remedy
    reader = Reader()
    await reader.follow(server)
    assert await uplink.write(make_events(1, 2)) == 2
    await reader.leave()


async def test_a_message_beyond_the_servers_limit_is_not_sent(server: NatsServer, make: Make, make_events: Any) -> None:
    await server.start("max_payload: 3000")
    reader = Reader()
    await reader.follow(server)
    uplink = make()
    await uplink.connect()
    head, large, tail = make_events(1), make_events(2, data=b'"' + b"x" * 3000 + b'"'), make_events(3)
    with pytest.raises(Rejected, match="3000 at most") as refused:
        await uplink.write([*head, *large, *tail])
    assert refused.value.which == 1
    assert await uplink.write(tail) == 1
    await reader.finish()
    assert [event["seq"] for event in reader.events] == ["1", "3"]


async def test_nothing_follows_what_a_stream_may_find_too_large(
    server: NatsServer, make: Make, make_events: Any
) -> None:
    """With a full window: no event is stored that names a refused one as the one before it."""
    await server.start()
    reader = Reader()
    await reader.follow(server, max_msg_size=3000)
    uplink = make()
    await uplink.connect()
    assert await uplink.write(make_events(*range(1, 101))) == 100
    large = make_events(150, data=b'"' + b"x" * 3000 + b'"')
    with pytest.raises(Rejected, match="10054") as refused:
        await uplink.write([*make_events(*range(101, 150)), *large, *make_events(*range(151, 200))])
    assert refused.value.which == 49
    await reader.finish()
    assert [int(event["seq"]) for event in reader.events] == list(range(1, 150))


async def test_a_full_stream(server: NatsServer, make: Make, make_events: Any) -> None:
    await server.start()
    reader = Reader()
    await reader.follow(server, max_msgs=3, discard="new")
    uplink = make()
    await uplink.connect()
    assert await uplink.write(make_events(1, 2, 3, 4)) == 3
    with pytest.raises(NotConnected, match="maximum messages exceeded") as told:
        await uplink.write(make_events(4))
    assert "limits" in told.value.remedy
    await reader.leave()


@pytest.mark.parametrize(
    ("permissions", "words"),
    [('publish: ["acme.*.*.*.gateway.>"]', "publish.*machine.state.filler"), ('subscribe: ["x"]', "subscription")],
)
async def test_what_a_user_may_not_do(
    server: NatsServer, make: Make, make_events: Any, monkeypatch: pytest.MonkeyPatch, permissions: str, words: str
) -> None:
    monkeypatch.setenv("PLANT_PASSWORD", "p")
    users = f"{{user: line-3, password: p, permissions: {{ {permissions} }} }}, {{user: reader, password: readers-own}}"
    await server.start(f"authorization {{ users: [{users}] }}")
    reader = Reader()
    await reader.follow(server)
    uplink = make(user="line-3", password={"env": "PLANT_PASSWORD"})

    async def deliver() -> None:
        await uplink.connect()
        permitted = [StoredEvent(1, 0, "gateway.alive", "gateway", 1_795_327_200_000, b"{}")]
        assert await uplink.write([*permitted, *make_events(2)]) == 1
        await uplink.write(make_events(2))

    with pytest.raises(ConfigError, match=words) as told:
        await deliver()
    assert "permit" in told.value.remedy
    await reader.leave()


async def test_a_trial_says_whether_events_would_be_taken(
    server: NatsServer, make: Make, context: UplinkContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`check --connect`: nothing is stored."""
    monkeypatch.setattr(QUICK, 0.3)
    users = '{user: a, password: p, permissions: {publish: "other.>"} }, {user: reader, password: readers-own}'
    await server.start(f"authorization {{ users: [{users}] }}")
    monkeypatch.setenv("OWN", "readers-own")
    monkeypatch.setenv("OTHER", "p")
    trial = replace(context, trial=True)
    own = {"user": "reader", "password": {"env": "OWN"}}
    with pytest.raises(NotConnected, match="no stream takes the subject"):
        await make(trial, **own).connect()
    reader = Reader()
    await reader.follow(server)
    await make(trial, **own).connect()
    with pytest.raises(ConfigError, match="permissions violation"):
        await make(trial, user="a", password={"env": "OTHER"}).connect()
    await reader.finish()
    assert reader.messages == []


async def test_an_inbox_of_its_own(
    server: NatsServer, make: Make, make_events: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANT_PASSWORD", "p")
    users = '{user: line-3, password: p, permissions: {publish: "acme.>", subscribe: "_INBOX_line-3.>"} }'
    await server.start(f"authorization {{ users: [{users}, {{user: reader, password: readers-own}}] }}")
    reader = Reader()
    await reader.follow(server)
    uplink = make(user="line-3", password={"env": "PLANT_PASSWORD"}, inbox="_INBOX_line-3")
    await uplink.connect()
    assert await uplink.write(make_events(1)) == 1
    await reader.leave()


async def test_something_else_that_answers(server: NatsServer, make: Make, make_events: Any) -> None:
    """A subscriber that replies to what it gets is no stream, and acknowledges nothing."""
    await server.start()
    client = await server.client()

    async def reply(message: Any) -> None:
        await message.respond(b'["ok"]')

    await client.subscribe("acme.>", cb=reply)
    await client.flush()
    uplink = make()
    await uplink.connect()
    with pytest.raises(NotConnected, match="no JetStream"):
        await uplink.write(make_events(1))
    await client.close()


async def test_a_server_that_ends_the_connection(server: NatsServer, make: Make, make_events: Any) -> None:
    await server.start()
    uplink = make()
    await uplink.connect()
    listening = asyncio.get_running_loop().create_task(uplink.serve())
    await server.end("terminate")
    with pytest.raises(NotConnected) as told:
        await asyncio.wait_for(listening, 5)
    assert told.value.remedy
    with pytest.raises(NotConnected):
        await uplink.write(make_events(1))


async def test_a_silent_subscriber_is_no_receipt(
    server: NatsServer, make: Make, make_events: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A subscriber without a stream swallows the message: nothing counts, and the connection is given up."""
    monkeypatch.setattr(QUICK, 0.2)
    await server.start()
    client = await server.client()
    await client.subscribe("acme.>")
    await client.flush()
    uplink = make()
    await uplink.connect()
    for _ in range(2):
        with pytest.raises(NotConnected, match="does not acknowledge"):
            await uplink.write(make_events(1))
    await client.close()
