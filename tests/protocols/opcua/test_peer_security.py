"""Both test servers' security: policies, users, trust, and certificates that are wrong in one way each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from asyncua import Client, ua
from asyncua.crypto import security_policies
from cryptography import x509

from tests.peers.opcua.pki import KINDS, PASSWORD, USER, Authority, Issued
from tests.peers.opcua.processes import OpcUaServer, asyncua_server, node_opcua_server
from tests.peers.opcua.values import APPLICATION_URI
from tests.protocols.opcua.clients import value

pytestmark = pytest.mark.asyncio(loop_scope="module")
CLIENT_URI = "urn:linegate:test:client"
POLICIES = ("Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss")
MODES = (ua.MessageSecurityMode.Sign, ua.MessageSecurityMode.SignAndEncrypt)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("clients"))


@pytest.fixture(scope="module")
def own(authority: Authority) -> Issued:
    return authority.client(CLIENT_URI)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["asyncua", "node_opcua"])
async def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[OpcUaServer]:
    pki = tmp_path_factory.mktemp("pki")
    if request.param == "asyncua":
        async with asyncua_server("--pki", str(pki)) as server:
            yield server
    else:
        async with node_opcua_server(pki=pki) as server:
            yield server


async def connected(server: OpcUaServer, own: Issued, policy: str = "Basic256Sha256", mode: Any = MODES[1]) -> Client:
    client = Client(server.url, timeout=5)
    client.application_uri = CLIENT_URI
    await client.set_security(
        getattr(security_policies, f"SecurityPolicy{policy}"),
        certificate=own.certificate,
        private_key=own.key,
        server_certificate=server.ready["certificate"],
        mode=mode,
    )
    return client


async def is_let_in(client: Client) -> bool:
    async with client:
        return await value(client, "Scalars.Boolean") is True


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
@pytest.mark.parametrize("policy", POLICIES)
async def test_every_policy_in_both_modes(server: OpcUaServer, own: Issued, policy: str, mode: Any) -> None:
    assert await is_let_in(await connected(server, own, policy, mode))


async def test_policy_none_is_there_too(server: OpcUaServer) -> None:
    assert await is_let_in(Client(server.url))


async def test_users_and_passwords(server: OpcUaServer, own: Issued) -> None:
    client = await connected(server, own)
    client.set_user(USER)
    client.set_password(PASSWORD)
    assert await is_let_in(client)
    client = await connected(server, own)
    client.set_user(USER)
    client.set_password("wrong")
    with pytest.raises(ua.UaStatusCodeError, match=r"BadUserAccessDenied|BadIdentityTokenRejected"):
        await is_let_in(client)


async def test_users_with_certificates(server: OpcUaServer, own: Issued, authority: Authority) -> None:
    client = await connected(server, own)
    await client.load_client_certificate(server.ready["user_certificate"])
    await client.load_private_key(server.ready["user_key"])
    assert await is_let_in(client)
    stranger = authority.user("stranger")
    client = await connected(server, own)
    await client.load_client_certificate(stranger.certificate)
    await client.load_private_key(stranger.key)
    with pytest.raises(ua.UaStatusCodeError, match=r"BadIdentityTokenRejected|BadCertificateUntrusted"):
        await is_let_in(client)


async def chain_is_sent(server: OpcUaServer) -> None:
    """The endpoints show the server's certificate with its authority's behind it."""
    (endpoint, *_) = [
        each
        for each in await Client(server.url).connect_and_get_server_endpoints()
        if each.SecurityMode == ua.MessageSecurityMode.Sign
    ]
    sent = Path(server.ready["certificate"]).read_bytes() + Path(server.ready["ca"]).read_bytes()
    assert endpoint.ServerCertificate == sent


async def test_asyncua_takes_only_whom_it_trusts_and_sends_its_chain(
    tmp_path: Path, authority: Authority, own: Issued
) -> None:
    arguments = ("--pki", str(tmp_path), "--trust", "--users", "anonymous", "--certificate", "chain")
    async with asyncua_server(*arguments) as server:
        await chain_is_sent(server)
        with pytest.raises(ua.UaStatusCodeError, match="BadCertificateUntrusted"):
            await is_let_in(await connected(server, own))
        (Path(server.ready["trusted"]) / "client.der").write_bytes(own.certificate.read_bytes())
        assert await is_let_in(await connected(server, own))


async def test_node_opcua_takes_only_whom_it_trusts_and_sends_its_chain(
    tmp_path: Path, authority: Authority, own: Issued
) -> None:
    Authority(tmp_path).trust(own.certificate)
    async with node_opcua_server(pki=tmp_path, trust=True, certificate="chain") as server:
        await chain_is_sent(server)
        assert await is_let_in(await connected(server, own))
        with pytest.raises((ua.UaError, ConnectionError, AssertionError)):
            await is_let_in(await connected(server, authority.client(CLIENT_URI, "unknown")))


@pytest.mark.parametrize("kind", KINDS)
async def test_each_certificate_is_wrong_in_one_way(tmp_path: Path, kind: Any) -> None:
    authority = Authority(tmp_path)
    certificate = x509.load_der_x509_certificate(authority.server(kind, APPLICATION_URI).certificate.read_bytes())
    issuer = x509.load_der_x509_certificate(authority.certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    now = datetime.now(UTC)
    wrong = {
        "expired": now > certificate.not_valid_after_utc,
        "not_yet": now < certificate.not_valid_before_utc,
        "wrong_host": "localhost" not in names.get_values_for_type(x509.DNSName),
        "wrong_uri": APPLICATION_URI not in names.get_values_for_type(x509.UniformResourceIdentifier),
        "self_signed": certificate.issuer != issuer.subject,
    }
    assert [each for each, is_wrong in wrong.items() if is_wrong] == ([kind] if kind in wrong else [])
    signer = certificate if kind == "self_signed" else issuer
    certificate.verify_directly_issued_by(signer)
