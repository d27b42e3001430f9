"""Pinning a server's certificate: shown first, trusted only when a person says so, and then it works."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from ruamel.yaml import YAML

from gateway.opcua_trust import trust_server
from protocols.opcua.config import OpcuaDevice
from protocols.opcua.facts import fingerprint, thumbprint
from protocols.opcua.pki import Pki, state_pki
from tests.protocols.opcua.authority import DAY, application, malformed
from tests.protocols.opcua.secured import SecuredServer, nobody, opened, secured_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERVER = application("capper", hosts=["plc-7"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running() -> AsyncIterator[SecuredServer]:
    async with secured_server() as server:
        yield server


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return state_pki(tmp_path / "line-3")


async def trusted(url: str, pki: Pki, ask: Callable[[str], bool] | None) -> tuple[int, str]:
    out = io.StringIO()
    code = await trust_server(url, pki.directory.parent, ask, out=out)
    return code, out.getvalue()


async def test_a_server_is_shown_and_pinned_and_then_connects(running: SecuredServer, pki: Pki) -> None:
    await running.present(SERVER)
    asked: list[str] = []

    def ask(question: str) -> bool:
        asked.append(question)
        return True

    code, said = await trusted(running.url, pki, ask)
    assert code == 0
    assert asked == [f"Trust {fingerprint(SERVER.certificate)}?"]
    for part in (
        f"at {running.url}",
        "urn:acme:capper:server",
        "none, Basic256Sha256 with sign, Basic256Sha256 with sign_and_encrypt",
        fingerprint(SERVER.certificate),
        thumbprint(SERVER.certificate),
        "plc-7",
        "Compare the fingerprint or the thumbprint with what the server itself shows.",
    ):
        assert part in said
    section = re.search(r"in the device's section: (.*)\n", said)
    assert section is not None
    of = OpcuaDevice.model_validate(
        {
            "protocol": "opcua",
            "endpoint": running.url,
            "signals": {"state": {"node": "i=2259"}},
            **YAML(typ="safe").load(section[1]),
        }
    )
    assert (of.security.policy, of.security.mode) == ("Aes256_Sha256_RsaPss", "sign_and_encrypt")
    async with opened(of, pki.directory.parent):
        assert await running.channels() == [("Aes256_Sha256_RsaPss", "SignAndEncrypt")]


async def test_yes_asks_nobody(running: SecuredServer, pki: Pki) -> None:
    await running.present(SERVER, offers=[("none", None), ("Basic256Sha256", "sign")])
    code, said = await trusted(running.url, pki, None)
    assert code == 0
    assert "security: {policy: Basic256Sha256, mode: sign, server_certificate: " in said
    assert len(list(pki.trusted.iterdir())) == 1


async def test_no_changes_nothing(running: SecuredServer, pki: Pki) -> None:
    await running.present(SERVER)
    code, said = await trusted(running.url, pki, lambda question: False)
    assert code == 1
    assert said.endswith("not trusted; nothing was changed\n")
    assert not pki.directory.exists()


async def test_a_certificate_that_would_be_refused_is_not_pinned(running: SecuredServer, pki: Pki) -> None:
    await running.present(application("old", begins=-30 * DAY, ends=-DAY))
    code, said = await trusted(running.url, pki, None)
    assert code == 1
    assert "it would be refused though trusted: the server's certificate expired on" in said
    assert not pki.directory.exists()


async def test_a_certificate_that_cannot_be_read_is_not_shown(running: SecuredServer, pki: Pki) -> None:
    await running.present(malformed(application("twice")))
    code, said = await trusted(running.url, pki, None)
    assert code == 1
    assert said.startswith("\nit would be refused though trusted: the server's certificate is malformed: ")


async def test_a_server_without_security_has_nothing_to_pin(running: SecuredServer, pki: Pki) -> None:
    await running.present(offers=[("none", None)])
    code, said = await trusted(running.url, pki, None)
    assert code == 1
    assert "the server offers no security that the gateway can use, but none; switch on Basic256Sha256" in said


async def test_nobody_there(pki: Pki) -> None:
    with nobody() as port:
        code, said = await trusted(f"opc.tcp://127.0.0.1:{port}", pki, None)
    assert code == 1
    assert said.startswith(f"opc.tcp://127.0.0.1:{port}: 127.0.0.1:{port} refuses the connection; check that")


async def test_a_place_that_cannot_be_written(running: SecuredServer, pki: Pki) -> None:
    await running.present(SERVER)
    await asyncio.to_thread(pki.directory.parent.write_text, "not a directory")
    code, said = await trusted(running.url, pki, None)
    assert code == 1
    assert "cannot be written" in said
