"""The sections of a configuration, typed and frozen; what each key means stands beside it.

Descriptions become the generated reference and the JSON Schema. Names of the place are ISA-95's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    Field,
    model_validator,
)

from gateway.config.calendar import CalendarConfig as CalendarConfig
from gateway.config.flow import LinkConfig as LinkConfig
from gateway.config.flow import Machines, Topology, topology
from gateway.config.health import HealthConfig as HealthConfig
from gateway.config.kinds import alternatives
from gateway.config.parts import CounterConfig as CounterConfig
from gateway.config.parts import CycleConfig as CycleConfig
from gateway.config.parts import PartsConfig as PartsConfig
from gateway.config.policy import policy_digests
from gateway.config.recording import RecordingConfig as RecordingConfig
from gateway.config.states import ModeConfig as ModeConfig
from gateway.config.states import PackmlStateConfig as PackmlStateConfig
from gateway.config.states import ReasonConfig as ReasonConfig
from gateway.config.states import Reasons as Reasons
from gateway.config.states import SignalReason as SignalReason
from gateway.config.states import StateRule as StateRule
from gateway.config.trends import TrendConfig as TrendConfig
from gateway.config.uplinks import UplinkSettings as UplinkSettings
from gateway.config.work import Ideal
from gateway.config.work import IdealSignal as IdealSignal
from gateway.config.work import JobsConfig as JobsConfig
from gateway.config.work import ProductConfig as ProductConfig
from gateway.config.work import ProductsConfig as ProductsConfig
from gateway.states.packml import CategoryName, StateName
from gateway.uplinks.registry import UplinkConfig as UplinkConfig
from protocols.device import DeviceSettings
from protocols.registry import DEVICES, DeviceConfig
from protocols.secrets import Secret as Secret
from protocols.settings import (
    Duration,
    Keyed,
    Name,
    ReadOnlyDict,
    Settings,
    Size,
    ValueType,
    at_least,
    between,
    misplaced,
    none_or_at_least,
    shown,
)
from protocols.settings import TlsConfig as TlsConfig


def _place(text: str) -> str:
    if any(character in "/+#" or ord(character) < 32 for character in text):
        raise ValueError(
            f"{shown(text)} must not contain / + # or control characters: it becomes part of topics and paths"
        )
    return text


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{shown(text)} is not a time zone; write an IANA name like Europe/Berlin or UTC") from None
    return text


Place = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_place)]


class LineConfig(Settings):
    """Where the line is, in ISA-95's words."""

    enterprise: Place = Field(examples=["acme"])
    """The company."""
    site: Place = Field(examples=["berlin"])
    """The plant."""
    area: Place = Field(examples=["filling"])
    """The department or hall."""
    name: Place = Field(examples=["line-3"])
    """The line."""
    time_zone: Annotated[str, AfterValidator(_zone)] = "UTC"
    """IANA name; production dates are in it."""
    unit: Annotated[str, Field(min_length=1)] = "part"
    """What the line makes: part, bottle, case."""
    constraint: Name | None = Field(default=None, examples=["filler"])
    """The machine whose time is the line's; by default the slowest stage of the flow."""
    out: Machines | None = Field(default=None, examples=["[palletizer]"])
    """Machines where good parts leave the line; by default those that feed no other."""


