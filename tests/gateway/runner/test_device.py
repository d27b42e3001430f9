"""The device runner: one connection at a time, a new driver after any loss, one line of log each way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from structlog.testing import capture_logs

import gateway.runner.device as runner_module
from ext.table import SignalTable
from gateway.clock import EngineClock
from gateway.inputs import DeviceState, Input
from gateway.runner.backoff import Backoff
from gateway.runner.device import DeviceRunner
from protocols.driver import ConfigError, ConnectFailed, EndpointConfig, LinkStats, NotConnected
from protocols.modbus.config import ModbusTcpDevice
from protocols.modbus.driver import ModbusDriver
from protocols.model import Batch
from protocols.simulated.machine import CALM, Filler
from protocols.simulated.modbus import ModbusPlc
from protocols.simulated.registers import FillerUnit
from tests.conftest import FILLER_SIGNALS
from tests.mangler import Mangler
from tests.processes import until


class Line:
    """A runner at work, and what it submitted."""

    def __init__(self, port: int, make: Callable[[Line, LinkStats], Any] | None = None) -> None:
        settings = {
            "protocol": "modbus_tcp",
            "host": "127.0.0.1",
            "port": port,
            "scan_interval": "20ms",
            "timeout": "300ms",
        }
        device = ModbusTcpDevice.model_validate({**settings, "signals": FILLER_SIGNALS})
        self.endpoint = EndpointConfig(f"127.0.0.1:{port}", {"filler_plc": device})
        self.tables = {"filler_plc": SignalTable(FILLER_SIGNALS)}
        for number in range(len(FILLER_SIGNALS)):
            self.tables["filler_plc"].forward(number)
        self.inputs: list[Input] = []
        build = make or (lambda line, stats: ModbusDriver(line.endpoint, line.tables, stats))
        self.runner = DeviceRunner(
            self.endpoint, lambda stats: build(self, stats), self.tables, EngineClock(), self.inputs.append
        )

    def states(self) -> list[bool]:
        return [one.connected for one in self.inputs if isinstance(one, DeviceState)]

    def batches(self) -> list[Batch]:
        return [one for one in self.inputs if isinstance(one, Batch)]


@asynccontextmanager
async def running(line: Line) -> AsyncIterator[list[Any]]:
    with capture_logs() as logs:
        task = asyncio.create_task(line.runner.run())
        try:
            yield logs
            assert not task.done(), task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def plc() -> AsyncIterator[ModbusPlc]:
    filler = Filler(1, CALM)
    one = ModbusPlc({1: FillerUnit(filler)}, lambda: 0)
    await one.start()
    yield one
    await one.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of tests are short."""
    monkeypatch.setattr(Backoff, "next", lambda _: 0.02)
    monkeypatch.setattr(runner_module, "CONFIG_RETRY_S", 0.05)


async def test_first_batch_says_that_the_device_is_there(plc: ModbusPlc) -> None:
    line = Line(plc.port)
    async with running(line) as logs:
        await until(lambda: len(line.batches()) >= 3)
    assert isinstance(line.inputs[0], DeviceState)
    assert line.states() == [True]
    assert len(line.batches()[0].changes) == len(FILLER_SIGNALS)
    assert all(before.at <= after.at for before, after in zip(line.inputs, line.inputs[1:], strict=False))
    assert [log["event"] for log in logs] == ["device_connected"]


async def test_one_connection_at_a_time_and_the_old_one_is_closed(plc: ModbusPlc) -> None:
    async with Mangler(plc.port) as mangler:
        line = Line(mangler.port)

        def is_up_again(connections: int) -> bool:
            return line.runner.is_up("filler_plc") and mangler.connections == connections and mangler.open == 1

        async with running(line) as logs:
            for connections in range(1, 4):
                await until(partial(is_up_again, connections))
                mangler.drop()
            await until(partial(is_up_again, 4))
        assert line.states() == [True, False, True, False, True, False, True]
        assert [log["event"] for log in logs] == ["device_connected", *["device_lost", "device_restored"] * 3]


async def test_loss_makes_every_signal_bad_and_is_said_once(plc: ModbusPlc) -> None:
    line = Line(plc.port)
    async with running(line) as logs:
        await until(lambda: line.runner.is_up("filler_plc"))
        plc.refuse()
        plc.drop()
        await until(lambda: line.runner.reconnects >= 5)
        assert line.tables["filler_plc"].good == 0
        await plc.accept()
        await until(lambda: line.runner.is_up("filler_plc"))
        await until(lambda: len(line.batches()[-1].changes) == 0)
    assert line.states() == [True, False, True]
    lost = [one for one in line.inputs if isinstance(one, DeviceState) and not one.connected]
    assert lost[0].why
    assert [log["event"] for log in logs].count("device_lost") == 1


