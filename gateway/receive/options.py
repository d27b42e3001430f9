"""The options of `linegate receive` as what the sources are told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from gateway.receive.command import receive
from gateway.receive.source import Settings
from protocols.secrets import Secret
from protocols.settings import TlsConfig


def receive_with(url: str, given: Mapping[str, Any]) -> int:
    """Run with what click parsed. Returns the exit code."""
    files = {key: given[key] for key in ("ca", "certificate", "private_key") if given[key] is not None}
    if ("certificate" in files) != ("private_key" in files):
        raise click.UsageError("--certificate and --private-key belong together")
    password, token = _secret(given, "password"), _secret(given, "token")
    if password is not None and given["user"] is None:
        raise click.UsageError("a password needs --user")
    settings = Settings(
        url=url,
        user=given["user"],
        password=password,
        token=token,
        tls=TlsConfig(**files) if files else None,
        name=given["name"],
        begin=given["begin"],
        sasl=given["sasl"],
        mqtt=5 if given["mqtt"] == "5" else "3.1.1",
    )
    return receive(
        settings,
        seconds=given["seconds"],
        count=given["count"],
        state=given["state"],
        write=given["write"],
        as_json=given["as_json"],
    )


def _secret(given: Mapping[str, Any], what: str) -> Secret | None:
    env: str | None = given[f"{what}_env"]
    file: Path | None = given[f"{what}_file"]
    if env is not None and file is not None:
        raise click.UsageError(f"give --{what}-env or --{what}-file")
    if env is not None:
        return Secret(env=env)
    return None if file is None else Secret(file=str(file))
