"""Every way to say who one is, to a real nats-server: certificates, tokens, NKeys, credentials; and other servers."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nkeys
import pytest
import trustme

from protocols.driver import ConfigError, ConnectFailed
from tests.peers.nats import NatsServer
from tests.processes import free_port

if TYPE_CHECKING:
    from tests.gateway.uplinks.nats.conftest import Make

Authority = tuple[trustme.CA, Path]


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def key_pair(prefix: int) -> tuple[nkeys.KeyPair, str, str]:
    """An NKey of a kind, its seed and its public key."""
    seed = nkeys.encode_seed(os.urandom(32), prefix)
    pair = nkeys.from_seed(bytearray(seed))
    return pair, seed.decode(), pair.public_key.decode()


def token(issuer: tuple[nkeys.KeyPair, str, str], subject: str, claims: dict[str, Any]) -> str:
    """A NATS JWT (ADR-14)."""
    body: dict[str, Any] = {"iat": int(time.time()), "iss": issuer[2], "sub": subject, "name": "test", "nats": claims}
    body["jti"] = base64.b32encode(hashlib.sha256(json.dumps(body).encode()).digest()).rstrip(b"=").decode()
    head = encoded(json.dumps({"typ": "JWT", "alg": "ed25519-nkey"}).encode())
    signed = f"{head}.{encoded(json.dumps(body).encode())}"
    return f"{signed}.{encoded(issuer[0].sign(signed.encode()))}"


async def refused(make: Make, kind: type[Exception], words: str, **settings: Any) -> str:
    with pytest.raises(kind, match=words) as told:
        await make(**settings).connect()
    return str(told.value.remedy)  # type: ignore[attr-defined]


async def test_a_token(server: NatsServer, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANT_TOKEN", "s3cret")
    await server.start("authorization { token: s3cret }")
    await make(token={"env": "PLANT_TOKEN"}).connect()
    remedy = await refused(make, ConfigError, "Authorization Violation")
    assert "`token`" in remedy


async def test_an_nkey(server: NatsServer, make: Make, tmp_path: Path) -> None:
    _, seed, public = key_pair(nkeys.PREFIX_BYTE_USER)
    (tmp_path / "nkey").write_text(seed + "\n")
    await server.start(f"authorization {{ users: [{{ nkey: {public} }}] }}")
    await make(nkey={"file": str(tmp_path / "nkey")}).connect()
    (tmp_path / "another").write_text(key_pair(nkeys.PREFIX_BYTE_USER)[1])
    await refused(make, ConfigError, "Authorization Violation", nkey={"file": str(tmp_path / "another")})


async def test_a_credentials_file(server: NatsServer, make: Make, tmp_path: Path) -> None:
    operator, user = key_pair(nkeys.PREFIX_BYTE_OPERATOR), key_pair(nkeys.PREFIX_BYTE_USER)
    account, system = key_pair(nkeys.PREFIX_BYTE_ACCOUNT), key_pair(nkeys.PREFIX_BYTE_ACCOUNT)
    of_operator = token(operator, operator[2], {"type": "operator", "version": 2})
    limits = {"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "conn": -1, "leaf": -1}
    accounts = [
        f"{each[2]}: {token(operator, each[2], {'type': 'account', 'version': 2, 'limits': limits})}"
        for each in (account, system)
    ]
    of_user = token(account, user[2], {"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1})
    (tmp_path / "line.creds").write_text(
        f"-----BEGIN NATS USER JWT-----\n{of_user}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{user[1]}\n------END USER NKEY SEED------\n"
    )
    await server.start(
        f"operator: {of_operator}", "resolver: MEMORY", f"system_account: {system[2]}",
        f"resolver_preload: {{ {', '.join(accounts)} }}",
    )  # fmt: skip
    await make(creds={"file": str(tmp_path / "line.creds")}).connect()
    await refused(make, ConfigError, "Authorization Violation")


@pytest.mark.parametrize("key", ["nkey", "creds"])
async def test_a_secret_that_is_none(make: Make, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    """Said by its place, never by its content; and not tried at the server."""
    monkeypatch.setenv("WRONG", "-----BEGIN hunter2")
    with pytest.raises(ConfigError, match="the environment variable WRONG holds no") as told:
        await make(**{key: {"env": "WRONG"}}).connect()
    assert "hunter2" not in told.value.why + told.value.remedy


@pytest.mark.parametrize("first", [False, True])
async def test_a_client_certificate(
    server: NatsServer, make: Make, make_events: Any, authority: Authority, first: bool
) -> None:
    """With TLS after the server's greeting, and before it."""
    _, directory = authority
    await server.start(tls=directory / "server", ca=directory / "ca.pem", tls_first=first)
    url, tls = f"tls://127.0.0.1:{server.port}", {"ca": str(directory / "ca.pem")}
    with_certificate = {
        **tls, "certificate": str(directory / "client.pem"), "private_key": str(directory / "client.key")
    }  # fmt: skip
    await make(url=url, tls=with_certificate, tls_first=first).connect()
    remedy = await refused(make, ConnectFailed, f"127.0.0.1:{server.port}", url=url, tls=tls, tls_first=first)
    assert "client certificate" in remedy
    assert "tls.ca" in await refused(make, ConnectFailed, "unknown authority", url=url, tls_first=first)


async def test_another_server_of_the_cluster(server: NatsServer, make: Make) -> None:
    """Tried in order; where none is there, all are named."""
    await server.start()
    away = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    uplink = make(url=f"nats://{away[0]}", others=[away[1], f"127.0.0.1:{server.port}"])
    await uplink.connect()
    with pytest.raises(ConnectFailed, match=f"{away[0]} refuses .*{away[1]} refuses"):
        await make(url=f"nats://{away[0]}", others=[away[1]]).connect()