async def test_silence_is_a_loss_and_does_not_flap(plc: ModbusPlc) -> None:
    line = Line(plc.port)
    async with running(line):
        await until(lambda: line.runner.is_up("filler_plc"))
        plc.muted = True
        await until(lambda: line.runner.reconnects >= 2)
        plc.muted = False
        await until(lambda: line.runner.is_up("filler_plc"))
    assert line.states() == [True, False, True]


class Failing:
    """A driver that does one thing wrong; what is under test is its runner."""

    def __init__(self, fails: Callable[[], Awaitable[Any]], where: str) -> None:
        self._fails = fails
        self._where = where
        self.closed = 0

    async def connect(self) -> None:
        if self._where == "connect":
            await self._fails()

    async def read(self) -> Batch:
        if self._where == "read":
            await self._fails()
        return Batch("another_plc")

    async def close(self) -> None:
        self.closed += 1
        if self._where == "close":
            await self._fails()


async def forever() -> None:
    await asyncio.Event().wait()


def raising(error: Exception) -> Callable[[], Awaitable[None]]:
    async def fails() -> None:
        raise error

    return fails


@pytest.mark.parametrize("where", ["connect", "read", "close"])
@pytest.mark.parametrize(
    ("error", "why"),
    [
        (ConnectFailed("refused", "switch it on"), "refused"),
        (NotConnected("gone"), "gone"),
        (ConfigError("other types", "mend the file"), "other types"),
        (ZeroDivisionError("bug"), "internal error: ZeroDivisionError"),
        (None, "the driver made no progress"),
    ],
)
async def test_whatever_a_driver_does_its_runner_goes_on(
    error: Exception | None, why: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("CONNECT_S", "CLOSE_S"):
        monkeypatch.setattr(runner_module, limit, 0.05)
    monkeypatch.setattr(runner_module, "PROGRESS_S", 0.03)
    drivers: list[Failing] = []

    def make(_: Line, __: LinkStats) -> Failing:
        drivers.append(Failing(forever if error is None else raising(error), where))
        return drivers[-1]

    line = Line(1, make)
    async with running(line):
        await until(lambda: len(drivers) >= 3)
    assert all(driver.closed == 1 for driver in drivers)
    assert line.states() == [False]
    assert line.runner.why == (
        why if where != "close" else "the driver names a device that it does not have: another_plc"
    )


async def test_stuck_driver_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "PROGRESS_S", 0.03)
    made = []

    def make(_: Line, __: LinkStats) -> Failing:
        made.append(Failing(forever, "read"))
        return made[-1]

    line = Line(1, make)
    async with running(line) as logs:
        await until(lambda: len(made) >= 3)
    assert [log["event"] for log in logs] == ["device_lost"]
    assert logs[0]["why"] == "the driver made no progress"


async def test_cancellation_that_a_library_swallowed_still_ends_the_runner(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Python 3.11's `wait_for` does where a reply and the cancellation come together."""
    swallowed = asyncio.Event()

    class Swallowing(Failing):
        async def read(self) -> Batch:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallowed.set()
            return Batch("filler_plc")

    line = Line(1, lambda _, __: Swallowing(forever, "never"))
    task = asyncio.create_task(line.runner.run())
    await asyncio.sleep(0)
    await until(lambda: task._fut_waiter is not None)  # type: ignore[attr-defined]
    task.cancel()
    async with asyncio.timeout(5):
        await asyncio.gather(task, return_exceptions=True)
    assert swallowed.is_set()
    assert task.cancelled()


async def test_device_of_which_nothing_can_be_read_is_lost_though_connected(plc: ModbusPlc) -> None:
    line = Line(plc.port)
    unit = plc._units[1]
    async with running(line) as logs:
        await until(lambda: line.runner.is_up("filler_plc"))
        plc._units = {}  # the gateway before it answers: target failed to respond
        await until(lambda: not line.runner.is_up("filler_plc"))
        plc._units = {1: unit}
        await until(lambda: line.runner.is_up("filler_plc"))
    assert line.states() == [True, False, True]
    assert [log["event"] for log in logs] == ["device_connected", "device_lost", "device_restored"]
