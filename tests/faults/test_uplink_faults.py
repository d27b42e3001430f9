"""The same faults over every uplink, from a real outbox through its runner to a real server: nothing is lost or early.

Whatever happens, the events arrive complete and in the order of first delivery, each with its `prevseq`; nothing counts
as delivered that the server does not have; and the loop that also scans the PLCs is never held.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from structlog.testing import capture_logs

from ext.table import SignalTable
from gateway.config.model import BufferConfig, Config, UplinkConfig
from gateway.events import Envelope, Event, rfc3339
from gateway.lineview import LineView
from gateway.outbox.outbox import Outbox
from gateway.pipeline import Pipeline
from gateway.runner.backoff import Backoff
from gateway.runner.uplink import UplinkRunner
from gateway.uplinks.registry import uplink_class
from gateway.uplinks.uplink import UplinkContext
from tests.conftest import line_document
from tests.mangler import Mangler
from tests.peers.certificates import make_certificates
from tests.peers.receivers import RECEIVERS, REFUSED_SIZE, USER, Receiver

SERVERS = [name for name, kind in RECEIVERS.items() if kind.IS_SERVER]
PASSWORD = "correct-horse"
LINE = Config.model_validate(line_document())
MOST_TURN_S = 0.1
"""Processor time that one turn of the loop may take, the test's own servers included."""


class Plant:
    """One uplink at work, the server behind a proxy, and a scan that must not be held."""

    def __init__(self, receiver: Receiver, outbox: Outbox, runner: UplinkRunner, mangler: Mangler) -> None:
        self.receiver = receiver
        self.outbox = outbox
        self.runner = runner
        self.mangler = mangler
        self.longest_turn_s = 0.0
        self.made = 0

    def make(self, count: int, size: int = 0) -> None:
        """Events for the outbox."""
        self.outbox.append(
            Event("machine.state", "filler", n, {"n": n, "state": str(n), "began": rfc3339(n), "text": "x" * size})
            for n in range(self.made + 1, self.made + count + 1)
        )
        self.made += count

    @property
    def acknowledged(self) -> int:
        """The last seq that counts as delivered."""
        return self.outbox.last_seq - self.outbox.backlog("plant")

    async def start(self, **how: Any) -> None:
        """The server comes back; nobody reaches it before it listens to everything."""
        self.mangler.mangle = lambda _reply: None
        await self.receiver.start(**how)
        self.mangler.mangle = lambda reply: reply

    async def until(self, what: Callable[[], Any], seconds: float = 20.0) -> None:
        async with asyncio.timeout(seconds):
            while not what():  # noqa: ASYNC110 - several parts may make it true
                await asyncio.sleep(0.005)

    async def delivered(self) -> None:
        """Until the uplink owes nothing, and the server has it."""
        await self.until(lambda: self.outbox.last_seq == self.made and not self.outbox.backlog("plant"))
        await self.until(lambda: self.receiver.received and self.receiver.received[-1]["data"]["n"] == self.made)

    async def scan(self) -> None:
        """What the loop's other users see."""
        while True:
            before = time.thread_time()
            await asyncio.sleep(0.002)
            self.longest_turn_s = max(self.longest_turn_s, time.thread_time() - before)

    def check(self, *without: int) -> None:
        """All events but those that were refused are there, and say what they should."""
        first: dict[int, dict[str, Any]] = {}
        for event in self.receiver.received:
            assert first.setdefault(int(event["seq"]), event)["data"] == event["data"], "a repetition says the same"
        wanted = [seq for seq in range(1, self.made + 1) if seq not in without]
        assert list(first) == wanted, "complete, in the order of first delivery"
        assert [int(event["prevseq"]) for event in first.values()] == [0, *wanted[:-1]]
        assert self.outbox.stats.quarantined == len(without)
        assert self.longest_turn_s < MOST_TURN_S


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("certificates")
    make_certificates(directory)
    return directory


