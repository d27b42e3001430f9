"""Keys and certificates that are replaced while the endpoint listens."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from pathlib import Path

import aiohttp

from tests.conftest import line_document
from tests.gateway.health.test_guard import certified, secured
from tests.gateway.health.viewing import basic
from tests.processes import Daemon, free_port, until

OFTEN = "import gateway.health.guest\ngateway.health.guest.RENEW_S = 1\n"
"""A `sitecustomize` of the daemon: it looks each second."""


async def test_what_is_replaced_counts_and_what_cannot_be_read_stays(tmp_path: Path) -> None:
    """Each by itself: the certificate is new although the token is gone, and the old token still counts."""
    port, context = free_port(), certified(tmp_path)
    (tmp_path / "pin").write_text("4711")
    operators = [{"name": "anna", "pin": {"file": str(tmp_path / "pin")}}]
    document = line_document(health=secured(tmp_path, port, operators=operators))
    document["devices"]["filler_plc"]["port"] = free_port()
    (tmp_path / "sitecustomize.py").write_text(OFTEN)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    one = Daemon(tmp_path, document, environment={"PYTHONPATH": path})
    await one.start(ready=False)

    async def asked(trusted: ssl.SSLContext, authorization: str) -> int | None:
        """The status, None where the certificate is another one."""
        headers = {"Authorization": authorization}
        connector = aiohttp.TCPConnector(ssl=trusted, force_close=True)
        async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
            try:
                async with session.get(f"https://127.0.0.1:{port}/api/me") as answer:
                    return answer.status
            except aiohttp.ClientConnectorCertificateError:
                return None

    try:
        await until(lambda: "endpoint_listening" in one.log.read_text())
        assert await asked(context, basic("anna", "4711")) == 200
        (tmp_path / "pin").write_text("0815")

        async def answers(status: int, trusted: ssl.SSLContext, authorization: str) -> bool:
            return await asked(trusted, authorization) == status

        await until(lambda: answers(401, context, basic("anna", "4711")))
        assert await asked(context, basic("anna", "0815")) == 200
        token = (tmp_path / "token").read_text().strip()
        (tmp_path / "token").unlink()
        newer = certified(tmp_path)
        await until(lambda: answers(200, newer, f"Bearer {token}"))
        assert await asked(context, f"Bearer {token}") is None
        said = [json.loads(line) for line in one.log.read_text().splitlines() if "certificate_not_renewed" in line]
        assert "token" in said[0]["why"]
    finally:
        await asyncio.wait_for(one.kill(), 10)
