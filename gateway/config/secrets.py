"""Secrets: the configuration names where each one is; its value is read when it is needed and never logged."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import model_validator

from protocols.driver import ConfigError
from protocols.settings import Settings, misplaced

MAX_SECRET_BYTES = 64_000


class Secret(Settings):
    """Where a secret is: exactly one of the three."""

    credential: str | None = None
    """Name of a systemd credential: a file in `$CREDENTIALS_DIRECTORY`."""
    env: str | None = None
    """Name of an environment variable."""
    file: str | None = None
    """Path of a file."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        given = [place for place in (self.credential, self.env, self.file) if place]
        if len(given) != 1:
            raise misplaced("name one place: {credential: NAME}, {env: NAME} or {file: PATH}")
        if self.credential is not None and ("/" in self.credential or self.credential in (".", "..")):
            raise misplaced("a credential is named without a path", "credential")
        return self

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
                return file.read(MAX_SECRET_BYTES).decode().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
            raise ConfigError(f"the secret {path} cannot be read: {reason}", "check that the file exists and its mode") from None
