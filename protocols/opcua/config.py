"""What an OPC UA device may say in the configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from protocols.device import DeviceSettings, SignalSettings
from protocols.opcua.address import (
    Address,
    Member,
    NodeAddress,
    is_element,
    parse_index,
    parse_member,
    parse_node,
)
from protocols.opcua.security_config import SecurityConfig, UserConfig, exposed_password
from protocols.settings import Duration, Keyed, Name, ValueType, between, counted, duration_text, misplaced, shown
from protocols.typed import TypedSignal

DEFAULT_PORT = 4840
"""Registered for opc.tcp (IANA)."""

_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,9})?)\s*%")


def _deadband(written: object) -> tuple[str, float]:
    """What the server is asked for: `0.5` or `2%`; a section that is loaded already passes as it is."""
    match written:
        case ("absolute" | "percent" as kind, float(size)):
            return kind, size
        case bool():
            pass
        case int() | float() if 0.0 < written < float("inf"):
            return "absolute", float(written)
        case str() if (match := _PERCENT.fullmatch(written.strip())) and 0.0 < float(match[1]) <= 100.0:
            return "percent", float(match[1])
    words = "expected a distance in the server's unit like 0.5, or a part of the node's EURange like 2%"
    raise ValueError(f"{words}; found {shown(written)}")


ServerDeadband = Annotated[
    tuple[str, float],
    BeforeValidator(_deadband),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0},
                {"type": "string", "pattern": f"^{_PERCENT.pattern}$"},
            ],
            "examples": ["2%"],
        }
    ),
]
_OF_NODES = {"index", "member", "queue_size", "server_deadband", "bits", "scale", "offset", "invalid", "texts"}

Index = Annotated[
    str,
    BeforeValidator(parse_index),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9:,]+$"}], "examples": [3]}
    ),
]


class OpcuaSignal(TypedSignal):
    """One variable of an OPC UA server, or what is wrong there."""

    node: str | None = Field(default=None, examples=["nsu=urn:acme:capper;s=Status.StateCurrent"])
    """`nsu=URI;s=...` (`i=`, `g=`, `b=`), or a path `/Objects/nsu=URI;Line/2:Speed`; an index (`ns=2`) may shift."""
    alarms: str | None = Field(default=None, examples=["i=2253"])
    """In place of `node`, a notifier: the message of its most severe active condition, empty where there is none."""
    index: Index | None = None
    """Element of an array, counted from 0: `3`; `"1,2"` of two dimensions; `"2:5"` is a text of several."""
    member: str | None = Field(default=None, min_length=1, examples=["Axes[2].Position"])
    """Member of a structure, by its names."""
    queue_size: int | None = Field(default=None, ge=1, le=100_000)
    """The device's where it is left out."""
    server_deadband: ServerDeadband | None = None
    """The server holds back smaller changes, from rules too: in its own unit, or in percent of the node's EURange."""

    @field_validator("node", "alarms")
    @classmethod
    def _check_node(cls, node: str | None) -> str | None:
        if node is not None:
            parse_node(node)
        return node

    @field_validator("member")
    @classmethod
    def _check_member(cls, member: str | None) -> str | None:
        if member is not None:
            parse_member(member)
        return member

    @model_validator(mode="after")
    def _check_place(self) -> Self:
        if (self.node is None) == (self.alarms is None):
            words = "needs either a `node`, for example nsu=urn:acme:capper;s=Torque, or `alarms`"
            raise misplaced(words, *(["alarms"] if self.alarms else []))
        if self.alarms is not None:
            if wrong := sorted(_OF_NODES & self.model_fields_set):
                raise misplaced("alarms are a text; leave this out", wrong[0])
            if self.type not in (None, "string"):
                raise misplaced(f"alarms are a text, not {self.type}; leave the type out", "type")
        return self

    @property
    def is_alarm(self) -> bool:
        """Whether it is a notifier's most severe active condition."""
        return self.alarms is not None

    @property
    def place(self) -> str:
        """The node, with the element or member of it."""
        index = "" if self.index is None else f"[{self.index}]"
        return f"{self.node or self.alarms}{index}{'' if self.member is None else f' {self.member}'}"

    @property
    def address(self) -> Address:
        """The node, parsed."""
        return parse_node(self.node or self.alarms or "")

    @property
    def steps(self) -> Member:
        """The steps to its member of a structure; none where it is no member."""
        return () if self.member is None else parse_member(self.member)

    @property
    def value_type(self) -> ValueType | None:
        """The type of the value, as far as the configuration says."""
        if self.alarms is not None or (self.index is not None and not is_element(self.index)):
            return "text"
        return super().value_type


