"""From a URL and options to what is looked at, and what will be asked of it, in words; wrong use ends here."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

from pydantic import ValidationError

from protocols.modbus.config import ModbusRtuDevice, ModbusTcpDevice
from protocols.modbus.discover import MOST_REQUESTS, ModbusTarget, named
from protocols.opcua.address import parse_node
from protocols.settings import shown
from protocols.units import duration_text

PASSWORD_ENV = "LINEGATE_DISCOVER_PASSWORD"
"""The environment variable in which a password that was typed is kept while the command runs."""
SCHEMES = {
    "opc.tcp": "an OPC UA server, opc.tcp://192.168.0.10:4840",
    "eip": "a Logix controller, eip://192.168.0.10 or eip://192.168.0.10/SLOT",
    "modbus": "a Modbus TCP device, modbus://192.168.0.10 or modbus://192.168.0.10:502/UNIT",
    "rtu": "a serial line, rtu:/dev/ttyS0?baud=19200&parity=none",
}
"""What can be looked at, by the URL's scheme."""
USUAL_UNITS = (1, 255, 0)
"""Units that a Modbus TCP device is tried as, where none is given: what most have, and what stands for itself."""
USUAL_RANGE = "0-999"
ONLY_OPCUA = "--root, --policy, --mode, --user and certificates are for OPC UA servers"


class WrongUse(Exception):
    """Options that cannot be meant; the text says why."""