class MachineConfig(Settings):
    """One machine: how its state is known and its parts are counted."""

    # lists become tuples: what is loaded stays as it was loaded
    states: Annotated[tuple[StateRule, ...], Field(min_length=1, strict=False)] = Field(
        default=(), examples=["[{state: execute, when: filler_plc.running}, {state: stopped}]"]
    )
    """Rules, evaluated top-down; the first that holds wins."""
    packml_state: PackmlStateConfig | None = Field(default=None, examples=["capper_plc.state"])
    """The PackML state as the PLC says it; beside `states` it decides where no rule holds."""
    parts: PartsConfig | None = None
    """Its counters."""
    cycle: CycleConfig | None = None
    """Where its PLC times its cycles; without it they are timed from one part to the next."""
    ideal: Ideal | None = Field(default=None, examples=["120/min"])
    """Ideal cycle time (`500ms`) or rate (`120/min`) of one part, or {signal: device.signal, unit: 1/min}."""
    mode: ModeConfig | None = Field(default=None, examples=["filler_plc.mode"])
    """Its mode: time in maintenance is setup, and planned only where the calendar says so."""
    categories: Keyed[StateName, CategoryName] = Field(
        default_factory=dict, validate_default=True, examples=["{complete: no_demand}"]
    )
    """What time in a state is accounted to, where that is not what its name suggests."""
    settle: Duration = 0
    """A state must hold this long to count; it then counts from when it was first seen."""
    no_output: Duration | None = None
    """So long without a part, execute is no production, from the last part on; 0 is never, by default 10 ideal cycles
    where there is a counter and an ideal. Parts that one scan shows together are allowed their ideal time more."""
    resume: Annotated[Duration, between("1s", "1h")] | None = None
    """A stop ends where production began that lasts this long; by default 10 ideal cycles, at least 10s."""
    short_stop: Duration = 120_000
    """A stop of the machine's own shorter than this is a minor stop, else a downtime."""
    minor_stops: Literal["performance", "availability"] = "performance"
    """Whose loss the time of minor stops is."""
    max_plausible: Annotated[float, Field(ge=1, le=100)] = 1.1
    """A performance beyond this is flagged `suspect_ideal`; it is published as it is."""
    reasons: Reasons = Field(default_factory=dict, validate_default=True)
    """Texts of this machine's reasons, by number or name."""

    def resume_ms(self, ideal_ms: float | None) -> int:
        """How long production must last to end a stop, with an ideal cycle time."""
        if self.resume is not None:
            return self.resume
        return 10_000 if ideal_ms is None else max(10_000, round(10 * ideal_ms))

    def no_output_ms(self, ideal_ms: float | None) -> int | None:
        """How long there may be no part with an ideal cycle time, or None where nothing says so."""
        has_parts = self.parts is not None and (self.parts.total is not None or self.parts.good is not None)
        if self.no_output is not None:
            return self.no_output if has_parts and self.no_output else None
        return None if ideal_ms is None or not has_parts else max(1, round(10 * ideal_ms))

    @model_validator(mode="after")
    def _check(self) -> MachineConfig:
        if all(rule.state is None for rule in self.states) and self.packml_state is None:
            words = "needs to know its state: `states`, for example [{state: execute, when: filler_plc.running}, "
            raise misplaced(words + "{state: stopped}], or `packml_state: capper_plc.state`")
        if self.cycle is not None and self.parts is None:
            raise misplaced("needs a counter beside it: `parts: {total: press_plc.shots}`", "cycle")
        return self


class KpiConfig(Settings):
    """When KPI windows are told."""

    grace: Annotated[Duration, between("0s", "10min")] = 5_000
    """From a window's end until it is told."""
    freeze: Annotated[Duration, between("1min", "31d")] = 72 * 3_600_000
    """From a window's end until it can't change any more; until then what is learned later reissues it."""


class BufferConfig(Settings):
    """Store-and-forward."""

    path: str = Field(min_length=1, examples=["line-3.db"])
    """The SQLite file, relative to the state directory."""
    max_size: Annotated[Size, at_least("1MB")] = 2_000_000_000
    """Most that its files may take, quarantine and write-ahead log included; the least important goes first."""
    min_free_disk: Size = 500_000_000
    """Disk space left to others: while there is less the buffer does not grow."""
    retain: Duration = 7 * 86_400_000
    """How long acknowledged events are kept."""
    commit_interval: Annotated[Duration, between("10ms", "10s")] = 100
    """How long an event may wait for the group commit."""
    samples: Annotated[Size, none_or_at_least("10MB")] = 200_000_000
    """Most that recent samples of all signals may take on the disk; the oldest go first. `0MB` keeps none."""


def _named_buffer(given: dict[str, Any]) -> BufferConfig:
    """The buffer of a line that says nothing of it; `given` is what could be read before."""
    line = given.get("line")
    return BufferConfig(path=f"{line.name if isinstance(line, LineConfig) else 'line'}.db")


DeviceEntry = Annotated[DeviceConfig, alternatives("a protocol", "protocol", DEVICES)]


