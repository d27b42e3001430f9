"""The HTTP uplink against a real server: batches, acknowledgement, refusals, retries, credentials."""

from __future__ import annotations

import asyncio
import email.utils
import itertools
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
import trustme
from aiohttp import web

from gateway.uplinks.http.config import HttpUplink
from gateway.uplinks.http.poster import HttpPoster
from gateway.uplinks.uplink import Rejected, TryLater, UplinkContext
from protocols.driver import ConfigError, ConnectFailed, NotConnected
from tests.peers.collector import Collector, Post, say, take

Authority = tuple[trustme.CA, Path]


@pytest.fixture
async def server() -> AsyncIterator[Collector]:
    collector = Collector()
    await collector.start()
    yield collector
    await collector.stop()


def poster(port: int, context: UplinkContext, scheme: str = "http", **settings: Any) -> HttpPoster:
    section = {"type": "http", "url": f"{scheme}://127.0.0.1:{port}/events?to=mes", **settings}
    return HttpPoster(HttpUplink.model_validate(section), context)


async def all_written(uplink: HttpPoster, events: Any) -> list[int]:
    """Write as the runner does, up to a refusal; how many were acknowledged each time."""
    counts: list[int] = []
    while events:
        counts.append(await uplink.write(events))
        events = events[counts[-1] :]
    return counts


async def test_batches_grow_and_arrive_in_order(server: Collector, context: UplinkContext, make_events: Any) -> None:
    uplink = poster(server.port, context, batch=300)
    await uplink.connect()
    events = make_events(*range(1, 1001), data=b'{"state":"held"}')
    assert await all_written(uplink, events) == [1, 4, 16, 64, 256, 300, 300, 59]
    assert server.taken == [orjson.loads(context.envelope.json(event)) for event in events]
    assert server.connections == 1
    first = server.posts[0]
    assert first.path == "/events?to=mes"
    assert first.headers["Content-Type"] == "application/cloudevents-batch+json"
    assert first.headers["Content-Length"] == str(len(first.body))
    assert "Authorization" not in first.headers
    await uplink.close()
    await uplink.close()


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
@pytest.mark.parametrize("settings", [{"format": "json"}, {"format": "msgpack", "shape": "flat"}])
async def test_compressed(
    server: Collector, context: UplinkContext, make_events: Any, compression: str, settings: dict[str, str]
) -> None:
    uplink = poster(server.port, context, compression=compression, **settings)
    await uplink.connect()
    await all_written(uplink, make_events(*range(1, 86)))
    assert [int(event["seq"]) for event in server.taken] == list(range(1, 86))
    last = server.posts[-1]
    assert last.headers["Content-Encoding"] == compression
    assert len(last.body) < 64 * 60
    await uplink.close()


async def test_the_key_is_the_same_for_the_same_batch_alone(
    server: Collector, context: UplinkContext, make_events: Any
) -> None:
    server.answer = say(503)
    events = make_events(*range(1, 10))
    for one in (events, events, events[1:], make_events(1, data=b'{"other":1}')):
        uplink = poster(server.port, context)
        await uplink.connect()
        with pytest.raises(NotConnected):
            await uplink.write(one)
        await uplink.close()
    keys = [post.headers["Idempotency-Key"] for post in server.posts]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3
    assert keys[0].startswith('"0192f0c4-0000-4000-8000-000000000000-1-1-')


@pytest.mark.parametrize("status", [200, 201, 202, 204, 207])
async def test_every_2xx_acknowledges(server: Collector, context: UplinkContext, make_events: Any, status: int) -> None:
    server.answer = say(status)
    uplink = poster(server.port, context)
    await uplink.connect()
    assert await uplink.write(make_events(1)) == 1
    await uplink.close()


def refuse(status: int, *seqs: int) -> Any:
    async def answer(post: Post) -> web.StreamResponse:
        return web.Response(status=status, text="no") if set(seqs) & set(post.seqs) else web.Response()

    return answer


@pytest.mark.parametrize("status", [400, 413, 415, 422])
async def test_a_refused_batch_is_divided_until_the_event_stands_alone(
    server: Collector, context: UplinkContext, make_events: Any, status: int
) -> None:
    server.answer = refuse(status, 333)
    uplink = poster(server.port, context)
    await uplink.connect()
    events = make_events(*range(1, 501))
    with pytest.raises(Rejected, match=f"{status} .*: no") as rejected:
        await all_written(uplink, events)
    assert rejected.value.which == 0
    assert ("wants another `format`" in rejected.value.why) == (status == 415)
    assert [int(event["seq"]) for event in server.taken] == list(range(1, 333))
    assert len(server.posts) < 40
    await all_written(uplink, events[333:])
    assert [int(event["seq"]) for event in server.taken] == [seq for seq in range(1, 501) if seq != 333]
    await uplink.close()


