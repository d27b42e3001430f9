"""Securing a client over real sockets: every policy and mode, every log-in, and every refusal in words."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from asyncua import ua

from protocols.driver import ConfigError, ConnectFailed, LinkError
from protocols.opcua.certificate import own_identity
from protocols.opcua.config import OpcuaDevice
from protocols.opcua.facts import der, fingerprint
from protocols.opcua.pki import Pki, state_pki
from protocols.opcua.security_config import SecurityConfig, UserConfig
from tests.protocols.opcua.authority import DAY, SERVER_URI, Issued, application, authority, revoking
from tests.protocols.opcua.secured import (
    PASSWORDS,
    SECURED,
    SecuredServer,
    device,
    nobody,
    opened,
    secured_server,
    server_state,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERVER = application("capper")
ROOT = authority("acme root")
SUB = authority("acme filling", ROOT)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running() -> AsyncIterator[SecuredServer]:
    async with secured_server() as server:
        yield server


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "line-3"


@pytest.fixture
def pki(state: Path) -> Pki:
    return state_pki(state)


async def trust(pki: Pki, one: Issued) -> None:
    await asyncio.to_thread(pki.trust, one.certificate)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("security", "session"):
        monkeypatch.setattr(f"protocols.opcua.{module}.ANSWER_S", 1.5)


def wanting(policy: str = "Basic256Sha256", **more: Any) -> SecurityConfig:
    return SecurityConfig.model_validate({"policy": policy, **more})


async def refused(of: OpcuaDevice, state: Path | None, kind: type[LinkError] = ConfigError) -> LinkError:
    with pytest.raises(LinkError) as caught:
        async with opened(of, state):
            pass
    assert type(caught.value) is kind or isinstance(caught.value, kind)
    assert caught.value.remedy
    return caught.value


async def test_policy_none_needs_no_certificate(running: SecuredServer, state: Path) -> None:
    await running.present(SERVER)
    async with opened(device(running.url, wanting("none")), state) as session:
        assert await server_state(session) == ua.ServerState.Running
        assert await running.channels() == [("None", "None_")]
        assert session._client.application_uri.endswith(":linegate:line-3")
    assert not state.exists()


@pytest.mark.parametrize(("policy", "mode"), SECURED)
async def test_every_policy_and_mode(running: SecuredServer, state: Path, pki: Pki, policy: str, mode: str) -> None:
    await running.present(SERVER)
    await trust(pki, SERVER)
    async with opened(device(running.url, wanting(policy, mode=mode)), state) as session:
        assert await server_state(session) == ua.ServerState.Running
        assert await running.channels() == [(policy, {"sign": "Sign"}.get(mode, "SignAndEncrypt"))]


async def test_without_a_mode_messages_are_encrypted(running: SecuredServer, state: Path, pki: Pki) -> None:
    await running.present(SERVER)
    await trust(pki, SERVER)
    async with opened(device(running.url, wanting()), state):
        assert await running.channels() == [("Basic256Sha256", "SignAndEncrypt")]


async def test_the_channel_is_renewed_with_the_same_security(running: SecuredServer, state: Path, pki: Pki) -> None:
    await running.present(SERVER)
    await trust(pki, SERVER)
    async with opened(device(running.url, wanting()), state) as session:
        await session._client.open_secure_channel(renew=True)
        assert await server_state(session) == ua.ServerState.Running
        assert await running.channels() == [("Basic256Sha256", "SignAndEncrypt")]


async def test_own_certificate_is_made_once_and_used(running: SecuredServer, state: Path, pki: Pki) -> None:
    await running.present(SERVER)
    await trust(pki, SERVER)
    of = device(running.url, wanting())
    async with opened(of, state) as session:
        own = await asyncio.to_thread(own_identity, pki)
        assert session._client.application_uri == own.application_uri
    running.trusted = {der(own.certificate)}
    async with opened(of, state):
        pass


async def test_a_certificate_of_the_files_choice(running: SecuredServer, state: Path, tmp_path: Path) -> None:
    mine = application("gateway", SUB, uri="urn:plant:gateway-3", hosts=[])
    await running.present(SERVER)
    (tmp_path / "own.pem").write_bytes(mine.pem + SUB.pem)
    (tmp_path / "own.key").write_bytes(mine.key_pem(b"open sesame"))
    (tmp_path / "password").write_text("open sesame\n")
    (tmp_path / "capper.der").write_bytes(der(SERVER.certificate))
    security = wanting(
        certificate=str(tmp_path / "own.pem"),
        private_key=str(tmp_path / "own.key"),
        private_key_password={"file": str(tmp_path / "password")},
        server_certificate=str(tmp_path / "capper.der"),
    )
    running.trusted = {der(mine.certificate)}
    async with opened(device(running.url, security), None) as session:
        assert session._client.application_uri == "urn:plant:gateway-3"


async def test_a_server_signed_by_a_trusted_authority(running: SecuredServer, state: Path, pki: Pki) -> None:
    await running.present(application("below", SUB), [SUB])
    await trust(pki, ROOT)
    async with opened(device(running.url, wanting()), state):
        pass


async def test_an_unknown_server_is_refused_and_its_certificate_kept_for_the_person_who_decides(
    running: SecuredServer, state: Path, pki: Pki
) -> None:
    await running.present(SERVER)
    error = await refused(device(running.url, wanting()), state)
    assert f"the server's certificate is not trusted: capper, SHA-256 {fingerprint(SERVER.certificate)}" in error.why
    (waiting,) = pki.rejected.iterdir()
    pki.trusted.mkdir()
    waiting.rename(pki.trusted / waiting.name)
    async with opened(device(running.url, wanting()), state):
        pass


BELOW = application("below", SUB)
WRONG: dict[str, tuple[Issued, str, str]] = {
    "expired": (application("old", begins=-30 * DAY, ends=-DAY), "expired on", "renew it on the server"),
    "not yet valid": (application("early", begins=DAY), "is valid only from", "check this machine's clock"),
    "host": (application("moved", hosts=["plc-7"]), "is for plc-7, not for 127.0.0.1", "`server_certificate:`"),
    "uri": (application("renamed", uri="urn:a:b"), "its certificate names urn:a:b", "make its certificate anew"),
    "key": (application("short", bits=1024), "an RSA key of 1024 bits", "2048 bits"),
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_a_server_whose_certificate_is_wrong_is_not_spoken_to(
    running: SecuredServer, state: Path, pki: Pki, wrong: str
) -> None:
    server, why, remedy = WRONG[wrong]
    await running.present(server)
    await trust(pki, server)
    error = await refused(device(running.url, wanting()), state)
    assert why in error.why
    assert remedy in error.remedy
    assert not running.seen
    assert not pki.rejected.exists()


async def test_a_revoked_server_is_refused(running: SecuredServer, state: Path, pki: Pki) -> None:
    await running.present(BELOW, [SUB])
    await trust(pki, ROOT)
    (pki.trusted / "filling.crl").write_bytes(revoking(SUB, BELOW))
    error = await refused(device(running.url, wanting()), state)
    assert "was revoked by its authority" in error.why


async def test_a_pinned_server_may_be_reached_by_any_name(running: SecuredServer, state: Path, tmp_path: Path) -> None:
    await running.present(WRONG["host"][0])
    (tmp_path / "plc.pem").write_bytes(WRONG["host"][0].pem)
    pinning = wanting(server_certificate=str(tmp_path / "plc.pem"))
    async with opened(device(running.url, pinning), state):
        pass
    await running.present(SERVER)
    error = await refused(device(running.url, pinning), state)
    assert "the server shows another certificate than the one that is pinned: capper" in error.why


@pytest.mark.usefixtures("impatient")
async def test_nobody_can_answer_in_the_place_of_a_trusted_server(
    running: SecuredServer, state: Path, pki: Pki
) -> None:
    """It can show the certificate, which is public, but not open a channel without its key."""
    await running.present(Issued(SERVER.certificate, application("impostor").key))
    await trust(pki, SERVER)
    error = await refused(device(running.url, wanting()), state, LinkError)
    assert not running.seen
    assert "closed the connection" in error.why or "does not answer" in error.why


async def test_another_server_behind_the_channel_is_refused(running: SecuredServer, state: Path, pki: Pki) -> None:
    await running.present(SERVER)
    await trust(pki, SERVER)

    def other_certificate(result: Any) -> None:
        connection = running.server.bserver.clients[-1]
        connection.processor._connection.security_policy.host_certificate = der(application("other").certificate)

    def other_application(result: Any) -> None:
        for endpoint in result.ServerEndpoints:
            endpoint.Server.ApplicationUri = "urn:somebody:else"

    running.changed = other_certificate
    error = await refused(device(running.url, wanting()), state)
    assert "the server shows another certificate in the session" in error.why
    running.changed = other_application
    error = await refused(device(running.url, wanting()), state)
    assert "the server calls itself urn:somebody:else, but its certificate names " + SERVER_URI in error.why
    assert not running.seen


async def test_a_weaker_endpoint_is_never_taken(running: SecuredServer, state: Path, pki: Pki) -> None:
    await running.present(SERVER, offers=[("none", None), ("Basic256Sha256", "sign")])
    await trust(pki, SERVER)
    error = await refused(device(running.url, wanting()), state)
    assert error.why == (
        "the server does not offer Basic256Sha256 with sign_and_encrypt; it offers none, Basic256Sha256 with sign"
    )
    assert "write one of these into `security`, or switch the other one on in the server" in error.remedy
    error = await refused(device(running.url, wanting("Aes256_Sha256_RsaPss", mode="sign")), state)
    assert "does not offer Aes256_Sha256_RsaPss with sign" in error.why
    assert not running.seen


@pytest.mark.usefixtures("impatient")
async def test_a_server_that_promises_more_than_it_does_is_not_spoken_to(
    running: SecuredServer, state: Path, pki: Pki
) -> None:
    """Its endpoints name the policy, but its channels are without: as a man in the middle would have it."""
    await running.present(SERVER)
    running.server._policies[:] = [policy for policy in running.server._policies if policy.cls.URI.endswith("#None")]
    await trust(pki, SERVER)
    await refused(device(running.url, wanting()), state, LinkError)
    assert not running.seen


async def test_an_untrusted_gateway_hears_what_to_do(running: SecuredServer, state: Path, pki: Pki) -> None:
    await running.present(SERVER)
    running.trusted = set()
    await trust(pki, SERVER)
    error = await refused(device(running.url, wanting()), state)
    assert error.why == "the server does not trust our certificate (BadCertificateUntrusted)"
    assert "trust the gateway's certificate on the server: `linegate opcua cert FILE` shows it" in error.remedy


def user(tmp_path: Path, name: str = "gateway", password: str = PASSWORDS["gateway"], **more: Any) -> UserConfig:
    (tmp_path / "password").write_text(password)
    return UserConfig.model_validate({"name": name, "password": {"file": str(tmp_path / "password")}, **more})


@pytest.mark.parametrize(("policy", "mode"), [("none", None), *SECURED])
async def test_a_user_with_a_password(
    running: SecuredServer, state: Path, pki: Pki, tmp_path: Path, policy: str, mode: str | None
) -> None:
    await running.present(SERVER)
    await trust(pki, SERVER)
    security = wanting(policy, mode=mode)
    person = user(tmp_path, allow_plain_password=not security.encrypts)
    async with opened(device(running.url, security, person), state):
        assert running.seen == ["gateway"]


@pytest.mark.parametrize("given", [{"name": "stranger"}, {"password": "a-guess"}])
async def test_a_wrong_user_is_told_so_and_nobody_sees_the_password(
    running: SecuredServer,
    state: Path,
    pki: Pki,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    given: dict[str, Any],
) -> None:
    await running.present(SERVER)
    await trust(pki, SERVER)
    caplog.set_level(logging.DEBUG)
    error = await refused(device(running.url, wanting(), user(tmp_path, **given)), state)
    assert error.why == (
        "the server does not let this user in: the name or the password is wrong, or not allowed (BadUserAccessDenied)"
    )
    assert error.remedy == "check `user` here, and the user's rights and state on the server"
    password = given.get("password", PASSWORDS["gateway"])
    everything = f"{error.why}{error.remedy}{error.__cause__!r}{error.__context__!r}{caplog.text}"
    assert password.rpartition("-")[2] not in everything
    assert "PRIVATE KEY" not in everything


async def test_a_user_with_a_certificate(running: SecuredServer, state: Path, pki: Pki, tmp_path: Path) -> None:
    person = application("anna", uri=None, hosts=[], extended=None)
    (tmp_path / "anna.pem").write_bytes(person.pem)
    (tmp_path / "anna.key").write_bytes(person.key_pem())
    anna = UserConfig(certificate=str(tmp_path / "anna.pem"), private_key=str(tmp_path / "anna.key"))
    await running.present(SERVER, tokens=[ua.X509IdentityToken])
    await trust(pki, SERVER)
    running.users = {der(person.certificate)}
    for policy, mode in SECURED:
        async with opened(device(running.url, wanting(policy, mode=mode), anna), state):
            pass
    running.users = {der(SERVER.certificate)}
    error = await refused(device(running.url, wanting(), anna), state)
    assert "the server does not let this user in" in error.why


async def test_a_log_in_that_the_server_does_not_take(
    running: SecuredServer, state: Path, pki: Pki, tmp_path: Path
) -> None:
    await running.present(SERVER, tokens=[ua.X509IdentityToken, ua.UserNameIdentityToken])
    await trust(pki, SERVER)
    error = await refused(device(running.url, wanting()), state)
    assert error.why == (
        "the server does not take the log-in anonymous here; it takes certificate, user name and password"
    )
    error = await refused(device(running.url, wanting("none")), state)
    assert "the server does not accept this user or password (BadIdentityTokenRejected)" in error.why


async def test_a_password_that_no_key_can_encrypt(running: SecuredServer, state: Path, tmp_path: Path) -> None:
    error = await refused(device(running.url, wanting(), user(tmp_path, password="x" * 129)), state)
    assert "is longer than 128 bytes" in error.why
    assert "xxx" not in error.why + error.remedy


async def test_a_missing_secret_names_its_place(running: SecuredServer, state: Path) -> None:
    missing = UserConfig.model_validate({"name": "gateway", "password": {"env": "NO_SUCH_PASSWORD"}})
    error = await refused(device(running.url, wanting(), missing), state)
    assert error.why == "the environment variable NO_SUCH_PASSWORD is not set"


async def test_without_a_state_directory_a_certificate_has_to_be_named(running: SecuredServer) -> None:
    error = await refused(device(running.url, wanting()), None)
    assert error.why == "there is no state directory for the gateway's own certificate"


async def test_an_own_certificate_without_application_uri(running: SecuredServer, tmp_path: Path) -> None:
    mine = application("gateway", uri=None)
    (tmp_path / "own.pem").write_bytes(mine.pem)
    (tmp_path / "own.key").write_bytes(mine.key_pem())
    security = wanting(certificate=str(tmp_path / "own.pem"), private_key=str(tmp_path / "own.key"))
    error = await refused(device(running.url, security), None)
    assert error.why.endswith("own.pem names no application URI, without which servers refuse it")


async def test_a_certificate_that_ends_soon_is_said(
    running: SecuredServer, state: Path, pki: Pki, capsys: pytest.CaptureFixture[str]
) -> None:
    soon = application("soon", ends=9 * DAY)
    await running.present(soon)
    await trust(pki, soon)
    async with opened(device(running.url, wanting()), state):
        said = capsys.readouterr().out
        assert "certificate_expires" in said
        assert "renew it on the server" in said
    async with opened(device(running.url, wanting()), state):
        assert "certificate_expires" not in capsys.readouterr().out


async def test_endpoints_that_say_nothing_are_no_defect_of_ours(running: SecuredServer, state: Path, pki: Pki) -> None:
    await running.present(SERVER)
    await trust(pki, SERVER)
    for endpoint in running.server.iserver.endpoints:
        endpoint.Server.ApplicationUri = None
        endpoint.UserIdentityTokens = []
    error = await refused(device(running.url, wanting()), state)
    assert "the server calls itself nothing, but its certificate names" in error.why
    for junk in (None, b"", b"0", b"0\x82\x01", b"0\x03abc", der(SERVER.certificate)[:-1], b"x" * 70_000):
        for endpoint in running.server.iserver.endpoints:
            endpoint.ServerCertificate = junk
        error = await refused(device(running.url, wanting()), state)
        assert error.why == "the server shows no certificate, or one that cannot be read"
    running.server.iserver.endpoints.clear()
    error = await refused(device(running.url, wanting()), state)
    assert error.why == "the server does not offer Basic256Sha256 with sign_and_encrypt; it offers nothing"


async def test_nobody_there(state: Path) -> None:
    with nobody() as port:
        error = await refused(device(f"opc.tcp://127.0.0.1:{port}/plant", wanting()), state, ConnectFailed)
    assert error.why == f"127.0.0.1:{port} refuses the connection"
    assert "check that the server runs and listens on that port" in error.remedy


async def test_something_else_is_there(state: Path, running: SecuredServer) -> None:
    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(close, "127.0.0.1", 0) as other:
        port = other.sockets[0].getsockname()[1]
        error = await refused(device(f"opc.tcp://127.0.0.1:{port}", wanting()), state, ConnectFailed)
        assert "closed the connection while it was being set up" in error.why
        assert "the port is not one of OPC UA" in error.remedy


@pytest.mark.usefixtures("impatient")
async def test_silence(state: Path, running: SecuredServer) -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(swallow, "127.0.0.1", 0) as other:
        port = other.sockets[0].getsockname()[1]
        error = await refused(device(f"opc.tcp://127.0.0.1:{port}", wanting()), state, ConnectFailed)
        assert error.why == f"opc.tcp://127.0.0.1:{port} does not answer"
