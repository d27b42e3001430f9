"""Every event type: the data of each, and its JSON Schema.

Durations are seconds (`_s`), times RFC 3339 UTC, ratios plain numbers; unknown is null. Fields are only
ever added.
"""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from gateway.events import TYPE_VERSION
from gateway.schemas.daemon import (
    ConfigApplied,
    GatewayAlive,
    GatewayClock,
    GatewayGap,
    GatewayStarted,
    GatewayStopped,
)
from gateway.schemas.devices import DeviceTransition, SignalTransition, SignalTrend
from gateway.schemas.jobs import Job
from gateway.schemas.kpi import LineKpi, MachineKpi
from gateway.schemas.machines import CounterFaultData, MachineProduction, MachineState, MachineStop
from gateway.schemas.people import MachineMuted, MachineVerified, OperatorEntry

EVENT_DATA: dict[str, type] = {
    "machine.state": MachineState,
    "machine.stop": MachineStop,
    "machine.production": MachineProduction,
    "machine.kpi": MachineKpi,
    "line.kpi": LineKpi,
    "job.started": Job,
    "job.ended": Job,
    "counter.fault": CounterFaultData,
    "signal.trend": SignalTrend,
    "device.lost": DeviceTransition,
    "device.restored": DeviceTransition,
    "signal.quarantined": SignalTransition,
    "signal.restored": SignalTransition,
    "operator.entry": OperatorEntry,
    "machine.verified": MachineVerified,
    "machine.muted": MachineMuted,
    "gateway.started": GatewayStarted,
    "gateway.stopped": GatewayStopped,
    "gateway.gap": GatewayGap,
    "gateway.clock": GatewayClock,
    "gateway.alive": GatewayAlive,
    "config.applied": ConfigApplied,
}
"""Data by short event type."""


def event_schemas() -> dict[str, Any]:
    """JSON Schema of each type's data, by its `dataschema` name."""
    schemas = {}
    for kind, data in EVENT_DATA.items():
        name = f"urn:linegate:{kind}{TYPE_VERSION}"
        schema = TypeAdapter(data).json_schema()
        schemas[name] = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": name, **schema}
    return schemas
