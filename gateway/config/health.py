"""The local endpoint: where it listens, what it wants of who comes from elsewhere, and who may enter: `health:`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from gateway.config.uplinks import LOOPBACK
from protocols.driver import ConfigError
from protocols.secrets import Secret
from protocols.settings import Settings, TlsConfig, misplaced, shown

LONGEST_NAME = 64
SHORTEST_PIN = 4


class Pin(Secret):
    """A secret that a person types."""

    @classmethod
    def of(cls, secret: Secret) -> Pin:
        """The same place."""
        return cls.model_construct(**dict(secret))

    def resolve(self, environ: Mapping[str, str] | None = None) -> str:
        """The PIN itself. Raises ConfigError where it is too short, too."""
        pin = super().resolve(environ)
        if len(pin) < SHORTEST_PIN:
            raise ConfigError(f"the PIN in {self.place} is too short", f"a PIN has at least {SHORTEST_PIN} characters")
        return pin


class OperatorConfig(Settings):
    """Somebody who says what machines cannot: reasons, notes, scrap, jobs, the crew; or a display that only looks."""

    name: str = Field(min_length=1, max_length=LONGEST_NAME, examples=["anna"])
    """As it stands in the entries; no name twice, whatever its capitals."""
    pin: Annotated[Secret, AfterValidator(Pin.of)] = Field(examples=["{credential: anna_pin}"])
    """Where the personal PIN is, at least 4 characters; one that is missing or shorter lets nobody enter by it."""
    role: Literal["operator", "supervisor", "viewer"] = "operator"
    """operator: enters, and takes back what was entered under that name; supervisor: takes back anybody's;
    viewer: sees all and enters nothing, for a display on a wall."""

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if name != name.strip() or not name.isprintable() or ":" in name:
            raise ValueError(f"{shown(name)} is no name: no colon, no control characters, no blanks around it")
        return name


class HealthConfig(Settings):
    """The local endpoint. Beyond loopback it wants TLS and a token, and does not listen without them."""

    listen: str = "127.0.0.1:8480"
    """Address and port; port 0 picks a free one, `off` opens none."""
    tls: TlsConfig | None = Field(default=None, examples=["{certificate: /etc/linegate/ipc.pem, private_key: ...}"])
    """The endpoint's own certificate and key, PEM; with `ca` only clients that it has certified are let in."""
    token: Secret | None = Field(default=None, examples=["{credential: health_token}"])
    """What everybody must bring for everything but /livez: `Authorization: Bearer ...`; who has it may do all."""
    operators: Annotated[tuple[OperatorConfig, ...], Field(strict=False)] = Field(
        default=(), examples=["[{name: anna, pin: {credential: anna_pin}}]"]
    )
    """Who may enter, each with a PIN, on loopback too; without any, whoever may see the line, under any name."""

    @field_validator("listen")
    @classmethod
    def _check_listen(cls, listen: str) -> str:
        if listen == "off":
            return listen
        host, _, port = listen.rpartition(":")
        if not host or not re.fullmatch("[0-9]{1,5}", port) or int(port) > 65535:
            raise ValueError(f"{shown(listen)} is not an address with a port; write 127.0.0.1:8480")
        return listen

    @field_validator("operators")
    @classmethod
    def _check_operators(cls, operators: tuple[OperatorConfig, ...]) -> tuple[OperatorConfig, ...]:
        names: set[str] = set()
        for index, operator in enumerate(operators):
            if operator.name.casefold() in names:
                words = f"{shown(operator.name)} is an operator already; give each a name of their own"
                raise misplaced(words, index, "name")
            names.add(operator.name.casefold())
        return operators

    @model_validator(mode="after")
    def _check(self) -> HealthConfig:
        if self.tls is not None and self.tls.certificate is None:
            raise misplaced("the endpoint needs its own `certificate` and `private_key`", "tls")
        missing = [name for name in ("tls", "token") if getattr(self, name) is None]
        if self.address is not None and not self.is_local and missing:
            words = f"beyond loopback the endpoint needs {' and '.join(missing)}; or listen on 127.0.0.1"
            raise misplaced(f"{shown(self.listen)}: {words}", "listen")
        return self

    @property
    def who_enter(self) -> list[str]:
        """Names of those who may enter by their PIN."""
        return [operator.name for operator in self.operators if operator.role != "viewer"]

    @property
    def is_local(self) -> bool:
        """Whether nobody but this computer can come."""
        return self.address is not None and self.address[0] in LOOPBACK

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port, or None where the endpoint is off."""
        if self.listen == "off":
            return None
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)