async def test_a_server_with_a_limit_is_not_asked_for_more_again(context: UplinkContext, make_events: Any) -> None:
    server = Collector()
    await server.start(client_max_size=40_000)

    async def answer(post: Post) -> web.StreamResponse:
        return web.Response(status=413 if len(post.body) > 40_000 else 200)

    server.answer = answer
    uplink = poster(server.port, context)
    await uplink.connect()
    await all_written(uplink, make_events(*range(1, 1001), data=b'{"text":"' + b"x" * 600 + b'"}'))
    assert [int(event["seq"]) for event in server.taken] == list(range(1, 1001))
    assert sum(len(post.body) > 40_000 for post in server.posts) <= 3
    await uplink.close()
    await server.stop()


async def test_no_body_is_larger_than_servers_commonly_take(
    server: Collector, context: UplinkContext, make_events: Any
) -> None:
    uplink = poster(server.port, context)
    await uplink.connect()
    large = b'{"text":"' + b"x" * 300_000 + b'"}'
    await all_written(uplink, make_events(*range(1, 12), data=large))
    assert len(server.taken) == 11
    assert max(len(post.body) for post in server.posts) < 1_010_000
    await uplink.close()


async def test_an_event_that_no_format_carries(server: Collector, context: UplinkContext, make_events: Any) -> None:
    uplink = poster(server.port, context, shape="flat")
    await uplink.connect()
    uplink._most = 10
    events = [*make_events(1, 2), *make_events(3, data=b"{broken"), *make_events(4)]
    assert await uplink.write(events) == 2
    with pytest.raises(Rejected, match="cannot be written") as rejected:
        await uplink.write(events[2:])
    assert rejected.value.which == 0
    await uplink.close()


@pytest.mark.parametrize("status", [301, 307, 404, 408, 409, 429, 500, 502, 503])
async def test_every_other_answer_is_tried_again(
    server: Collector, context: UplinkContext, make_events: Any, status: int
) -> None:
    server.answer = say(status, Location="http://elsewhere.example:81/in?key=secret")
    uplink = poster(server.port, context)
    await uplink.connect()
    with pytest.raises(NotConnected, match=f"127.0.0.1:{server.port} answers {status} [A-Z]") as lost:
        await uplink.write(make_events(1, 2))
    assert lost.value.remedy
    assert len(server.posts) == 1
    if status < 400:
        assert lost.value.why.endswith(": to http://elsewhere.example:81/in")
        assert "not followed" in lost.value.remedy
    await uplink.close()


@pytest.mark.parametrize("status", [401, 403])
async def test_wrong_credentials_are_a_matter_for_a_person(
    server: Collector, context: UplinkContext, make_events: Any, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "very-secret")
    server.answer = say(status, "the token very-secret has expired\x1b[31m\n")
    uplink = poster(server.port, context, token={"env": "TOKEN"})
    await uplink.connect()
    with pytest.raises(ConfigError, match=r"the token \.\.\. has expired \[31m$") as refused:
        await uplink.write(make_events(1, 2))
    assert "token" in refused.value.remedy
    await uplink.close()


@pytest.mark.parametrize(
    ("after", "low", "high"),
    [
        ("7", 7, 7),
        ("86400", 600, 600),
        ("-5", 0, 0),
        ("soon", 0, 0),
        ("date+100", 80, 100),
        ("date-100", 0, 0),
    ],
)
async def test_retry_after(
    server: Collector, context: UplinkContext, make_events: Any, after: str, low: float, high: float
) -> None:
    if after.startswith("date"):
        after = email.utils.formatdate(time.time() + float(after.removeprefix("date")), usegmt=True)
    server.answer = say(503, **{"Retry-After": after})
    uplink = poster(server.port, context)
    await uplink.connect()
    with pytest.raises(NotConnected) as lost:
        await uplink.write(make_events(1))
    assert low <= (lost.value.wait_s if isinstance(lost.value, TryLater) else 0) <= high
    await uplink.close()


async def test_a_coding_that_the_server_does_not_know_is_no_events_fault(
    server: Collector, context: UplinkContext, make_events: Any
) -> None:
    server.answer = say(415, **{"Accept-Encoding": "gzip, identity"})
    uplink = poster(server.port, context, compression="zstd")
    await uplink.connect()
    with pytest.raises(ConfigError, match="does not take zstd") as refused:
        await uplink.write(make_events(1))
    assert "compression" in refused.value.remedy
    await uplink.close()


async def test_credentials(
    server: Collector, context: UplinkContext, make_events: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "s3cret")
    basic = {"user": "line", "password": {"env": "SECRET"}}
    for settings in ({"token": {"env": "SECRET"}}, basic, {"user": "line"}):
        uplink = poster(server.port, context, **settings)
        await uplink.connect()
        await uplink.write(make_events(1))
        await uplink.close()
    sent = [post.headers["Authorization"] for post in server.posts]
    assert sent == ["Bearer s3cret", "Basic bGluZTpzM2NyZXQ=", "Basic bGluZTo="]


