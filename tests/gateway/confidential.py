"""A line with a secret wherever one can be, behind servers that give all that they are told back to the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.conftest import line_document
from tests.processes import free_port

MARK = "hunter2"
"""In every secret."""
BY_FILE = f"{MARK}-from-a-file"
BY_ENVIRONMENT = f"{MARK}-of-the-environment"
BY_CREDENTIAL = f"{MARK}-as-a-credential"
SEED = f"SUAC{MARK.upper()}" + "A" * 50
"""What is no NKey, and must not be said all the same."""
PASTED = f"{MARK}-in-the-wrong-line"
FILE = {"file": "secret"}
ENVIRONMENT = {"env": "LINEGATE_TEST_SECRET"}
CREDENTIAL = {"credential": "everywhere"}
SECRETS = (BY_FILE, BY_ENVIRONMENT, BY_CREDENTIAL, SEED, PASTED)


def environment(place: Path) -> dict[str, str]:
    """The secrets, put where the line's configuration says that they are; what a process needs to find them."""
    (place / "secret").write_text(BY_FILE + "\n")
    (place / "seed").write_text(SEED)
    (place / "everywhere").write_text(BY_CREDENTIAL)
    return {"LINEGATE_TEST_SECRET": BY_ENVIRONMENT, "CREDENTIALS_DIRECTORY": str(place)}


def document(place: Path, port: int) -> dict[str, Any]:
    """All that takes a secret; every server is at `port`."""
    where = f"127.0.0.1:{port}"
    file = {"file": str(place / "secret")}
    signals = {"speed": {"node": "i=2253", "type": "float64"}}
    opcua = {
        "protocol": "opcua", "endpoint": f"opc.tcp://{where}", "security": {"policy": "none"}, "signals": signals,
        "user": {"name": "reader-of-values", "password": CREDENTIAL, "allow_plain_password": True},
    }  # fmt: skip
    line = line_document()
    line["devices"]["filler_plc"]["port"] = free_port()  # nobody listens there
    line["devices"]["opcua_plc"] = opcua
    line["health"] = {"listen": f"127.0.0.1:{free_port()}", "token": file}
    line["health"]["operators"] = [{"name": "anna-of-the-night-shift", "pin": CREDENTIAL}]
    line["uplinks"] |= {
        "mqtt": {"type": "mqtt", "url": f"mqtt://{where}", "user": CREDENTIAL, "password": ENVIRONMENT},
        "mqtt_pasted": {"type": "mqtt", "url": f"mqtt://{where}", "user": PASTED, "password": file},
        "sparkplug": {
            "type": "sparkplug", "url": f"mqtt://{where}", "group": "berlin", "user": "gateway-3", "password": file,
        },
        "bearer": {"type": "http", "url": f"http://{where}/hook/{PASTED}?key={PASTED}", "token": CREDENTIAL},
        "basic": {"type": "http", "url": f"http://{where}/events", "user": "gateway-3", "password": file},
        "nats_user": {"type": "nats", "url": f"nats://{where}", "user": "gateway-3", "password": ENVIRONMENT},
        "nats_token": {"type": "nats", "url": f"nats://{where}", "token": file},
        "nats_nkey": {"type": "nats", "url": f"nats://{where}", "nkey": {"file": str(place / "seed")}},
        "nats_creds": {"type": "nats", "url": f"nats://{where}", "creds": {"file": str(place / "seed")}},
        "kafka": {
            "type": "kafka", "url": f"kafka://{where}", "sasl": "plain", "user": "gateway-3", "password": CREDENTIAL,
        },
    }  # fmt: skip
    return line


@asynccontextmanager
async def parrot() -> AsyncIterator[int]:
    """The port of a server that says what it was told, as HTTP's, MQTT's and NATS's refusals, and then hangs up."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            told = await asyncio.wait_for(reader.read(60_000), 0.5)
        except TimeoutError:  # a NATS client waits to be spoken to
            writer.write(b'INFO {"server_id":"x","version":"2.10.0","max_payload":1048576,"auth_required":true,')
            writer.write(b'"nonce":"abcdefghijk","headers":true,"proto":1}\r\n')
            told = await reader.read(60_000)
            writer.write(b"-ERR 'Authorization Violation: " + told.replace(b"\r\n", b" ") + b"'\r\n")
        words = told.replace(b"\r\n", b" ")
        if told.startswith(b"POST"):
            writer.write(b"HTTP/1.1 401 No\r\nContent-Length: %d\r\n\r\n%s" % (len(words), words))
        else:
            writer.write(told)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
