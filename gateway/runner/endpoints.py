"""The endpoints of a configuration, and the runner of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.clock import EngineClock
from gateway.inputs import Input
from gateway.runner.device import DeviceRunner
from protocols.device import DeviceSettings
from protocols.driver import Driver, EndpointConfig, LinkStats
from protocols.registry import driver_class

if TYPE_CHECKING:
    from ext.table import SignalTable

Endpoint = tuple[str, str]
"""Protocol and name of a connection."""


def endpoints_of(devices: Mapping[str, Any]) -> dict[Endpoint, dict[str, DeviceSettings]]:
    """The devices behind each endpoint."""
    endpoints: dict[Endpoint, dict[str, DeviceSettings]] = {}
    for name, device in devices.items():
        endpoints.setdefault((device.protocol, device.endpoint), {})[name] = device
    return endpoints


def device_runner(
    endpoint: Endpoint,
    devices: Mapping[str, DeviceSettings],
    state_dir: Path,
    tables: Mapping[str, SignalTable],
    clock: EngineClock,
    submit: Callable[[Input], None],
) -> DeviceRunner:
    """One runner an endpoint, whatever the number of devices behind it."""
    config = EndpointConfig(endpoint[1], devices, state_dir)
    mine = {name: tables[name] for name in devices}
    make: Callable[[LinkStats], Driver] = partial(_make_driver, config, mine)
    return DeviceRunner(config, make, mine, clock, submit)


def _make_driver(endpoint: EndpointConfig, tables: Mapping[str, SignalTable], stats: LinkStats) -> Driver:
    first = next(iter(endpoint.devices.values()))
    return driver_class(first)(endpoint, tables, stats)
