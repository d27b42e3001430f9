"""Security against a second stack: node-opcua, a process of its own that takes only the clients it trusts."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from asyncua import ua

from protocols.driver import ConfigError
from protocols.opcua.certificate import create_own, own_certificate_files
from protocols.opcua.pki import state_pki
from protocols.opcua.security_config import SecurityConfig, UserConfig
from tests.peers.opcua.processes import OpcUaServer, node_opcua_server
from tests.protocols.opcua.secured import device, opened, server_state

pytestmark = pytest.mark.asyncio(loop_scope="module")

NONE = SecurityConfig.model_validate({"policy": "none"})
SECURED = [
    SecurityConfig.model_validate({"policy": policy, "mode": mode})
    for policy in ("Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss")
    for mode in ("sign", "sign_and_encrypt")
]
ENCRYPTED = SECURED[1]


@dataclass(frozen=True)
class Place:
    """The server, a gateway that it trusts, and one that it does not."""

    server: OpcUaServer
    folder: Path
    trusted: Path
    stranger: Path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    folder = tmp_path_factory.mktemp("node")
    ours, authority = state_pki(folder / "line-3"), folder / "authority"
    (authority / "trusted").mkdir(parents=True)
    await asyncio.to_thread(create_own, ours, 3072)
    shutil.copy(own_certificate_files(ours)[1], authority / "trusted")
    async with node_opcua_server(pki=authority, trust=True) as server:
        for state in ("line-3", "line-4"):
            trusted = state_pki(folder / state).trusted
            trusted.mkdir(parents=True)
            shutil.copy(server.ready["ca"], trusted)
            shutil.copy(server.ready["crl"], trusted)
        yield Place(server, folder, folder / "line-3", folder / "line-4")


async def state_of(place: Place, security: SecurityConfig, user: UserConfig | None = None, *, of: Path) -> Any:
    """Secure, connect, and read the server's state; what is refused is in words."""
    async with opened(device(place.server.url, security, user), of) as session:
        return await server_state(session)


def password(place: Place, text: str | None = None) -> UserConfig:
    file = place.folder / "password"
    file.write_text(place.server.ready["password"] if text is None else text)
    return UserConfig.model_validate(
        {"name": place.server.ready["user"], "password": {"file": str(file)}, "allow_plain_password": True}
    )


def certificate(place: Place, name: str) -> UserConfig:
    folder = place.folder / "authority"
    return UserConfig(certificate=str(folder / f"{name}.der"), private_key=str(folder / f"{name}-key.pem"))


@pytest.mark.parametrize("security", [NONE, *SECURED], ids=lambda one: f"{one.policy}-{one.mode}")
async def test_every_policy_and_mode_with_every_log_in(place: Place, security: SecurityConfig) -> None:
    for user in (None, password(place), certificate(place, "user")):
        assert await state_of(place, security, user, of=place.trusted) == ua.ServerState.Running


async def test_an_untrusted_gateway_hears_what_to_do(place: Place) -> None:
    with pytest.raises(ConfigError) as caught:
        await state_of(place, ENCRYPTED, of=place.stranger)
    assert caught.value.why == (
        "the server refuses our security, most likely since it does not trust us (BadSecurityChecksFailed)"
    )
    assert "`linegate opcua cert FILE` shows it and its thumbprint" in caught.value.remedy


async def test_a_wrong_password_and_an_unknown_user(place: Place) -> None:
    with pytest.raises(ConfigError) as caught:
        await state_of(place, ENCRYPTED, password(place, "guessed"), of=place.trusted)
    assert "the server does not let this user in" in caught.value.why
    with pytest.raises(ConfigError) as caught:
        await state_of(place, ENCRYPTED, certificate(place, "server-good"), of=place.trusted)
    assert "the server does not accept this user" in caught.value.why