@dataclass(frozen=True, slots=True)
class Security:
    """How an OPC UA server is entered."""

    policy: str = "none"
    mode: str | None = None
    server_certificate: str | None = None
    user: str | None = None
    password_env: str | None = None
    allow_plain_password: bool = False


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says beside the URL and the wishes."""

    rate: float
    state_dir: Path
    root: str | None = None
    security: Security = Security()
    units: str | None = None
    """Of Modbus: `1-16,255`."""
    addresses: str | None = None
    """Of Modbus: `0-999`."""


@dataclass(frozen=True, slots=True)
class Target:
    """A device: its protocol and its section without signals; for OPC UA where to begin, for Modbus what to try."""

    url: str
    section: dict[str, Any]
    root: str | None = None
    state_dir: Path | None = None
    modbus: ModbusTarget | None = None

    @property
    def is_opcua(self) -> bool:
        """Whether it is an OPC UA server."""
        return bool(self.section["protocol"] == "opcua")


def target_of(url: str, options: Options) -> Target:
    """What a URL leads to. Raises WrongUse."""
    parts = _split(url)
    if parts.scheme in ("modbus", "rtu"):
        return _modbus(url, parts, options)
    if options.units is not None or options.addresses is not None:
        raise WrongUse("--units and --range are for Modbus")
    if parts.scheme == "opc.tcp":
        return _opcua(url, options)
    if parts.scheme == "eip":
        return _ethernet_ip(url, parts, options)
    raise WrongUse(f"{shown(url)} is nothing that discover can look at; there is {'; '.join(SCHEMES.values())}")


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises for what is no port
    except ValueError as error:
        raise WrongUse(f"{shown(url)} is not a URL: {error}") from None
    return parts


def _opcua(url: str, options: Options) -> Target:
    from protocols.opcua.config import OpcuaDevice

    security = options.security
    secured = {"policy": security.policy}
    if security.mode is not None:
        secured["mode"] = security.mode
    if security.server_certificate is not None:
        secured["server_certificate"] = str(Path(security.server_certificate).absolute())
    section: dict[str, Any] = {"protocol": "opcua", "endpoint": url, "security": secured}
    if security.user is not None:
        section["user"] = {"name": security.user, "password": {"env": security.password_env}}
        if security.allow_plain_password:
            section["user"]["allow_plain_password"] = True
    _check(OpcuaDevice, {**section, "signals": {"state": {"node": "i=2259"}}})
    try:
        if options.root is not None:
            parse_node(options.root)
    except ValueError as error:
        raise WrongUse(f"--root: {error}") from None
    return Target(url, section, options.root, options.state_dir)


def _ethernet_ip(url: str, parts: SplitResult, options: Options) -> Target:
    from protocols.ethernet_ip.config import EthernetIpDevice

    if options.root is not None or options.security != Security():
        raise WrongUse(ONLY_OPCUA)
    section: dict[str, Any] = {"protocol": "ethernet_ip", "host": parts.hostname or ""}
    if parts.port is not None:
        section["port"] = parts.port
    *route, slot = [piece for piece in parts.path.split("/") if piece] or ["0"]
    if len(route) % 2:
        if route[-1].lower() not in ("backplane", "bp", "1"):
            example = "eip://10.0.0.5/backplane/2/ip/10.1.1.5/0"
            raise WrongUse(f"{shown(url)}: a route is port and address in turn, and the slot behind it: {example}")
        route.pop()
    if route:
        section["route"] = "/".join(route)
    if not (slot == "none" or (slot.isascii() and slot.isdigit())):
        raise WrongUse(
            f"{shown(url)} ends with {shown(slot)}, which is no slot: a number, or none for what has no chassis"
        )
    section["slot"] = slot if slot == "none" else int(slot)
    _check(EthernetIpDevice, {**section, "signals": {"mode": {"tag": "identity:mode"}}})
    return Target(url, section)


def _modbus(url: str, parts: SplitResult, options: Options) -> Target:
    if options.root is not None or options.security != Security():
        raise WrongUse(ONLY_OPCUA)
    kind: type[ModbusTcpDevice | ModbusRtuDevice]
    if parts.scheme == "rtu":
        kind, unit = ModbusRtuDevice, ""
        section: dict[str, Any] = {"protocol": "modbus_rtu", "serial": {"path": parts.path, **_query(parts)}}
        if parts.netloc or not parts.path:
            raise WrongUse(f"{shown(url)} names no line; write it like {SCHEMES['rtu'].partition(', ')[2]}")
    else:
        kind, unit = ModbusTcpDevice, parts.path.strip("/")
        if parts.query:
            raise WrongUse(f"{shown(url)}: what is behind the ? is for serial lines, rtu:/dev/ttyS0?baud=19200")
        section = {"protocol": "modbus_tcp", "host": parts.hostname or ""}
        section |= {} if parts.port is None else {"port": parts.port}
    if unit and options.units is not None:
        raise WrongUse(f"{shown(url)} names a unit already: leave --units out")
    usual = USUAL_UNITS if parts.scheme == "modbus" else (1,)
    asked = unit or options.units
    units = usual if asked is None else _numbers("the unit" if unit else "--units", asked, 255)
    addresses = _numbers("--range", options.addresses or USUAL_RANGE, 65_535)
    if addresses != tuple(range(addresses[0], addresses[-1] + 1)):
        raise WrongUse("--range has a first and a last address: 0-999")
    for number in units:
        _check(kind, {**section, "unit_id": number, "signals": {"any": {"address": "coil:0"}}})
    only_first = not unit and options.units is None
    modbus = ModbusTarget(section, units, only_first, addresses[0], addresses[-1])
    return Target(url, section, modbus=modbus)


def _query(parts: SplitResult) -> dict[str, Any]:
    """A line's settings behind the path's `?`."""
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    return {key: int(text) if text.isascii() and text.isdigit() else text for key, text in pairs}


def _numbers(what: str, text: str, highest: int) -> tuple[int, ...]:
    """`1-16,255` as numbers."""
    numbers: list[int] = []
    for piece in text.split(","):
        match = re.fullmatch(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", piece.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last <= highest:
            raise WrongUse(f"{what} {shown(text)}: write numbers of 0 to {highest} like 1, 1-16 or 1-16,20")
        numbers += range(first, last + 1)
    return tuple(dict.fromkeys(numbers))


def _check(kind: Any, section: dict[str, Any]) -> None:
    """Raise WrongUse where a section is not one."""
    try:
        kind.model_validate(section)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        words = first["msg"].removeprefix("Value error, ")
        raise WrongUse(f"{where}: {words}" if where else words) from None


def asks(target: Target, options: Options) -> str:
    """What will be asked, said before anything is."""
    slowly = f"at most {options.rate:g} requests a second; nothing is written"
    if target.modbus is not None:
        return f"{target.url} will be asked {_asks_modbus(target.modbus, options.rate)}, {slowly}"
    if target.is_opcua:
        return f"{target.url} will be asked for its endpoints, then browsed and read over one session, {slowly}"
    return (
        f"{target.url} will be asked who it is, then for its tags, their types and values over one session with one "
        f"connection, {slowly}"
    )


def _asks_modbus(target: ModbusTarget, rate: float) -> str:
    if target.only_first and len(target.units) > 1:
        who = f"as unit {', then '.join(f'{unit}' for unit in target.units)}, until one answers"
    else:
        who = f"as {named(target.units)}"
    what = f"which of the addresses {target.first} to {target.last} of its four tables can be read"
    what = what if target.is_line else f"who it is, and {what}"
    end = ", and then it ends" if target.most == MOST_REQUESTS else ""
    least, most = (f"{count:,} requests ({_took(count, rate)})" for count in (target.fewest, target.most))
    requests = f"{least} where all can be read, at most {most} where nothing can{end}"
    return f"{who}: {what}, over one {'line' if target.is_line else 'connection'}: {requests}"


def _took(requests: int, rate: float) -> str:
    seconds = math.ceil(requests / rate)
    return duration_text(1000 * (seconds if seconds < 120 else 60 * math.ceil(seconds / 60)))
