"""The daemon as a service: readiness without a PLC, the watchdog, an orderly end, and what a start refuses."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import msgpack
import pytest

from gateway.app import App
from gateway.config.model import Config
from gateway.outbox.outbox import Outbox
from gateway.systemd import Notifier
from tests.conftest import line_document
from tests.gateway import confidential
from tests.processes import Daemon, free_port, simulator, until


class Manager:
    """A service manager's notify socket."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.said: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(str(path))

    def listen(self) -> list[str]:
        """All assignments so far."""
        while True:
            try:
                self.said += self._socket.recv(4096).decode().splitlines()
            except BlockingIOError:
                return self.said

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
async def manager(tmp_path: Path) -> AsyncIterator[Manager]:
    one = Manager(tmp_path / "notify")
    yield one
    one.close()


def under(manager: Manager, state: Path, **sections: object) -> Daemon:
    document = line_document(**sections)
    document["health"] = {"listen": f"127.0.0.1:{free_port()}"}
    document["devices"]["filler_plc"]["port"] = free_port()  # nobody listens there
    environment = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "600000"}
    return Daemon(state, document, environment=environment)


async def test_ready_without_a_plc_watched_reloaded_and_ended_in_order(tmp_path: Path, manager: Manager) -> None:
    one = under(manager, tmp_path)
    await one.start()
    await until(lambda: "READY=1" in manager.listen())
    await until(lambda: manager.listen().count("WATCHDOG=1") >= 5)
    await until(lambda: any(said.startswith("STATUS=0/1 devices, 1/1 uplinks") for said in manager.listen()))
    assert one.process is not None
    one.process.send_signal(signal.SIGHUP)
    await until(lambda: manager.listen().count("READY=1") == 2)
    assert await one.stop() == 0
    said = manager.listen()
    reloading = said.index("RELOADING=1")
    stamp = said[reloading + 1].removeprefix("MONOTONIC_USEC=")
    assert 0 < time.monotonic_ns() // 1000 - int(stamp) < 60_000_000
    assert said.index("READY=1") < reloading < said.index("READY=1", reloading) < said.index("STOPPING=1")
    assert [event["type"] for event in one.events()][-1] == "linegate.gateway.stopped.v1"


STUCK_LOOP = """
import os, time
from gateway.clock import EngineClock
looked = EngineClock.step

def waits_for_ever(self):
    while os.path.exists(os.environ["STUCK"]):
        open(os.environ["STUCK"] + ".seen", "w").close()
        time.sleep(0.01)
    return looked(self)

EngineClock.step = waits_for_ever
"""
"""A `sitecustomize` of the daemon: something on the loop does not return while this file exists, which it tells."""


async def test_watchdog_is_not_told_while_the_loop_is_stuck_and_its_signal_shows_where(
    tmp_path: Path, manager: Manager
) -> None:
    one = under(manager, tmp_path)
    place, stuck = tmp_path / "site", tmp_path / "stuck"
    place.mkdir()
    (place / "sitecustomize.py").write_text(STUCK_LOOP)
    path = os.pathsep.join([str(place), one.environment.get("PYTHONPATH", "")])
    one.environment |= {"PYTHONPATH": path, "STUCK": str(stuck)}
    await one.start()
    await until(lambda: "WATCHDOG=1" in manager.listen())
    seen = tmp_path / "stuck.seen"
    stuck.touch()
    await until(seen.exists)
    before = manager.listen().count("WATCHDOG=1")
    await asyncio.sleep(0.8)  # longer than the watchdog waits
    assert manager.listen().count("WATCHDOG=1") == before
    stuck.unlink()
    await until(lambda: manager.listen().count("WATCHDOG=1") > before)
    seen.unlink()
    stuck.touch()
    await until(seen.exists)
    assert one.process is not None
    one.process.send_signal(signal.SIGABRT)  # as systemd does then
    assert await asyncio.wait_for(one.process.wait(), 30) == -signal.SIGABRT
    assert "waits_for_ever" in one.log.read_text()


async def test_stop_waits_for_uplinks_and_pets_the_watchdog_a_second_signal_does_not(
    tmp_path: Path, manager: Manager
) -> None:
    uplinks = {"plant": {"type": "mqtt", "url": f"mqtt://127.0.0.1:{free_port()}"}}
    one = under(manager, tmp_path, uplinks=uplinks)
    await one.start()
    assert one.process is not None
    one.process.send_signal(signal.SIGTERM)
    await until(lambda: "STOPPING=1" in manager.listen())
    before = manager.listen().count("WATCHDOG=1")
    await until(lambda: manager.listen().count("WATCHDOG=1") >= before + 3)
    assert one.process.returncode is None
    one.process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    assert await asyncio.wait_for(one.process.wait(), 10) == 0
    assert time.monotonic() - began < 8  # well before the uplinks' own deadline


