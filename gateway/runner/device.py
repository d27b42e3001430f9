"""Runs one endpoint's driver: connects, reads, stamps, and begins again with a new driver after any loss."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import structlog

from gateway.clock import EngineClock
from gateway.inputs import DeviceState, Input
from gateway.runner.backoff import Backoff
from gateway.runner.cancellation import raise_if_cancelled
from protocols.driver import ConfigError, Driver, EndpointConfig, LinkError, LinkStats, NotConnected
from protocols.model import Batch, Learned

if TYPE_CHECKING:
    from ext.table import SignalTable

CONNECT_S = 20.0
PROGRESS_S = 60.0
"""Beyond the longest scan interval: a `read` that takes longer is stuck, and its driver is replaced."""
CLOSE_S = 5.0
CONFIG_RETRY_S = 60.0
SILENT_REMEDY = "see the signals' `why`; check the unit_id and the device's power and line"

log = structlog.get_logger("device")


class DeviceRunner:
    """One endpoint and its devices, for ever. Lets nothing out but cancellation."""

    def __init__(
        self,
        endpoint: EndpointConfig,
        make_driver: Callable[[LinkStats], Driver],
        tables: Mapping[str, SignalTable],
        clock: EngineClock,
        submit: Callable[[Input], None],
    ) -> None:
        self.endpoint = endpoint
        self.stats = LinkStats()
        self.reconnects = 0
        self.why = "not connected yet"
        self.remedy = ""
        self.last_batch: float | None = None
        """Monotonic time of the last scan, for the age of data."""
        self._make_driver = make_driver
        self._tables = {name: tables[name] for name in endpoint.devices}
        self._clock = clock
        self._submit = submit
        self._learned: dict[str, Mapping[int, Learned]] = {}
        """What devices said of their signals while none of their values could be used."""
        self._up: dict[str, bool | None] = dict.fromkeys(endpoint.devices)
        self._backoff = Backoff()
        longest = max(interval for device in endpoint.devices.values() for interval, _ in device.scan_classes)
        self._progress_s = PROGRESS_S + longest / 1000

    def is_up(self, device: str) -> bool:
        """Whether the device delivers values."""
        return self._up[device] is True

    @property
    def round_trip_ms(self) -> float | None:
        """Duration of the last scan's requests; None where none has been measured: some devices speak by themselves."""
        took = self.stats.round_trip_ms
        return None if took is None else round(took, 3)

    def counts(self) -> dict[str, int]:
        """What is counted about the connection."""
        stats = self.stats
        return {
            "requests": stats.requests,
            "request_errors": stats.request_errors,
            "garbled": stats.garbled,
            "timeouts": stats.timeouts,
            "overruns": stats.overruns,
            "dropped": stats.dropped,
            "skewed": stats.skewed,
            "bytes_read": stats.bytes_read,
            "reconnects": self.reconnects,
        }

    async def run(self) -> None:
        """Connect and read until cancelled."""
        while True:
            try:
                await self._one_connection()
            except ConfigError as error:
                self._lost(error.why, error.remedy)
                await asyncio.sleep(CONFIG_RETRY_S)
                continue
            except LinkError as error:
                self._lost(error.why, error.remedy)
            except TimeoutError:
                self._lost("the driver made no progress", "see the log; the driver has been replaced")
            except Exception as error:  # the runner's one catch-all: a driver's bug costs its endpoint
                log.exception("driver_failed", endpoint=self.endpoint.name)
                self._lost(f"internal error: {type(error).__name__}", "please report the traceback in the log")
            raise_if_cancelled()
            self.reconnects += 1
            await asyncio.sleep(self._backoff.next())

    async def _one_connection(self) -> None:
        driver = self._make_driver(self.stats)
        try:
            async with asyncio.timeout(CONNECT_S):
                await driver.connect()
            while True:
                async with asyncio.timeout(self._progress_s):
                    batch = await driver.read()
                raise_if_cancelled()
                self._pass_on(batch)
        finally:
            await self._close(driver)

    async def _close(self, driver: Driver) -> None:
        try:
            async with asyncio.timeout(CLOSE_S):
                await driver.close()
        except Exception as error:  # noqa: BLE001 - what fails to close is thrown away all the same
            log.debug("close_failed", endpoint=self.endpoint.name, error=repr(error))

    def _pass_on(self, batch: Batch) -> None:
        if batch.device not in self._up:
            raise NotConnected(f"the driver names a device that it does not have: {batch.device}")
        self.last_batch = time.monotonic()
        if batch.learned is not None:
            self._learned[batch.device] = batch.learned
        if not self._up[batch.device]:
            if not self._tables[batch.device].good:
                return  # it answers, but not one value can be used: it is not back
            self._back(batch.device)
        batch.at = self._clock.now()
        batch.learned = self._learned.pop(batch.device, None)
        self._submit(batch)
        if not self._tables[batch.device].good:
            self._gone(batch.device, "the connection stands, but not one of its values can be read", SILENT_REMEDY)

    def _back(self, device: str) -> None:
        if self._up[device] is False:
            log.info("device_restored", device=device, endpoint=self.endpoint.name)
        else:
            log.info("device_connected", device=device, endpoint=self.endpoint.name)
        self._up[device] = True
        self._backoff.reset()
        self.why = self.remedy = ""
        self._submit(DeviceState(device, True, self._clock.now(), self.endpoint.name))

    def _lost(self, why: str, remedy: str) -> None:
        self.why, self.remedy = why, remedy
        for device, table in self._tables.items():
            table.fail_all(why)
            table.take()
            self._gone(device, why, remedy)

    def _gone(self, device: str, why: str, remedy: str) -> None:
        """A device delivers nothing any more: said once."""
        if self._up[device] is not False:
            self._up[device] = False
            log.warning("device_lost", device=device, endpoint=self.endpoint.name, why=why, remedy=remedy)
            self._submit(DeviceState(device, False, self._clock.now(), self.endpoint.name, why, remedy))