class Config(Settings):
    """One line: its devices, its machines, and where its events go."""

    line: LineConfig = Field(examples=["{enterprise: acme, site: berlin, area: filling, name: line-3}"])
    """Where we are."""
    devices: Annotated[Keyed[Name, DeviceEntry], Field(min_length=1)] = Field(
        examples=["{filler_plc: {protocol: modbus_tcp, host: 192.168.0.10, signals: ...}}"]
    )
    """One PLC or other server of signals each."""
    machines: Keyed[Name, MachineConfig] = Field(default_factory=dict, validate_default=True)
    """In the order in which product flows."""
    flow: Annotated[tuple[LinkConfig, ...], Field(strict=False)] | None = Field(
        default=None, examples=["[{from: [filler], to: [labeler_a, labeler_b], capacity: 400}]"]
    )
    """Which machines feed which; by default each feeds the next. `[]` for machines that are independent."""
    products: ProductsConfig | None = None
    """What the line can make, and what makes it known; each machine has its own, which follows the flow."""
    jobs: JobsConfig | None = None
    """Which job the line works on, as signals say it."""
    reasons: Reasons = Field(default_factory=dict, validate_default=True)
    """Texts of reasons, or what is to be known of them, by number or name, for all machines."""
    calendar: CalendarConfig | None = None
    """When the line is meant to produce; without a calendar always."""
    kpi: KpiConfig = KpiConfig.model_construct()
    """When KPI windows are told."""
    trends: Keyed[str, TrendConfig] = Field(
        default_factory=dict, validate_default=True, examples=["{filler_plc.speed: {every: 1min}}"]
    )
    """What is sent of signals besides states and parts, by `device.signal`: condensed, never raw."""
    recording: RecordingConfig | None = Field(default=None, examples=["{path: recordings}"])
    """All that the daemon reads, for `linegate replay`; off where it is left out."""
    buffer: BufferConfig = Field(default_factory=_named_buffer, examples=["{path: line-3.db}"])
    """Store-and-forward; a file with the line's name where it is left out."""
    uplinks: Keyed[Name, UplinkConfig] = Field(default_factory=dict, validate_default=True)
    """Each gets every event, at its own pace."""
    health: HealthConfig = HealthConfig.model_construct()
    """The local endpoint."""

    @cached_property
    def digest(self) -> str:
        """Names what is configured, whatever its spelling and order of keys in the file: 16 hex digits of SHA-256.

        The order of machines is part of it, for it is the order in which product flows; so is that of rules.
        """
        content = {"machine_order": list(self.machines), **self.model_dump(mode="json", by_alias=True)}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @cached_property
    def topology(self) -> Topology:
        """How product flows through the line."""
        return topology(list(self.machines), self.flow, self.line.out)

    @cached_property
    def policies(self) -> dict[str, str]:
        """Digest of the rules by which each machine's KPIs are computed."""
        return policy_digests(self)

    @property
    def source(self) -> str:
        """The CloudEvents source: `/enterprise/site/area/line`, percent-encoded."""
        place = (self.line.enterprise, self.line.site, self.line.area, self.line.name)
        return "".join("/" + quote(part, safe="") for part in place)

    @property
    def signal_types(self) -> dict[str, ValueType | None]:
        """The type of every `device.signal`; None where only the device knows it."""
        return signal_types(self.devices)

    @property
    def signal_texts(self) -> dict[str, Mapping[int | str, str]]:
        """The texts of every `device.signal` that has any, by number."""
        texts = ReadOnlyDict(
            {code: one if isinstance(one, str) else one.text for code, one in self.reasons.items()}.items()
        )
        return {
            f"{device}.{name}": texts if isinstance(signal.texts, str) else ReadOnlyDict(signal.texts.items())
            for device, settings in self.devices.items()
            for name, signal in settings.signal_settings.items()
            if signal.texts is not None
        }


def signal_types(devices: Mapping[str, DeviceSettings]) -> dict[str, ValueType | None]:
    """The type of every `device.signal` of some devices; None where only the device knows it."""
    return {
        f"{device}.{name}": signal.value_type
        for device, settings in devices.items()
        for name, signal in settings.signal_settings.items()
    }