SICK_DISK = """
import os, sqlite3, time
from gateway.outbox import transaction
store, connect = transaction.write, sqlite3.connect

def write(*arguments):
    if os.path.exists(os.environ["DISK_HANGS"]):
        open(os.environ["DISK_HANGS"] + ".seen", "w").close()
        time.sleep(1000)
    if os.path.exists(os.environ["DISK_FULL"]):
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error
    store(*arguments)

def slowly(*arguments, **options):
    time.sleep(float(os.environ["DISK_SLOW"]))
    return connect(*arguments, **options)

transaction.write, sqlite3.connect = write, slowly
"""
"""A `sitecustomize` of the daemon: its disk hangs or is full once these files exist, and opens slowly."""


def sick(one: Daemon, slow: float = 0) -> Daemon:
    place = one.state / "site"
    place.mkdir()
    (place / "sitecustomize.py").write_text(SICK_DISK)
    files = {"DISK_HANGS": str(one.state / "hangs"), "DISK_FULL": str(one.state / "full")}
    path = os.pathsep.join([str(place), one.environment.get("PYTHONPATH", "")])
    one.environment |= {"PYTHONPATH": path, "DISK_SLOW": str(slow), **files}
    return one


async def test_watchdog_is_not_told_while_the_disk_hangs(tmp_path: Path, manager: Manager) -> None:
    """Nothing is stored then: better begun anew than alive in vain."""
    one = sick(under(manager, tmp_path))
    await one.start()
    await until(lambda: "WATCHDOG=1" in manager.listen())
    (tmp_path / "hangs").touch()
    document = json.loads(one.file.read_text())
    document["machines"]["filler"]["short_stop"] = "1min"
    one.file.write_text(json.dumps(document))
    assert one.process is not None
    one.process.send_signal(signal.SIGHUP)  # what it changes is to be stored
    await until((tmp_path / "hangs.seen").exists)

    async def is_silent() -> bool:
        before = manager.listen().count("WATCHDOG=1")
        await asyncio.sleep(1.0)  # longer than the watchdog waits
        return manager.listen().count("WATCHDOG=1") == before

    await until(is_silent)
    assert await is_silent()
    assert (await one.get("/health"))[0] in (200, 503)  # the loop turns all the same
    one.process.send_signal(signal.SIGABRT)  # as systemd does then
    assert await asyncio.wait_for(one.process.wait(), 30) == -signal.SIGABRT


@pytest.mark.parametrize("sickness", ["hangs", "full"])
async def test_a_sick_disk_does_not_hold_the_stop_nor_is_it_a_good_end(
    tmp_path: Path, manager: Manager, sickness: str
) -> None:
    one = sick(under(manager, tmp_path))
    await one.start()
    (tmp_path / sickness).touch()
    assert one.process is not None
    one.process.send_signal(signal.SIGTERM)
    await until(lambda: "STOPPING=1" in manager.listen())
    before = manager.listen().count("WATCHDOG=1")
    await until(lambda: manager.listen().count("WATCHDOG=1") >= before + 5)  # longer than the watchdog's patience
    assert one.process.returncode is None
    one.process.send_signal(signal.SIGTERM)
    before = manager.listen().count("WATCHDOG=1")
    assert await asyncio.wait_for(one.process.wait(), 15) == 1  # unhurried it would take 19 s
    assert "last_commit_failed" in one.log.read_text()
    if sickness == "hangs":
        assert manager.listen().count("WATCHDOG=1") >= before + 3, "to the end, and not to the end of the uplinks"
    (tmp_path / sickness).unlink()
    await one.start()
    assert await one.stop() == 0


async def test_systemd_is_told_again_and_again_that_the_buffer_takes_its_time(tmp_path: Path, manager: Manager) -> None:
    one = sick(under(manager, tmp_path), slow=2)
    await one.start(ready=False)
    await until(lambda: "READY=1" in manager.listen())
    said = manager.listen()
    assert said[: said.index("READY=1")].count("EXTEND_TIMEOUT_USEC=60000000") >= 3
    assert await one.stop() == 0
    said = manager.listen()
    assert "EXTEND_TIMEOUT_USEC=60000000" not in said[said.index("READY=1") :]


class Stuck:
    """Of an outbox only that it cannot be closed."""

    async def close(self, clean: bool = True) -> bool:
        await asyncio.Event().wait()
        return clean


