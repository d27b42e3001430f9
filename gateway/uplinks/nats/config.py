"""What an uplink to NATS JetStream may say in the configuration."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from gateway.config.uplinks import ClusterUplink
from gateway.uplinks.content import MessageUplink
from gateway.uplinks.template import template
from protocols.secrets import Secret
from protocols.settings import Switch, misplaced, shown

TOKEN = r"[^\s.*>]"
"""A character of one token of a subject."""


def _inbox(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", text):
        raise ValueError(f"{shown(text)} is not a subject; write letters, digits, _ and -, with dots between them")
    return text


class NatsUplink(ClusterUplink, MessageUplink):
    """Events into a JetStream stream, acknowledged by its PubAck; what comes twice the server drops by its id."""

    SCHEMES = ("nats", "tls")
    SERVER = "a NATS server"
    EXAMPLES = ("nats://host:4222", "tls://host:4222")
    PORTS = (4222, 4222)

    type: Literal["nats"] = Field(examples=["nats"])
    """NATS JetStream."""
    url: str = Field(examples=["nats://nats.example:4222"])
    """`nats://host:4222`, or `tls://host:4222` for TLS."""
    subject: Annotated[
        str,
        template(
            "type", "subject", what="a subject", forbidden=r"[{}*>\s]|^\.|\.\.|\.$|^$|^[$_]", words="be empty, have "
            "empty parts or spaces, begin with $ or _, or contain * or >",
        ),
    ] = "{enterprise}.{site}.{area}.{line}.{type}.{subject}"  # fmt: skip
    """Template; `{type}` is `machine.state`, always two tokens. Spaces and dots in names of the place become `_`."""
    token: Secret | None = None
    """In place of user and password: {credential: NAME}, {env: NAME} or {file: PATH}."""
    nkey: Secret | None = None
    """Seed of an NKey (`SU...`): {credential: NAME}, {env: NAME} or {file: PATH}."""
    creds: Secret | None = None
    """A user's credentials file, JWT and seed together, as `nsc` writes it: {credential: NAME} or {file: PATH}."""
    inbox: Annotated[str, AfterValidator(_inbox)] = "_INBOX"
    """Where the answers come, for servers that give each user an inbox of its own."""
    tls_first: Switch = False
    """Begin with TLS, for servers that want the handshake before they say anything."""
    in_flight: int = Field(default=20, ge=1, le=1000)
    """Messages sent and not yet acknowledged."""

    @model_validator(mode="after")
    def _check_credentials(self) -> NatsUplink:
        given = [key for key in ("user", "token", "nkey", "creds") if getattr(self, key) is not None]
        if len(given) > 1:
            raise misplaced(f"there is `{given[0]}` already; give one of user, token, nkey and creds", given[1])
        if self.tls_first and not self.is_secure:
            raise misplaced("needs a url that begins with tls://", "tls_first")
        return self

    @property
    def secrets(self) -> Iterable[tuple[str, Secret | None]]:
        """Keys and places of what travels as it is; with `nkey` and `creds` only a signature does."""
        return (*super().secrets, ("token", self.token))
