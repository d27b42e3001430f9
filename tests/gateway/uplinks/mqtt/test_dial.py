"""TLS with real certificates, and what every way of not getting a connection is called."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from gateway.config.model import TlsConfig
from gateway.uplinks.mqtt.config import MqttUplink
from gateway.uplinks.mqtt.publisher import MqttPublisher
from gateway.uplinks.uplink import UplinkContext
from protocols.dial import dial, tls_context
from protocols.driver import ConfigError, ConnectFailed

if TYPE_CHECKING:
    from tests.gateway.uplinks.conftest import Broker

Authority = tuple[trustme.CA, Path]


def secure(broker: Broker, context: UplinkContext, *, host: str = "127.0.0.1", **tls: Any) -> MqttPublisher:
    section = {"type": "mqtt", "url": f"mqtts://{host}:{broker.port}", "tls": {k: str(v) for k, v in tls.items()}}
    return MqttPublisher(MqttUplink.model_validate(section), context)


async def start(broker: Broker, directory: Path, name: str = "server", *lines: str) -> None:
    await broker.start(f"certfile {directory / name}.pem", f"keyfile {directory / name}.key", *lines)


async def refused(uplink: MqttPublisher, words: str) -> str:
    with pytest.raises(ConnectFailed, match=words) as failed:
        async with asyncio.timeout(8):
            await uplink.connect()
    await uplink.close()
    return failed.value.remedy


async def test_tls(broker: Broker, context: UplinkContext, authority: Authority, make_events: Any) -> None:
    _, directory = authority
    await start(broker, directory)
    uplink = secure(broker, context, ca=directory / "ca.pem")
    await uplink.connect()
    assert await uplink.write(make_events(*range(1, 50), data=b'{"text":"' + b"x" * 5000 + b'"}')) == 49
    await uplink.close()


async def test_a_client_certificate(
    broker: Broker, context: UplinkContext, authority: Authority, make_events: Any, tmp_path: Path
) -> None:
    _, directory = authority
    await start(broker, directory, "server", f"cafile {directory / 'ca.pem'}", "require_certificate true")
    client: dict[str, Any] = {"certificate": directory / "client.pem", "private_key": directory / "client.key"}
    uplink = secure(broker, context, ca=directory / "ca.pem", **client)
    await uplink.connect()
    assert await uplink.write(make_events(1)) == 1
    await uplink.close()
    without = secure(broker, context, ca=directory / "ca.pem")
    assert "client certificate" in await refused(without, "does not accept who we are: .*certificate required")
    trustme.CA().issue_cert("line-3").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "strange.pem"))
    strange: dict[str, Any] = {"certificate": tmp_path / "strange.pem", "private_key": tmp_path / "strange.pem"}
    remedy = await refused(secure(broker, context, ca=directory / "ca.pem", **strange), "who we are: .*unknown ca")
    assert "an authority that it knows" in remedy


async def test_an_unknown_authority(broker: Broker, context: UplinkContext, authority: Authority) -> None:
    _, directory = authority
    await start(broker, directory)
    assert "tls.ca" in await refused(secure(broker, context), "unknown authority")


async def test_a_certificate_for_another_host(broker: Broker, context: UplinkContext, authority: Authority) -> None:
    _, directory = authority
    await start(broker, directory, "elsewhere")
    assert "host" in await refused(secure(broker, context, ca=directory / "ca.pem"), "for another host")
    by_name = secure(broker, context, host="localhost", ca=directory / "ca.pem")
    assert "host" in await refused(by_name, "for another host")


async def test_an_expired_certificate(broker: Broker, context: UplinkContext, authority: Authority) -> None:
    _, directory = authority
    await start(broker, directory, "old")
    assert "clock" in await refused(secure(broker, context, ca=directory / "ca.pem"), "has expired")


async def test_tls_to_a_plain_port(broker: Broker, context: UplinkContext) -> None:
    await broker.start()
    assert await refused(secure(broker, context), f"127.0.0.1:{broker.port}")


async def test_plain_to_a_tls_port(broker: Broker, context: UplinkContext, authority: Authority) -> None:
    await start(broker, authority[1])
    uplink = MqttPublisher(
        MqttUplink.model_validate({"type": "mqtt", "url": f"mqtt://127.0.0.1:{broker.port}"}), context
    )
    assert "mqtts://" in await refused(uplink, "before the session began")


@pytest.mark.parametrize("which", ["ca", "certificate"])
async def test_files_that_cannot_be_used(tmp_path: Path, authority: Authority, which: str) -> None:
    _, directory = authority
    (tmp_path / "empty.pem").write_text("")
    for path in (tmp_path / "absent.pem", tmp_path / "empty.pem"):
        tls = {"ca": path} if which == "ca" else {"certificate": path, "private_key": directory / "client.key"}
        with pytest.raises(ConfigError, match=path.name) as error:
            tls_context(TlsConfig.model_validate({key: str(value) for key, value in tls.items()}))
        assert which in error.value.why


def test_a_key_of_another_certificate(authority: Authority) -> None:
    _, directory = authority
    tls = TlsConfig(certificate=str(directory / "client.pem"), private_key=str(directory / "server.key"))
    with pytest.raises(ConfigError, match="the key is not that of the certificate"):
        tls_context(tls)


def test_a_key_with_a_passphrase_does_not_ask_the_terminal(tmp_path: Path, authority: Authority) -> None:
    from cryptography.hazmat.primitives import serialization

    _, directory = authority
    key = serialization.load_pem_private_key((directory / "client.key").read_bytes(), None)
    encryption = serialization.BestAvailableEncryption(b"secret")
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    (tmp_path / "client.key").write_bytes(pem)
    tls = TlsConfig(certificate=str(directory / "client.pem"), private_key=str(tmp_path / "client.key"))
    with pytest.raises(ConfigError, match="passphrase"):
        tls_context(tls)


async def test_nobody_listens() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectFailed, match="refuses the connection") as error:
            await dial("127.0.0.1", sock.getsockname()[1], None)
    assert "runs" in error.value.remedy


@pytest.mark.parametrize("name", ["no-such-host.invalid", "a..b", "x" * 300])
async def test_names_that_lead_nowhere(name: str) -> None:
    with pytest.raises(ConnectFailed, match="cannot be resolved"):
        await dial(name, 1883, None)


async def test_a_server_that_never_shakes_hands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("protocols.dial.DIAL_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(ConnectFailed, match="does not answer"):
        await dial("127.0.0.1", silent.getsockname()[1], lambda: tls_context(None))


async def test_a_connection_that_comes_too_late_is_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        for _ in range(20):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.0002):
                    (await dial("127.0.0.1", server.getsockname()[1], None)).close()