def _check_endpoint(url: str) -> str:
    example = "opc.tcp://192.168.0.10:4840/plant"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"{shown(url)} is not a URL with a port of 1..65535; write it like {example}") from None
    if parts.scheme != "opc.tcp":
        raise ValueError(f"{shown(url)} is not an endpoint of OPC UA over TCP; write it like {example}")
    if not host or re.search(r"\s", url):
        raise ValueError(f"{shown(url)} names no host; write it like {example}")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL has no user here; write `user: {name: ..., password: {credential: ...}}`")
    if parts.port == 0:
        raise ValueError(f"{shown(url)}: a port is 1 to 65535")
    return url


class OpcuaDevice(DeviceSettings):
    """An OPC UA server, or a part of one."""

    protocol: Literal["opcua"] = Field(examples=["opcua"])
    """OPC UA over opc.tcp (OPC 10000)."""
    url: Annotated[str, AfterValidator(_check_endpoint)] = Field(
        alias="endpoint", max_length=4096, examples=["opc.tcp://192.168.0.10:4840"]
    )
    """The server's URL; devices with the same one share a session."""
    security: SecurityConfig = SecurityConfig.model_construct(policy="none")
    """How messages are secured."""
    user: UserConfig | None = Field(default=None, examples=["{name: gateway, password: {credential: capper_password}}"])
    """As whom the gateway logs in; anonymous where it is left out."""
    mode: Literal["subscribe", "poll"] = "subscribe"
    """subscribe: the server reports what changed; poll: everything is read in each scan."""
    publishing_interval: Annotated[Duration, between("10ms", "1h")] | None = None
    """Time between two reports of a subscription; the scan interval where it is left out."""
    queue_size: int = Field(default=10, ge=1, le=100_000)
    """Values of a signal that the server keeps for one report; the oldest go first."""
    timestamps: Literal["source", "server", "gateway"] = "source"
    """Whose clock says when a value was: the data source's, the server's, or the gateway's, on receipt."""
    max_skew: Annotated[Duration, between("1s", "7d")] = 3_600_000
    """How far a server's time may be from the gateway's; one that is farther off is not used."""
    signals: Annotated[Keyed[Name, OpcuaSignal], Field(min_length=1)] = Field(
        examples=['{state: {node: "nsu=urn:acme:capper;s=Status.StateCurrent"}}']
    )
    """The signals by name."""

    @field_validator("publishing_interval")
    @classmethod
    def _check_publishing(cls, interval: int | None, info: ValidationInfo) -> int | None:
        if interval is not None and info.data.get("mode") == "poll":
            raise ValueError("nothing is published in mode poll; leave it out")
        return interval

    @model_validator(mode="after")
    def _check_password(self) -> Self:
        if (problem := exposed_password(self.security, self.user)) is not None:
            raise problem
        return self

    @property
    def endpoint(self) -> str:
        """The server's URL."""
        return self.url

    @property
    def transport(self) -> Mapping[str, Any]:
        """The protocol and the session's security."""
        security = {f"security.{key}": getattr(self.security, key) for key in type(self.security).model_fields}
        user = {f"user.{key}": getattr(self.user, key, None) for key in UserConfig.model_fields}
        return {"protocol": self.protocol, **security, **user}

    @property
    def identity(self) -> str:
        """The endpoint and a node of the device: several devices may be parts of one server."""
        return f"{self.url} {min(signal.node or '' for signal in self.signals.values())}".rstrip()

    @property
    def host(self) -> str:
        """Name or address alone."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """TCP port."""
        return urlsplit(self.url).port or DEFAULT_PORT

    def asks(self, interval_ms: int, signals: int) -> str:
        """A subscription, or reads."""
        if self.mode == "poll":
            return f"{counted(signals, 'registered node')} read at once, or as many at a time as the server takes"
        sampled, told = duration_text(interval_ms), duration_text(self.publishing_interval or interval_ms)
        return f"a subscription to {counted(signals, 'node')}, sampled every {sampled}, told every {told}"

    @property
    def signal_settings(self) -> Mapping[str, SignalSettings]:
        """The signals by name, in the order of the file."""
        return self.signals

    @property
    def notes(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Nodes whose namespace is given by its index, which a restart of the server may change."""
        for name, signal in self.signals.items():
            address = signal.address
            steps = [address.namespace] if isinstance(address, NodeAddress) else [n for n, _ in address.names]
            if any(isinstance(namespace, int) and namespace > 0 for namespace in steps):
                key = "node" if signal.alarms is None else "alarms"
                words = (
                    "a namespace's index may be another one after the server's restart; name it by its URI (nsu=...)"
                )
                yield ("signals", name, key), words
