"""The local endpoint: where it listens, and what it wants of those who come from elsewhere: the `health:` section."""

from __future__ import annotations

import re

from pydantic import Field, field_validator, model_validator

from gateway.config.uplinks import LOOPBACK
from protocols.secrets import Secret
from protocols.settings import Settings, TlsConfig, misplaced, shown


class HealthConfig(Settings):
    """The local endpoint. Beyond loopback it wants TLS and a token, and does not listen without them."""

    listen: str = "127.0.0.1:8480"
    """Address and port; port 0 picks a free one, `off` opens none."""
    tls: TlsConfig | None = Field(default=None, examples=["{certificate: /etc/linegate/ipc.pem, private_key: ...}"])
    """The endpoint's own certificate and key, PEM; with `ca` only clients that it has certified are let in."""
    token: Secret | None = Field(default=None, examples=["{credential: health_token}"])
    """What everybody must bring for everything but /livez: `Authorization: Bearer ...`."""

    @field_validator("listen")
    @classmethod
    def _check_listen(cls, listen: str) -> str:
        if listen == "off":
            return listen
        host, _, port = listen.rpartition(":")
        if not host or not re.fullmatch("[0-9]{1,5}", port) or int(port) > 65535:
            raise ValueError(f"{shown(listen)} is not an address with a port; write 127.0.0.1:8480")
        return listen

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
