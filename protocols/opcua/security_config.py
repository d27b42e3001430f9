"""What a device's `security:` and `user:` say: how its connection is secured, and as whom the gateway logs in."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from protocols.secrets import Secret
from protocols.settings import Settings, Switch, misplaced

PolicyName = Literal["none", "Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"]
"""The security policies of OPC 10000-7 that are not deprecated, by the last part of their URI."""
Mode = Literal["sign", "sign_and_encrypt"]
"""MessageSecurityMode (OPC 10000-4, 7.20) of a policy that secures anything."""


class SecurityConfig(Settings):
    """How a connection is secured. With a policy the server's certificate is verified, always.

    Files are PEM or DER, and relative to the working directory, which is `/` under systemd: write their paths in full.
    """

    policy: PolicyName = Field(examples=["Basic256Sha256"])
    """The security policy; it has to be switched on in the server."""
    mode: Mode | None = None
    """Messages are signed, or signed and encrypted; the latter where it is left out."""
    certificate: str | None = None
    """The gateway's own certificate, which the server has to trust, and after it the authorities that signed it.

    Left out: the one in `pki/own` of the state directory, which is made when it is first needed.
    """
    private_key: str | None = None
    """The key of `certificate`."""
    private_key_password: Secret | None = None
    """The password of `private_key`."""
    server_certificate: str | None = None
    """The server's own certificate: no other one is accepted, and its host names do not matter.

    Left out: the certificates and authorities in `pki/trusted` of the state directory are trusted.
    """

    @field_validator("mode", "certificate", "private_key", "private_key_password", "server_certificate")
    @classmethod
    def _check_has_policy(cls, given: object, info: ValidationInfo) -> object:
        if given is not None and info.data.get("policy") == "none":
            raise ValueError("policy none secures nothing: leave this out, or name a policy")
        return given

    @model_validator(mode="after")
    def _check_pair(self) -> SecurityConfig:
        _check_key(self.certificate, self.private_key, self.private_key_password)
        return self

    @property
    def is_secured(self) -> bool:
        """Whether there is a policy."""
        return self.policy != "none"

    @property
    def encrypts(self) -> bool:
        """Whether nobody between reads the messages."""
        return self.is_secured and self.mode != "sign"


class UserConfig(Settings):
    """As whom the gateway logs in: a name with a password, or a certificate."""

    name: str | None = Field(default=None, min_length=1, max_length=250, examples=["gateway"])
    """The user's name."""
    password: Secret | None = None
    """The user's password."""
    allow_plain_password: Switch = False
    """on: the password may go over a connection that is not encrypted, where others can read it."""
    certificate: str | None = None
    """The user's certificate: not the gateway's own, which `security` names."""
    private_key: str | None = None
    """The key of the user's certificate."""
    private_key_password: Secret | None = None
    """The password of the user's `private_key`."""

    @model_validator(mode="after")
    def _check(self) -> UserConfig:
        if (self.name is None) == (self.certificate is None):
            raise misplaced("a user is a name with a password, or a certificate with its private_key: give one of both")
        if self.name is not None and self.password is None:
            words = "a user has a password: `password: {credential: NAME}`; without `user` the gateway is anonymous"
            raise misplaced(words, "name")
        if self.name is None and self.password is not None:
            raise misplaced("a password belongs to a name; that of a key is `private_key_password`", "password")
        _check_key(self.certificate, self.private_key, self.private_key_password)
        return self


def exposed_password(security: SecurityConfig, user: UserConfig | None) -> PydanticCustomError | None:
    """The problem of a device whose user's password others could read, though nothing says that they may."""
    if user is None or user.password is None or user.allow_plain_password or security.encrypts:
        return None
    how = f"security mode {security.mode}" if security.is_secured else "security policy none"
    remedy = "choose `mode: sign_and_encrypt` with a policy, or accept it with `allow_plain_password: true`"
    return misplaced(f"over {how} others can read the password; {remedy}", "user", "password")


def _check_key(certificate: str | None, private_key: str | None, password: Secret | None) -> None:
    if (certificate is None) != (private_key is None):
        raise misplaced("certificate and private_key belong together: give both or none")
    if private_key is None and password is not None:
        raise misplaced("a password without a private_key: leave it out", "private_key_password")
