"""`linegate receive` as a process, behind the real uplinks of `linegate run` through real servers, and strangers."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import ssl
import sys
from pathlib import Path
from typing import Any

import aiohttp
import aiomqtt
import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.receive.file import FileSource
from gateway.receive.source import Settings
from protocols.driver import ConfigError
from tests.conftest import line_document
from tests.peers.certificates import make_certificates
from tests.peers.receive import ids, receive, said
from tests.processes import broker, daemon, free_port, simulator, until

TOKEN = {"MES_TOKEN": "s3cret"}


def event(seq: int, prevseq: int, **data: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0", "type": "linegate.machine.state.v1", "source": "/acme/line-3", "stream": "s",
        "seq": str(seq), "prevseq": str(prevseq), "subject": "filler", "time": "2026-11-22T06:00:00.250Z", "data": data,
    }  # fmt: skip


async def test_each_transport_brings_the_whole_book(tmp_path: Path) -> None:
    """Over MQTT also when the consumer is killed in between: its session waits, its state goes on."""
    port, http_port = free_port(), free_port()
    topic = f"mqtt://127.0.0.1:{port}/acme/berlin/filling/line-3/#"
    mqtt = (topic, "--state", str(tmp_path / "mqtt.state"), "--json")
    written = tmp_path / "written.ndjson"
    uplinks = {
        "journal": {"type": "file", "path": "j/events", "format": "msgpack", "rotate": "4kB", "compression": "zstd",
                    "keep": 1000},
        "plant": {"type": "mqtt", "url": f"mqtt://127.0.0.1:{port}", "retain_state": True},
        "mes": {"type": "http", "url": f"http://127.0.0.1:{http_port}/events", "compression": "gzip", "shape": "flat",
                "token": {"env": "MES_TOKEN"}},
    }  # fmt: skip
    document = line_document(uplinks=uplinks, health={"listen": f"127.0.0.1:{free_port()}"})
    (tmp_path / "j").mkdir()
    post = (f"http://127.0.0.1:{http_port}/events", "--token-env", "MES_TOKEN", "--write", str(written))
    async with (
        simulator("--seed", "7", "--speed", "20") as plc,
        broker(tmp_path / "broker", port),
        receive(*mqtt) as first,
        receive(*post, environment=TOKEN) as posted,
        receive(f"file://{tmp_path}/j/events", "--json") as filed,
    ):
        document["devices"]["filler_plc"] |= {"port": plc.port, "scan_interval": "50ms"}
        await asyncio.gather(first.listens(), posted.listens(), filed.listens())
        async with daemon(tmp_path, document, environment=TOKEN) as gateway:
            await until(lambda: len(first.events) >= 5)
            assert await first.end("kill") < 0
            before = first.events
            await until(lambda: len(filed.events) > len(before) + 5)
            async with receive(*mqtt) as second:
                await until(lambda: len(second.events) >= 2)
                await until(lambda: len(list((tmp_path / "j").iterdir())) > 1)  # it has rotated
                assert await gateway.stop() == 0
                await until(lambda: "gateway.stopped" in filed.events[-1]["type"])
                await until(lambda: "gateway.stopped" in second.events[-1]["type"])
                assert await second.end() == 0
        assert await filed.end() == 0
        assert await posted.end() == 0
    book = ids(filed.events)
    assert [seq for _, seq in book] == list(range(1, len(book) + 1))
    assert filed.summary["complete"]
    last = [json.loads(line) for line in written.read_text().splitlines()]
    assert ids(last) == book
    assert "data" not in last[0]
    shown = posted.out.decode()
    assert "complete: nothing is missing" in shown
    assert f"{len(book):,} received" in shown
    over_mqtt = ids(before) + ids(second.events)
    assert sorted(set(over_mqtt)) == sorted(book)
    assert len(over_mqtt) - len(set(over_mqtt)) <= 20, "what the kill left unacknowledged"
    assert second.summary["complete"]
    assert second.summary["received"] == len(book)
    assert second.summary["missing"] == []


async def test_what_is_missing_is_told_and_is_the_exit_code(tmp_path: Path) -> None:
    """Over MQTT: a loss, a late event, a repetition, an older revision, what is no event; then the rest comes."""
    port, state = free_port(), tmp_path / "a.state"
    arguments = (f"mqtt://127.0.0.1:{port}/acme/#", "--state", str(state))
    async with broker(tmp_path / "broker", port), aiomqtt.Client("127.0.0.1", port) as plant:

        async def publish(*bodies: Any) -> None:
            for body in bodies:
                await plant.publish("acme/x", body if isinstance(body, str) else json.dumps(body), qos=1)

        async with receive(*arguments) as one:
            await one.listens()
            await publish(
                event(1, 0, interval="i", rev=1, state="held"), "no event", [event(2, 1), event(5, 4)], event(2, 1)
            )
            await publish(event(6, 5, interval="i", rev=0, state="execute"))
            await until(lambda: b"MISSING" in one.out)
            assert await one.end() == 1
            shown = one.out.decode()
            assert "held  rev 1" in shown
            assert "execute  (older than what came before)" in shown
            assert "MISSING: event 4, and up to 1 between 2 and it of stream s" in shown
            assert "4 received, 1 more came again and were dropped; 0 revisions, 1 older" in shown
            assert "left out what came from acme/x" in one.err.decode()
        await publish(event(3, 2), event(4, 3))
        async with receive(*arguments, "--count", "2", "--json") as one:
            assert await one.end("wait") == 0, one.err
            assert ids(one.events) == [("s", 3), ("s", 4)]
            assert one.objects[0]["order"] == "late"
            assert one.summary["complete"]
    state.write_text("{}")
    code, words = await said(*arguments)
    assert (code, "is no state that `linegate receive` wrote" in words) == (2, True)


async def test_a_broker_that_comes_back(tmp_path: Path) -> None:
    """The loss is said, the consumer connects again; what the gateway says of itself is shown, and is no event."""
    port = free_port()
    topic = "acme/gateway/state"
    async with receive(f"mqtt://127.0.0.1:{port}/acme/#", "--count", "2", "--mqtt", "3.1.1") as late:
        assert await late.end("wait") == 1, "the first time it has to work"
    async with broker(tmp_path / "broker", port):
        one = receive(f"mqtt://127.0.0.1:{port}/acme/#", "--count", "2", "--mqtt", "3.1.1")
        consumer = await one.__aenter__()
        await consumer.listens()
        async with aiomqtt.Client("127.0.0.1", port) as plant:
            state = {"state": "online", "source": "/acme", "stream": "s", "uplink": "plant", "version": "1"}
            await plant.publish(topic, json.dumps(state), qos=1, retain=True)
            await plant.publish("acme/x", json.dumps(event(1, 0)), qos=1)
        await until(lambda: b"machine.state" in consumer.out)
    try:
        await until(lambda: b"the connection broke" in consumer.err)
        async with broker(tmp_path / "broker", port), aiomqtt.Client("127.0.0.1", port) as plant:
            await until(lambda: consumer.err.count(b"listening") == 2)
            await plant.publish("acme/x", json.dumps(event(2, 1)), qos=1)
            assert await consumer.end("wait") == 0
        assert b"gateway of /acme, uplink plant: online" in consumer.err
        assert b"left out" not in consumer.err
    finally:
        await one.__aexit__(None, None, None)


async def test_posts_over_tls_from_who_has_a_certificate(tmp_path: Path) -> None:
    make_certificates(tmp_path)
    port = free_port()
    files = [f"--{name}={tmp_path}/{file}" for name, file in
             (("certificate", "server.pem"), ("private-key", "server.key"), ("ca", "ca.pem"))]  # fmt: skip
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    async with receive(f"https://127.0.0.1:{port}/", *files, "--user", "mes", "--password-env", "MES_TOKEN",
                       environment=TOKEN) as one:  # fmt: skip
        await one.listens()
        async with aiohttp.ClientSession(
            headers={"Authorization": aiohttp.encode_basic_auth("mes", "s3cret")}
        ) as session:
            url, body = f"https://127.0.0.1:{port}/any", json.dumps([event(1, 0)])
            with pytest.raises(aiohttp.ClientError):
                await session.post(url, data=body, ssl=context)
            context.load_cert_chain(tmp_path / "client.pem", tmp_path / "client.key")
            async with session.post(url, data=body, ssl=context) as answer:
                assert answer.status == 204
        assert await one.end() == 0, one.err
        assert b"1 received" in one.out


async def test_posts_are_answered_when_they_are_stored(tmp_path: Path) -> None:
    port, written = free_port(), tmp_path / "written.ndjson"
    written.write_bytes(b'{"whole": 1}\n{"torn')
    url = f"http://127.0.0.1:{port}"
    async with (
        receive(f"{url}/events", "--token-env", "MES_TOKEN", "--write", str(written), environment=TOKEN) as one,
        aiohttp.ClientSession() as session,
    ):
        await one.listens()

        async def post(body: bytes, path: str = "/events", **headers: str) -> int:
            headers = {"Authorization": "Bearer s3cret", **headers}
            async with session.post(url + path, data=body, headers=headers) as answer:
                return answer.status

        body = json.dumps([event(1, 0), event(2, 1)]).encode()
        assert await post(body, Authorization="Bearer another") == 401
        assert await post(body, "/elsewhere") == 404
        assert await post(body, **{"Content-Encoding": "br"}) == 415
        assert await post(b"\x1f\x8b garbled", **{"Content-Encoding": "gzip"}) == 400
        assert await post(b"[{}]") == 400
        assert await post(json.dumps([event(1, 0), {"seq": "x"}]).encode()) == 400
        assert written.read_bytes() == b'{"whole": 1}\n', "nothing was taken"
        assert await post(body) == 204
        assert [json.loads(line)["seq"] for line in written.read_text().splitlines()[1:]] == ["1", "2"]
        assert await one.end() == 0


async def test_a_reader_that_has_seen_enough_ends_it(tmp_path: Path) -> None:
    """What could not be shown is not acknowledged, and not in the state."""
    state = tmp_path / "state"
    (tmp_path / "events.ndjson").write_text("".join(json.dumps(event(seq, seq - 1)) + "\n" for seq in range(1, 5000)))
    call = f"{sys.executable} -m gateway receive file://{tmp_path}/events.ndjson --state {state} | head -1"
    process = await asyncio.create_subprocess_shell(
        call, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert out.count(b"\n") == 1
    assert b"Traceback" not in err
    assert not state.exists()


async def test_files_are_followed_through_rotation(tmp_path: Path) -> None:
    """Closed ones by number, compressed or not; the open one as it grows, is closed, replaced, and cut."""
    file = tmp_path / "events.ndjson"

    def lines(first: int, last: int) -> bytes:
        return b"".join(json.dumps(event(seq, seq - 1)).encode() + b"\n" for seq in range(first, last + 1))

    (tmp_path / "events.ndjson.00000001.gz").write_bytes(gzip.compress(lines(1, 3)))
    (tmp_path / "events.ndjson.00000002").write_bytes(lines(4, 6))
    file.write_bytes(lines(7, 8))
    async with (
        receive(f"file://{tmp_path}", "--json") as one,
        receive(f"file://{file}", "--from", "now", "--json") as new,
    ):
        await until(lambda: len(one.events) == 8)
        await new.listens()
        await until(lambda: b"listening" in new.err)
        whole = lines(9, 9)
        with file.open("ab") as grows:
            grows.write(whole[:20])
            grows.flush()
            await asyncio.sleep(0.3)
            grows.write(whole[20:])
        await until(lambda: len(one.events) == 9)
        file.rename(tmp_path / "events.ndjson.00000003")
        (tmp_path / "events.ndjson.00000004").write_bytes(lines(10, 12))
        file.write_bytes(lines(13, 14))
        await until(lambda: len(one.events) == 14)
        with file.open("r+b") as cut:
            cut.truncate(len(lines(13, 13)))
        await asyncio.sleep(0.5)
        with file.open("ab") as grows:
            grows.write(lines(14, 15))
        await until(lambda: len(one.events) == 15)
        (tmp_path / "events.ndjson.00000003").unlink()
        await until(lambda: new.events[-1]["seq"] == "15")
        assert await new.end() == 0
        assert await one.end() == 0
    assert [seq for _, seq in ids(one.events)] == list(range(1, 16))
    assert [seq for _, seq in ids(new.events)] == list(range(9, 16))


async def test_clear_errors_with_remedies(tmp_path: Path) -> None:
    make_certificates(tmp_path)
    port, secure, closed = free_port(), free_port(), free_port()
    (tmp_path / "broker").mkdir()
    settings = tmp_path / "broker" / "mosquitto.conf"
    certificate = f"certfile {tmp_path}/server.pem\nkeyfile {tmp_path}/server.key"
    (tmp_path / "passwords").write_text("")
    settings.write_text(
        f"per_listener_settings true\nlistener {port} 127.0.0.1\nallow_anonymous false\n"
        f"password_file {tmp_path}/passwords\nlistener {secure} 127.0.0.1\nallow_anonymous true\n{certificate}\n"
        "user root\n"
    )
    process = await asyncio.create_subprocess_exec("/usr/sbin/mosquitto", "-c", str(settings), stderr=-3, stdout=-3)
    try:
        await until(lambda: _answers(secure))
        cases = [
            ((f"mqtt://127.0.0.1:{closed}",), 1, "refuses the connection; check that the server runs"),
            ((f"mqtt://127.0.0.1:{port}",), 2, "not authorized"),
            ((f"mqtts://127.0.0.1:{secure}",), 1, "set --ca to the certificate of the authority"),
            ((f"mqtts://127.0.0.1:{secure}", "--ca", f"{tmp_path}/ca.pem", "--for", "1s"), 0, "listening: # at"),
            ((f"mqtts://127.0.0.1:{secure}/a#/b", "--ca", f"{tmp_path}/ca.pem"), 2, "a#/b is no topic filter; check"),
        ]
        told = await asyncio.gather(*(said(*arguments) for arguments, _, _ in cases))
        for (arguments, code, words), (got, error) in zip(cases, told, strict=True):
            assert (got, words in error) == (code, True), (arguments, got, error)
            assert "Traceback" not in error
            assert "secret" not in error
    finally:
        process.kill()
        await process.wait()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("mqtt://me:secret@127.0.0.1",), 2, "give --user, and --password-env or --password-file"),
        (("mqtt://127.0.0.1:70000",), 2, "a port is 1 to 65535"),
        (("mqtt:///topic",), 2, "names no host"),
        (("mqt://127.0.0.1",), 2, "did you mean `mqtt`?"),
        (("mqtt://127.0.0.1", "--user", "x", "--password-env", "NONE"), 2, "NONE is not set; set it"),
        (("mqtt://127.0.0.1", "--password-env", "NONE"), 2, "a password needs --user"),
        (("mqtt://127.0.0.1", "--certificate", "x"), 2, "--certificate and --private-key belong together"),
        (("http://127.0.0.1:1", "--token-env", "X", "--token-file", "x"), 2, "give --token-env or --token-file"),
        (("https://127.0.0.1:1",), 2, "give --certificate and --private-key"),
        (("https://127.0.0.1:1", "--certificate", "no", "--private-key", "no"), 2, "no with no cannot be used"),
        (("file://host/x",), 2, "write three slashes"),
        (("mqtt://127.0.0.1", "--write", "none/w"), 1, "none/w: No such file or directory"),
    ],
)
def test_wrong_use(arguments: tuple[str, ...], code: int, words: str) -> None:
    told = CliRunner().invoke(main, ["receive", *arguments])
    assert (told.exit_code, words in told.output) == (code, True), told.output
    assert "secret" not in told.output


def test_where_nothing_can_be_received(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        told = CliRunner().invoke(main, ["receive", f"http://127.0.0.1:{taken.getsockname()[1]}"])
    assert (told.exit_code, "choose an address of this machine and a free port" in told.output) == (2, True)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"nats://127.0.0.1:{silent.getsockname()[1]}/PLANT"
        told = CliRunner().invoke(main, ["receive", url, "--for", "100ms"])
    assert (told.exit_code, "there was no connection in that time" in told.output) == (1, True)
    for name in ("a.ndjson", "b.ndjson.00000001.gz"):
        (tmp_path / name).touch()
    with pytest.raises(ConfigError, match=r"has several: a.ndjson, b.ndjson"):
        FileSource(Settings(f"file://{tmp_path}"))._find()


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