@pytest.fixture(autouse=True, scope="module")
def without_pytests_own_garbage() -> Iterator[None]:
    """Looking through all that pytest holds takes up to a tenth of a second, and is no uplink's doing."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes seconds in a plant takes a moment here."""
    monkeypatch.setattr(Backoff, "next", lambda _self: 0.01)
    monkeypatch.setattr("gateway.runner.uplink.CONFIG_RETRY_S", 0.01)
    monkeypatch.setattr("gateway.uplinks.mqtt.broker.PUBACK_S", 0.4)
    monkeypatch.setattr("gateway.uplinks.mqtt.broker.CONNACK_S", 0.4)
    monkeypatch.setattr("gateway.uplinks.mqtt.broker.FAREWELL_S", 0.1)
    monkeypatch.setattr("gateway.uplinks.nats.publisher.ANSWER_S", 0.4)
    monkeypatch.setattr("gateway.uplinks.kafka.publisher.ANSWER_S", 0.4)
    monkeypatch.setattr("gateway.uplinks.kafka.session.PATIENCE_S", 0.1)
    monkeypatch.setattr("gateway.uplinks.kafka.session.RETRY_S", 0.01)
    monkeypatch.setenv("PLANT_PASSWORD", PASSWORD)


@asynccontextmanager
async def plant(
    kind: str,
    tmp_path: Path,
    certificates: Path,
    *,
    away: bool = False,
    tls: bool = False,
    patience_s: float = 0.4,
    **how: Any,
) -> AsyncIterator[Plant]:
    """An uplink that runs, and its server unless it is away."""
    receiver = RECEIVERS[kind](tmp_path, certificates)
    async with Mangler(receiver.port) as mangler:
        section = receiver.section(mangler.port, tls) | {"from": "oldest", "max_attempts": 2}
        if receiver.IS_SERVER:
            section |= {"user": USER, "password": {"env": "PLANT_PASSWORD"}}
        if tls:
            section["tls"] = {"ca": str(certificates / "ca.pem")}
        config: Any = TypeAdapter(UplinkConfig).validate_python(section)
        if section["type"] == "http":
            object.__setattr__(config, "timeout", patience_s * 1000)
        buffer = BufferConfig.model_validate({"path": "x", "commit_interval": "10ms"})
        outbox = await Outbox.open(tmp_path / "buffer.db", buffer, {"plant": config})
        line = LINE
        view = LineView(
            Pipeline(line), {name: SignalTable(one.signal_settings) for name, one in line.devices.items()}, line
        )
        context = UplinkContext("plant", line.line, Envelope("/acme", outbox.stream), tmp_path, view)
        runner = UplinkRunner("plant", config, lambda: uplink_class(config)(config, context), outbox)
        one = Plant(receiver, outbox, runner, mangler)
        if not away:
            await one.start(**how)
        loop = asyncio.get_running_loop()
        store = loop.create_task(outbox.run())
        others = [loop.create_task(runner.run()), loop.create_task(one.scan())]
        try:
            yield one
        finally:
            for task in others:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            await outbox.close()
            await store
            await receiver.kill()


@pytest.mark.parametrize("kind", RECEIVERS)
async def test_server_away_at_start(kind: str, tmp_path: Path, certificates: Path) -> None:
    async with plant(kind, tmp_path, certificates, away=True) as one:
        one.make(50)
        await one.until(lambda: one.runner.stats.reconnects >= 3)
        assert one.runner.stats.why
        assert one.runner.stats.remedy
        assert one.acknowledged == 0
        await one.start()
        await one.delivered()
        one.check()


@pytest.mark.parametrize("kind", RECEIVERS)
async def test_server_killed_in_the_middle_of_a_batch(kind: str, tmp_path: Path, certificates: Path) -> None:
    async with plant(kind, tmp_path, certificates) as one:
        one.mangler.delay_s = 0.003
        for _ in range(3):
            one.make(200)
            await one.until(lambda: one.acknowledged > one.made - 180)
            await one.receiver.kill()
            taken = {int(event["seq"]) for event in one.receiver.received}
            assert taken >= set(range(1, one.acknowledged + 1)), "nothing is acknowledged early"
            one.make(5)
            await one.until(lambda: one.runner.stats.why)
            await one.start()
        await one.delivered()
        one.check()


