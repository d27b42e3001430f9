"""The endpoint beyond loopback: over TLS, with a token for everything but /livez, and not at all without."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme

from gateway.config.model import Config
from protocols.dial import load_own, server_context
from tests.conftest import line_document
from tests.gateway.health.viewing import basic
from tests.processes import Daemon, free_port, until

TOKEN = "a long secret of the plant"


def secured(folder: Path, port: int, **more: Any) -> dict[str, Any]:
    """An endpoint for everybody, with a certificate for 127.0.0.1."""
    (folder / "token").write_text(TOKEN + "\n")
    tls = {"certificate": str(folder / "ipc.pem"), "private_key": str(folder / "ipc.key")}
    return {"listen": f"0.0.0.0:{port}", "tls": tls, "token": {"file": str(folder / "token")}, **more}


def certified(folder: Path) -> ssl.SSLContext:
    """Writes the endpoint's certificate; the context of a client that trusts who signed it."""
    authority = trustme.CA()
    own = authority.issue_cert("127.0.0.1")
    own.private_key_pem.write_to_path(folder / "ipc.key")
    own.cert_chain_pems[0].write_to_path(folder / "ipc.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_tls_and_token_beyond_loopback(tmp_path: Path) -> None:
    """Whatever the Host is called, and never a page of another site; operators come with their PIN."""
    port, context = free_port(), certified(tmp_path)
    (tmp_path / "pin").write_text("471100\n")
    operators = [{"name": "anna", "pin": {"file": str(tmp_path / "pin")}}]
    document = line_document(health=secured(tmp_path, port, operators=operators))
    document["devices"]["filler_plc"]["port"] = free_port()
    one = Daemon(tmp_path, document)
    await one.start(ready=False)
    url = f"https://127.0.0.1:{port}"
    try:
        await until(lambda: "endpoint_listening" in one.log.read_text())
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:

            async def status(path: str, **headers: str) -> int:
                async with session.get(url + path, headers=headers) as answer:
                    return answer.status

            bearer = {"Authorization": f"Bearer {TOKEN}"}
            assert await status("/livez") == 200
            assert [await status(path) for path in ("/health", "/metrics", "/api/line", "/nowhere")] == [401] * 4
            assert await status("/health", Authorization="Bearer another") == 401
            assert await status("/health", Authorization=f"Basic {TOKEN}") == 401
            assert await status("/health", **bearer) == 200
            assert await status("/api/line", Host="ipc-3.plant.example", **bearer) == 200
            assert await status("/health", Origin="https://evil.example", **bearer) == 403
            as_anna = basic("anna", "471100")
            assert await status("/api/line", Authorization=basic("x", TOKEN)) == 200
            assert await status("/api/line", Authorization=as_anna) == 200
            assert await status("/api/line", Authorization=basic("anna", "471101")) == 401

            async def offered(**headers: str) -> str:
                async with session.get(url + "/", headers=headers) as answer:
                    assert answer.status == 401
                    return answer.headers["WWW-Authenticate"]

            site = {"Sec-Fetch-Site": "same-origin"}
            assert (await offered()).startswith('Basic realm="linegate"')
            assert (await offered(**site, **{"Sec-Fetch-Mode": "navigate"})).startswith("Basic")
            assert (await offered(**site, **{"Sec-Fetch-Mode": "cors"})) == 'Bearer realm="linegate"'

            async def enters(who: str | None, **headers: str) -> int:
                entry = {"what": "crew", "machine": "line", "crew": "night", "who": who}
                async with session.post(f"{url}/api/entries", json=entry, headers=headers) as answer:
                    return answer.status

            assert await enters("anna") == 401
            assert await enters(None, Authorization=as_anna) == 201
            assert await enters("anybody", **bearer) == 201
            assert await enters(None, **bearer) == 422
            assert await enters("anybody", Origin=url, **bearer) == 201
            assert await enters("anybody", Origin="https://127.0.0.1:1", **bearer) == 403
            with pytest.raises(aiohttp.ClientError):
                async with session.get(f"http://127.0.0.1:{port}/livez"):
                    pass
        assert TOKEN not in one.log.read_text()
        assert "4711" not in one.log.read_text()
        assert (tmp_path / "events.ndjson").read_text().count('"night"') == 3
    finally:
        await one.kill()


def test_a_certificate_that_was_replaced_is_shown_without_a_restart(tmp_path: Path) -> None:
    certified(tmp_path)
    config = Config.model_validate(line_document(health=secured(tmp_path, free_port())))
    tls = config.health.tls
    assert tls is not None
    context = server_context(tls)
    trusts_the_next = certified(tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(context, trusts_the_next)
    load_own(context, tls)
    handshake(context, trusts_the_next)


def handshake(theirs: ssl.SSLContext, ours: ssl.SSLContext) -> None:
    """In memory, as far as the client has judged the server."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ours.wrap_bio(to_client, to_server, server_hostname="127.0.0.1")
    other = theirs.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, other, client):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue


@pytest.mark.parametrize(
    ("health", "words"),
    [
        ({"listen": "0.0.0.0:8480"}, "needs tls and token"),
        ({"listen": "0.0.0.0:8480", "token": {"env": "TOKEN"}}, "needs tls; or listen"),
        ({"listen": "[::]:8480", "tls": {"certificate": "a", "private_key": "b"}}, "needs token; or listen"),
        ({"tls": {"ca": "a"}}, "needs its own `certificate`"),
    ],
)
def test_it_does_not_listen_without(health: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Config.model_validate(line_document(health=health))