@pytest.mark.parametrize("signals", [0, 2, 3])
async def test_closing_the_buffer_has_a_deadline(
    tmp_path: Path, line_config: Config, monkeypatch: pytest.MonkeyPatch, signals: int
) -> None:
    monkeypatch.setattr("gateway.app.HURRY_S", 0.1)
    if not signals:
        monkeypatch.setattr("gateway.app.CLOSE_S", 0.1)
    app = App(line_config, tmp_path, Notifier({}))
    for number in range(signals):
        asyncio.get_running_loop().call_later(0.1 + number / 100, app.stop, "asked to")
    async with asyncio.timeout(5):
        assert not await app._close_store(cast("Outbox", Stuck()), clean=True)


async def test_configuration_with_problems_is_refused_with_all_of_them(tmp_path: Path, manager: Manager) -> None:
    one = under(manager, tmp_path, machines={"filler": {"states": [{"state": "exeute"}]}}, buffer={})
    await one.start(ready=False)
    assert one.process is not None
    assert await asyncio.wait_for(one.process.wait(), 60) == 2
    said = one.log.read_text()
    assert "execute" in said
    assert "buffer" in said
    assert "READY=1" not in manager.listen()


async def test_state_directory_that_cannot_be_written(tmp_path: Path, manager: Manager) -> None:
    one = under(manager, tmp_path)
    one.file.write_text(json.dumps({**json.loads(one.file.read_text()), "buffer": {"path": "/proc/none/line.db"}}))
    await one.start(ready=False)
    assert one.process is not None
    assert await asyncio.wait_for(one.process.wait(), 60) == 1
    assert "not_started" in one.log.read_text()
    assert any(said.startswith("STATUS=not started: ") and "/proc/none" in said for said in manager.listen())


async def test_address_in_use_is_said_and_the_line_goes_on(tmp_path: Path, manager: Manager) -> None:
    one = under(manager, tmp_path)
    with socket.socket() as taken:
        host, port = one.url.removeprefix("http://").split(":")
        taken.bind((host, int(port)))
        taken.listen()
        await one.start(ready=False)
        await until(lambda: "READY=1" in manager.listen())
        await until(lambda: "endpoint_not_listening" in one.log.read_text())
        assert await one.stop() == 0


async def test_what_the_engine_cannot_bear_ends_the_daemon(tmp_path: Path, manager: Manager) -> None:
    """A checkpoint of a newer version: the daemon must not guess."""
    one = under(manager, tmp_path)
    await one.start()
    assert await one.stop() == 0
    import sqlite3

    with sqlite3.connect(tmp_path / "line-3.db") as database:
        database.execute("UPDATE checkpoint SET body = ? WHERE name = 'engine'", (msgpack.packb({"v": 99}),))
    database.close()
    await one.start(ready=False)
    assert one.process is not None
    assert await asyncio.wait_for(one.process.wait(), 60) == 1
    said = one.log.read_text()
    assert "the checkpoint is of version 99" in said
    assert "Traceback" not in said


async def test_no_secret_and_no_device_string_in_the_log_as_it_came(tmp_path: Path, manager: Manager) -> None:
    """Whatever takes a secret, also where servers repeat what they were told, and where it is in the wrong place."""
    async with simulator("--chaos", "off") as plc, confidential.parrot() as port:
        document = confidential.document(tmp_path, port)
        document["devices"]["filler_plc"]["port"] = plc.port
        environment = confidential.environment(tmp_path) | {"NOTIFY_SOCKET": str(manager.path)}
        one = Daemon(tmp_path, document, "--log-level", "DEBUG", environment=environment)
        await one.start(ready=False)
        servers = document["uplinks"].keys() - {"journal"}
        await until(lambda: all(f'"uplink": "{name}"' in one.log.read_text() for name in servers))
        await until(lambda: "endpoint_listening" in one.log.read_text() and one.events())
        paths = "/health", "/metrics", "/api/line?signals", "/api/events"
        answers = [await one.get(path, Authorization=f"Bearer {confidential.BY_FILE}") for path in paths]
        refusals = [await one.get(path, Authorization=f"Bearer {confidential.PASTED}") for path in paths]
        assert one.process is not None
        one.process.send_signal(signal.SIGTERM)
        one.process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(one.process.wait(), 60)
    assert [status for status, _ in answers + refusals] == [200] * 4 + [401] * 4
    said = [text for _, text in answers + refusals]
    for text in [one.log.read_text(), json.dumps(one.events()), *said, *manager.listen()]:
        assert confidential.MARK not in text.lower()
