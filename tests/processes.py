"""The real processes that tests speak to: the daemon, the simulated PLC, a broker. Each is ended by its own id."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import signal
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import blockbuster.blockbuster
from click.testing import CliRunner

from gateway.cli import main
from tests.schemas import hold_cloud_event

MOSQUITTO = "/usr/sbin/mosquitto"


FIRST_PORT, PORTS, SHARES = 20_000, 12_000, 16
"""Below those that Linux hands out to who asks for any, as hundreds of peers and clients beside a test do."""


def _ports() -> Iterator[int]:
    """Those of this process's share, over and over; of pytest's workers each has a share of its own."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    share = PORTS // SHARES
    first, begin = FIRST_PORT + int(worker) % SHARES * share, random.randrange(share)
    return (first + number % share for number in itertools.count(begin))


_port = _ports()


def free_port() -> int:
    """A loopback port that nobody has, and nobody will before it is used."""
    for port in itertools.islice(_port, PORTS):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError(f"no port is free from {FIRST_PORT} on")


async def until(what: Callable[[], Any], seconds: float = 60.0) -> Any:
    """The first true answer; an answer that is awaitable is awaited."""
    deadline = time.monotonic() + seconds
    while True:
        answer = what()
        if asyncio.iscoroutine(answer):
            answer = await answer
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"it did not come true within {seconds} s")
        await asyncio.sleep(0.05)


class Simulator:
    """`python -m protocols.simulated`: a filler whose truth is known."""

    def __init__(self, process: asyncio.subprocess.Process, ready: dict[str, Any]) -> None:
        self._process = process
        self.port: int = ready["port"]
        self.ready = ready
        """Ports by machine, where others than the filler were asked for."""

    async def tell(self, **command: Any) -> dict[str, Any]:
        """Send a command; the machine's truth when it was done."""
        truth: dict[str, Any] = (await self.ask(**command))["truth"]
        return truth

    async def has_made(self, parts: int) -> bool:
        """Whether the filler has made so many since it began."""
        return bool((await self.tell(action="truth"))["total"] >= parts)

    async def ask(self, **command: Any) -> dict[str, Any]:
        """Send a command; the answer, with the truth of all `machines` by name where there are several."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        answer: dict[str, Any] = json.loads(await asyncio.wait_for(self._process.stdout.readline(), 30))
        return answer


@asynccontextmanager
async def simulator(*arguments: str, port: int = 0, module: str = "protocols.simulated") -> AsyncIterator[Simulator]:
    """A simulated PLC; it fails the test if it was asked for anything but reading."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, "--port", str(port), *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        ready = json.loads(await asyncio.wait_for(process.stdout.readline(), 60))
        yield Simulator(process, ready)
    finally:
        process.terminate()
        code = await asyncio.wait_for(process.wait(), 60)
    assert code == 0, "the PLC was asked for more than reading"


class Daemon:
    """`linegate run` as a process; it can be killed and started again on the same state."""

    def __init__(
        self, state: Path, document: dict[str, Any], *arguments: str, environment: dict[str, str] | None = None
    ):
        self.state = state
        self.file = state / "line.yaml"
        self.file.write_text(json.dumps(document))
        self.log = state / "daemon.log"
        listen = document["health"]["listen"]
        self.url = f"http://{listen}"
        self.arguments = arguments
        self.environment = {**os.environ, **(environment or {})}
        self.process: asyncio.subprocess.Process | None = None

    async def start(self, *, ready: bool = True) -> None:
        """Start; by default wait until it is ready."""
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "gateway", "run", str(self.file), "--state-dir", str(self.state), *self.arguments,
                stderr=log, env=self.environment,
            )  # fmt: skip
        if ready:
            await until(self.is_ready)

    async def is_ready(self) -> bool:
        """Whether /readyz says so."""
        assert self.process is not None
        assert self.process.returncode is None, self.log.read_text()[-3000:]
        try:
            return (await self.get("/readyz"))[0] == 200
        except aiohttp.ClientError:
            return False

    async def get(self, path: str, **headers: str) -> tuple[int, str]:
        """Status and text of a GET."""
        async with aiohttp.ClientSession() as session, session.get(self.url + path, headers=headers) as reply:
            return reply.status, await reply.text()

    async def is_well(self) -> bool:
        """Whether every check passes."""
        return not await self.troubles()

    async def troubles(self) -> set[str]:
        """Checks that do not pass; what clock and loop say is of the computer that the tests run on."""
        checks = json.loads((await self.get("/health"))[1])["checks"]
        return {name for name, (check,) in checks.items() if check["status"] != "pass"} - {"clock", "loop"}

    async def line(self) -> dict[str, Any]:
        """GET /api/line."""
        document: dict[str, Any] = json.loads((await self.get("/api/line"))[1])
        return document

    async def kill(self) -> None:
        """As a power cut would."""
        assert self.process is not None
        self.process.kill()
        await self.process.wait()

    async def stop(self, seconds: float = 60) -> int:
        """End in order; the exit code."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), seconds)

    def events(self, name: str = "events.ndjson") -> list[dict[str, Any]]:
        """What the file uplink holds, each CloudEvent as its schema says."""
        path = self.state / name
        if not path.exists():
            return []
        text = path.read_text()
        events = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
        for event in events:
            if "specversion" in event:
                hold_cloud_event(event)
        return events


@asynccontextmanager
async def daemon(state: Path, document: dict[str, Any], *arguments: str, **options: Any) -> AsyncIterator[Daemon]:
    """A daemon that is ready; it is killed if the test has not stopped it."""
    one = Daemon(state, document, *arguments, **options)
    await one.start()
    try:
        yield one
    finally:
        if one.process is not None and one.process.returncode is None:
            await one.kill()


_one_command = threading.Lock()


def _command(arguments: Sequence[object], given: str) -> tuple[int, str, str]:
    blockbuster.blockbuster._skip.value = True  # a command may block its own loop
    with _one_command:
        done = CliRunner().invoke(main, [str(one) for one in arguments], input=given)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


async def linegate(*arguments: object, given: str = "") -> tuple[int, str, str]:
    """Exit code, standard output and error of a command, in a thread: a process would take most of a second to begin.

    Not for those that fork (run, reload), and what is installed runs as processes all the same.
    """
    return await asyncio.to_thread(_command, arguments, given)


async def reload(one: Daemon, document: dict[str, Any] | None = None, *arguments: str) -> tuple[int, str, str]:
    """Write the file, and say what `linegate reload` ended with: code, standard output, standard error."""
    if document is not None:
        one.file.write_text(json.dumps(document))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", "reload", str(one.file), "--state-dir", str(one.state), *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, out.decode(), err.decode()


@asynccontextmanager
async def broker(place: Path, port: int) -> AsyncIterator[None]:
    """A mosquitto that takes connections."""
    assert Path(MOSQUITTO).exists(), "mosquitto is missing: apt-get install mosquitto"
    place.mkdir(exist_ok=True)
    settings = place / "mosquitto.conf"
    settings.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n")
    process = await asyncio.create_subprocess_exec(
        MOSQUITTO, "-c", str(settings), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )

    async def answers() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    try:
        await until(answers)
        yield
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 60)