@pytest.mark.parametrize("secret", ["two words", "line\rbreak", "schlüssel"])
async def test_a_token_that_cannot_be_sent_is_not_shown(
    server: Collector, context: UplinkContext, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    monkeypatch.setenv("SECRET", secret)
    uplink = poster(server.port, context, token={"env": "SECRET"})
    with pytest.raises(ConfigError, match="SECRET") as error:
        await uplink.connect()
    assert secret not in str(error.value)
    await uplink.close()


async def test_an_idle_connection_that_the_server_gave_up_is_no_loss(context: UplinkContext, make_events: Any) -> None:
    server = Collector()
    await server.start(keepalive_timeout=0.05)
    uplink = poster(server.port, context)
    await uplink.connect()
    for seq in (1, 2, 3):
        await uplink.write(make_events(seq))
        connection = uplink._connection
        assert connection is not None
        await server.until(lambda connection=connection: not connection.is_usable)  # type: ignore[misc]
    assert server.connections == 3
    assert [post.seqs for post in server.posts] == [[1], [2], [3]]
    await uplink.close()
    await server.stop()


async def test_a_connection_that_breaks_under_a_request_is_tried_once_more(
    server: Collector, context: UplinkContext, make_events: Any
) -> None:
    async def hang_up(post: Post) -> web.StreamResponse:
        server.answer = take
        for connection in server._runner.server.connections:  # type: ignore[union-attr]
            assert connection.transport is not None
            connection.transport.abort()
        return web.Response()

    uplink = poster(server.port, context)
    await uplink.connect()
    await uplink.write(make_events(1))
    server.answer = hang_up
    assert await uplink.write(make_events(2)) == 1
    assert [post.seqs for post in server.posts] == [[1], [2], [2]]
    assert server.posts[1].headers["Idempotency-Key"] == server.posts[2].headers["Idempotency-Key"]
    await uplink.close()


async def test_no_answer(server: Collector, context: UplinkContext, make_events: Any) -> None:
    async def hang(_: Post) -> web.StreamResponse:
        await asyncio.sleep(30)
        raise AssertionError("unreachable")

    server.answer = hang
    uplink = poster(server.port, context)
    object.__setattr__(uplink._config, "timeout", 100)
    await uplink.connect()
    with pytest.raises(NotConnected, match=r"does not answer within 0\.1 s"):
        await uplink.write(make_events(1))
    await uplink.close()


async def test_what_a_slow_link_bore_is_remembered(
    server: Collector, context: UplinkContext, make_events: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def too_slow(post: Post) -> web.StreamResponse:
        if len(post.events) > 20:
            await asyncio.sleep(30)
        return web.Response(status=202)

    server.answer = too_slow
    events = make_events(*range(100, 300))
    uplink = poster(server.port, context)
    object.__setattr__(uplink._config, "timeout", 200)
    await uplink.connect()
    assert [await uplink.write(events[start:]) for start in (0, 1, 5)] == [1, 4, 16]
    with pytest.raises(NotConnected, match="does not answer within"):
        await uplink.write(events[21:])
    await uplink.close()
    hours = SimpleNamespace(monotonic=itertools.count(0, 3600).__next__)
    monkeypatch.setattr("gateway.uplinks.http.poster.time", hours)
    again = poster(server.port, context)
    await again.connect()
    assert await all_written(again, events[21:]) == [1, 4, *[16] * 10, 14]
    await again.close()


async def test_nobody_listens(context: UplinkContext) -> None:
    uplink = poster(1, context)
    with pytest.raises(ConnectFailed, match="refuses the connection"):
        await uplink.connect()
    await uplink.close()


async def test_tls_and_a_client_certificate(context: UplinkContext, authority: Authority, make_events: Any) -> None:
    _, directory = authority
    server = Collector()
    await server.start(_context(directory, "server", client_ca=directory / "ca.pem"))
    tls = {"ca": str(directory / "ca.pem")}
    client = {"certificate": str(directory / "client.pem"), "private_key": str(directory / "client.key")}
    uplink = poster(server.port, context, "https", tls={**tls, **client})
    await uplink.connect()
    assert await uplink.write(make_events(1)) == 1
    assert await uplink.write(make_events(2, 3)) == 2
    await uplink.close()
    without = poster(server.port, context, "https", tls=tls)
    await without.connect()
    with pytest.raises(NotConnected, match="ended before the answer") as refused:
        await without.write(make_events(1))
    assert "client certificate" in refused.value.remedy
    await without.close()
    await server.stop()


@pytest.mark.parametrize(("name", "words"), [("elsewhere", "for another host"), ("old", "has expired")])
async def test_certificates_that_prove_nothing(
    context: UplinkContext, authority: Authority, name: str, words: str
) -> None:
    _, directory = authority
    server = Collector()
    await server.start(_context(directory, name))
    uplink = poster(server.port, context, "https", tls={"ca": str(directory / "ca.pem")})
    with pytest.raises(ConnectFailed, match=words):
        await uplink.connect()
    await uplink.close()
    unknown = poster(server.port, context, "https")
    with pytest.raises(ConnectFailed, match=r"unknown authority|has expired"):
        await unknown.connect()
    await unknown.close()
    await server.stop()


def _context(directory: Path, name: str, client_ca: Path | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / f"{name}.pem", directory / f"{name}.key")
    if client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)
    return context
