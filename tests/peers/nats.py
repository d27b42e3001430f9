"""A real nats-server with JetStream, and a plant's end that reads a stream of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy, StreamConfig
from nats.js.errors import NotFoundError

from tests.processes import free_port

BINARY = Path(sys.prefix) / "bin" / "nats-server"
STREAM = "PLANT"
SUBJECTS = ("acme.>",)
READER = ("reader", "readers-own")


class NatsServer:
    """One server whose streams outlive it in `directory`."""

    def __init__(self, directory: Path, port: int = 0) -> None:
        self.port = port or free_port()
        self.is_secure = False
        self._directory = directory
        self._process: asyncio.subprocess.Process | None = None
        self._draining: asyncio.Task[None] | None = None

    async def start(
        self, *lines: str, tls: Path | None = None, ca: Path | None = None, tls_first: bool = False, password: str = ""
    ) -> None:
        """Return when it is ready. `tls`: path of certificate and key without their endings; `ca`: of its clients."""
        assert BINARY.exists(), f"{BINARY} is missing: install the development dependencies"
        self.is_secure = tls is not None
        text = [f"listen: 127.0.0.1:{self.port}", f'jetstream {{ store_dir: "{self._directory}/jetstream" }}', *lines]
        if tls is not None:
            verify = "" if ca is None else f', ca_file: "{ca}", verify: true'
            verify += ", handshake_first: true" if tls_first else ""
            text.append(f'tls {{ cert_file: "{tls}.pem", key_file: "{tls}.key"{verify} }}')
        if password:
            users = (("line-3", password), READER)
            text.append(f"authorization {{ users: [{', '.join(f'{{user: {u}, password: {p}}}' for u, p in users)}] }}")
        file = self._directory / "nats.conf"
        file.write_text("\n".join(text) + "\n")
        self._process = await asyncio.create_subprocess_exec(
            str(BINARY), "-c", str(file), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
        said = [b"nothing"]
        async with asyncio.timeout(20):
            assert self._process.stderr is not None
            while b"Server is ready" not in said[-1]:
                said.append(await self._process.stderr.readline())
                assert said[-1], f"nats-server ended, and said {said[-2].decode()}"
        self._draining = asyncio.create_task(_drain(self._process.stderr))

    async def end(self, how: str = "kill") -> None:
        """`kill`, or `terminate`; idempotent."""
        process, self._process = self._process, None
        if process is not None:
            getattr(process, how)()
            await process.wait()
            if self._draining is not None:
                await self._draining

    async def client(self, **options: Any) -> Client:
        """A connection of the tests' own, whatever the certificate."""
        if self.is_secure:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            options |= {"tls": context}
        return await nats.connect(
            f"nats://127.0.0.1:{self.port}", user=READER[0], password=READER[1], allow_reconnect=False,
            **{"error_cb": _unheard, **options},
        )  # fmt: skip


class Reader:
    """Reads a stream from its beginning, over restarts of its server."""

    def __init__(self) -> None:
        self.messages: list[Msg] = []
        self._client: Client | None = None

    @property
    def events(self) -> list[dict[str, Any]]:
        """Of structured content."""
        return [json.loads(message.data) for message in self.messages]

    async def follow(self, server: NatsServer, subjects: Iterable[str] = SUBJECTS, **stream: Any) -> None:
        """Make the stream where there is none, and read on; `stream`: its settings."""
        self._client = await server.client()
        streams = self._client.jetstream()
        try:
            await streams.stream_info(STREAM)
        except NotFoundError:
            await streams.add_stream(StreamConfig(STREAM, subjects=list(subjects), **stream))
        await streams.subscribe(
            "", stream=STREAM, cb=self._take, ordered_consumer=True,
            config=ConsumerConfig(
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=len(self.messages) + 1
            ),
        )  # fmt: skip

    async def finish(self) -> None:
        """Read to the end of what is stored, and go."""
        assert self._client is not None
        await self.until((await self._client.jetstream().stream_info(STREAM)).state.last_seq)
        await self.leave()

    async def until(self, count: int) -> None:
        """Until so many messages came."""
        async with asyncio.timeout(10):
            while len(self.messages) < count:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.002)

    async def leave(self) -> None:
        """Go; the server may be gone already."""
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(nats.errors.Error, OSError):
                await client.close()

    async def _take(self, message: Msg) -> None:
        if message.metadata.sequence.stream == len(self.messages) + 1:  # one that comes again is known already
            self.messages.append(message)


async def _drain(stream: asyncio.StreamReader) -> None:
    while await stream.readline():
        pass


async def _unheard(_error: Exception) -> None:
    pass