@pytest.mark.parametrize("kind", SERVERS)
async def test_connections_cut_again_and_again(kind: str, tmp_path: Path, certificates: Path) -> None:
    async with plant(kind, tmp_path, certificates) as one:
        one.mangler.delay_s = 0.002
        for _ in range(12):
            one.make(60)
            before = one.acknowledged
            await one.until(lambda before=before: one.acknowledged > before)  # type: ignore[misc]
            one.mangler.drop()
        await one.delivered()
        assert one.runner.stats.reconnects + one.mangler.connections > 10
        one.check()


@pytest.mark.parametrize("kind", SERVERS)
async def test_half_open_connection(kind: str, tmp_path: Path, certificates: Path) -> None:
    """The server gets everything and says nothing that arrives: nothing counts, and all of it comes again."""
    async with plant(kind, tmp_path, certificates) as one:
        one.make(20)
        await one.delivered()
        one.mangler.mangle = lambda _reply: b""
        one.make(100)
        await one.until(lambda: one.runner.stats.reconnects >= 2)
        assert one.acknowledged == 20
        one.mangler.mangle = lambda reply: reply
        await one.delivered()
        one.check()


@pytest.mark.parametrize("kind", SERVERS)
async def test_slow_acknowledgements(
    kind: str, tmp_path: Path, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.uplinks.mqtt.broker.PUBACK_S", 10.0)
    monkeypatch.setattr("gateway.uplinks.nats.publisher.ANSWER_S", 10.0)
    monkeypatch.setattr("gateway.uplinks.kafka.publisher.ANSWER_S", 10.0)
    async with plant(kind, tmp_path, certificates, patience_s=10.0) as one:
        one.mangler.delay_s = 0.05
        one.make(300)
        await one.delivered()
        assert one.runner.stats.reconnects == 0
        one.check()


@pytest.mark.parametrize("kind", [name for name, kind in RECEIVERS.items() if kind.SAYS_REFUSALS])
async def test_refused_events(kind: str, tmp_path: Path, certificates: Path) -> None:
    """Each is found among the others, goes to quarantine after its attempts, and the chain leads over it."""
    refused = (1, 2, 30, 31, 77, 120)
    async with plant(kind, tmp_path, certificates, limited=True) as one:
        for seq in range(1, 121):
            one.make(1, size=REFUSED_SIZE if seq in refused else 0)
        one.make(5)
        await one.delivered()
        assert one.runner.stats.refused == 2 * len(refused)
        one.check(*refused)


@pytest.mark.parametrize("kind", SERVERS)
async def test_wrong_credentials(kind: str, tmp_path: Path, certificates: Path) -> None:
    """Said with a remedy, tried again, never a reason for quarantine; the password itself is nowhere."""
    with capture_logs() as logs:
        async with plant(kind, tmp_path, certificates, password="another") as one:
            one.make(20)
            await one.until(lambda: "password" in one.runner.stats.remedy and one.runner.stats.reconnects >= 3)
            assert one.acknowledged == 0
            await one.receiver.kill()
            await one.start(password=PASSWORD)
            await one.delivered()
            one.check()
    told = json.dumps(logs, default=repr)
    assert "password" in told
    assert PASSWORD not in told


@pytest.mark.parametrize(("certificate", "words"), [("old", "has expired"), ("elsewhere", "is for another host")])
@pytest.mark.parametrize("kind", SERVERS)
async def test_certificate_that_proves_nothing(
    kind: str, tmp_path: Path, certificates: Path, certificate: str, words: str
) -> None:
    """Not one event goes to whoever that is; with the right certificate all of them do."""
    async with plant(kind, tmp_path, certificates, tls=True, certificate=certificate) as one:
        one.make(20)
        await one.until(lambda: words in one.runner.stats.why and one.runner.stats.reconnects >= 2)
        assert one.runner.stats.remedy
        assert one.acknowledged == 0
        assert not one.receiver.received
        await one.receiver.kill()
        await one.start(certificate="server")
        await one.delivered()
        one.check()
