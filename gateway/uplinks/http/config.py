"""What an uplink to an HTTP server may say in the configuration."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal
from urllib.parse import SplitResult

from pydantic import Field, ValidationInfo, field_validator

from gateway.config.uplinks import ServerUplink, ShapedUplink
from protocols.secrets import Secret
from protocols.settings import Duration, between


class HttpUplink(ServerUplink, ShapedUplink):
    """Events in batches, each one POST (CloudEvents' HTTP binding, batched mode); an answer of 2xx acknowledges it."""

    SCHEMES = ("http", "https")
    SERVER = "an HTTP server"
    EXAMPLES = ("http://host:8080/events", "https://host/events")

    type: Literal["http"] = Field(examples=["http"])
    """An HTTP server."""
    url: str = Field(examples=["https://mes.example/events"])
    """Where to post; `https://` for TLS. Redirects are not followed."""
    token: Secret | None = None
    """Sent as `Authorization: Bearer`: {credential: NAME}, {env: NAME} or {file: PATH}."""
    batch: int = Field(default=500, ge=1, le=500)
    """Most events in one request."""
    compression: Literal["none", "gzip", "zstd"] = "none"
    """Of what is sent; the server must know it."""
    timeout: Annotated[Duration, between("1s", "50s")] = 10_000
    """Longest wait for an answer."""

    @classmethod
    def _is_complete(cls, parts: SplitResult) -> bool:
        return parts.geturl().isascii() and not parts.fragment

    @field_validator("token")
    @classmethod
    def _check_token(cls, token: Secret | None, info: ValidationInfo) -> Secret | None:
        if token is not None and info.data.get("user") is not None:
            raise ValueError("there is a user already; give `token`, or `user` and `password`")
        return token

    @property
    def secrets(self) -> Iterable[tuple[str, Secret | None]]:
        """Keys and places of what nobody else may read."""
        return (*super().secrets, ("token", self.token))
