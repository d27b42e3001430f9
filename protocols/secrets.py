"""Secrets: the configuration names where each one is; its value is read when it is needed and never logged."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator

from protocols.driver import ConfigError
from protocols.settings import Settings, misplaced

MAX_SECRET_BYTES = 64_000


class Secret(Settings):
    """Where a secret is: exactly one of the three."""

    credential: str | None = Field(default=None, min_length=1, examples=["mqtt_password"])
    """Name of a systemd credential: a file in `$CREDENTIALS_DIRECTORY`."""
    env: str | None = Field(default=None, min_length=1, examples=["MQTT_PASSWORD"])
    """Name of an environment variable."""
    file: str | None = Field(default=None, min_length=1, examples=["/etc/linegate/mqtt_password"])
    """Path of a file."""

    # no message says what is written here: it may be the secret itself, by mistake

    @field_validator("credential")
    @classmethod
    def _check_credential(cls, name: str | None) -> str | None:
        if name is not None and ("/" in name or "\0" in name or name in (".", "..")):
            raise ValueError("a credential is named without a path")
        return name

    @field_validator("env")
    @classmethod
    def _check_env(cls, name: str | None) -> str | None:
        if name is not None and ("=" in name or "\0" in name):
            raise ValueError("this is not the name of an environment variable")
        return name

    @model_validator(mode="after")
    def _check(self) -> Self:
        if [self.credential, self.env, self.file].count(None) != 2:
            raise misplaced("name one place: {credential: NAME}, {env: NAME} or {file: PATH}")
        return self

    @property
    def place(self) -> str:
        """Where the secret is, in words; never what it is."""
        if self.env is not None:
            return f"the environment variable {self.env}"
        return f"the credential {self.credential}" if self.credential is not None else f"the file {self.file}"

    def resolve(self, environ: Mapping[str, str] | None = None) -> str:
        """The secret itself, without a trailing line break. Raises ConfigError naming the place, never the content."""
        environ = os.environ if environ is None else environ
        if self.env is not None:
            if not environ.get(self.env):
                raise ConfigError(f"the environment variable {self.env} is not set", "set it in the unit or the shell")
            return environ[self.env]
        if self.credential is not None:
            directory = environ.get("CREDENTIALS_DIRECTORY")
            if not directory:
                words = f"credential {self.credential}: $CREDENTIALS_DIRECTORY is not set"
                raise ConfigError(words, f"run under systemd with LoadCredential={self.credential}:PATH")
            path = Path(directory) / self.credential
        else:
            path = Path(str(self.file))
        try:
            with path.open("rb") as file:
                content = file.read(MAX_SECRET_BYTES + 1)
            secret = content.decode().rstrip("\r\n")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            remedy = "check that the file exists and its mode"
            raise ConfigError(f"the secret {path} cannot be read: {reason}", remedy) from None
        if not secret or len(content) > MAX_SECRET_BYTES:
            what = "is empty" if not secret else f"is larger than {MAX_SECRET_BYTES} bytes"
            raise ConfigError(f"the secret {path} {what}", "write the secret alone into the file")
        return secret
