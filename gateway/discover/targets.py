"""From a URL and options to what is looked at, and what will be asked of it, in words; wrong use ends here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import SplitResult, urlsplit

from pydantic import ValidationError

from protocols.opcua.address import parse_node
from protocols.settings import shown

SCHEMES = {
    "opc.tcp": "an OPC UA server: opc.tcp://192.168.0.10:4840",
}
NAMED_ELSEWHERE = {"modbus": "Modbus", "rtu": "Modbus"}


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


@dataclass(frozen=True, slots=True)
class OpcuaUrl:
    """A server, and the device's section without its signals."""

    url: str
    section: dict[str, Any]
    root: str | None
    state_dir: Path


Target: TypeAlias = OpcuaUrl


def target_of(url: str, options: Options) -> Target:
    """What a URL leads to. Raises WrongUse."""
    parts = _split(url)
    if parts.scheme == "opc.tcp":
        return _opcua(url, options)
    there = "; ".join(SCHEMES.values())
    raise WrongUse(f"{shown(url)} is nothing that discover can look at; there is {there}")


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises for what is no port
    except ValueError as error:
        raise WrongUse(f"{shown(url)} is not a URL: {error}") from None
    return parts


def _opcua(url: str, options: Options) -> OpcuaUrl:
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
    try:
        OpcuaDevice.model_validate({**section, "signals": {"state": {"node": "i=2259"}}})
        if options.root is not None:
            parse_node(options.root)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise WrongUse(f"{where}: {first['msg'].removeprefix('Value error, ')}" if where else first["msg"]) from None
    except ValueError as error:
        raise WrongUse(f"--root: {error}") from None
    return OpcuaUrl(url, section, options.root, options.state_dir)


def asks(target: Target, options: Options) -> str:
    """What will be asked, said before anything is."""
    return (
        f"{target.url} will be asked for its endpoints, then browsed and read over one session, "
        f"at most {options.rate:g} requests a second; nothing is written"
    )
