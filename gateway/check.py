"""`linegate check`: says everything that a configuration has wrong, and what a good one amounts to."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TextIO

from gateway.config.loader import load_config
from gateway.config.model import Config
from gateway.config.problems import ConfigProblems
from protocols.driver import ConfigError
from protocols.secrets import Secret
from protocols.settings import Settings, counted

GOOD = 0
WRONG = 2


def check_file(path: Path, out: TextIO | None = None) -> int:
    """Write all findings to `out` (standard output), one a line, and a summary. Returns the exit code, 0 or 2.

    A missing secret is a warning: it may be there where the daemon runs.
    """
    out = sys.stdout if out is None else out
    try:
        loaded = load_config(path)
    except ConfigProblems as found:
        out.write(f"{found}\n{path}: {counted(len(found.problems), 'problem')}\n")
        return WRONG
    out.writelines(f"{note} (note)\n" for note in loaded.notes)
    out.writelines(f"{path}: {where}: {why} (warning)\n" for where, why in missing_secrets(loaded.config))
    out.write(f"{path}: good: {summary(loaded.config)}\n")
    return GOOD


def load_or_exit(path: Path, notes: bool = False) -> Config:
    """The configuration, for a command that needs a good one; else its problems on standard error, and exit code 2.

    With `notes` they go there too.
    """
    try:
        loaded = load_config(path)
        sys.stderr.writelines(f"{note} (note)\n" for note in loaded.notes if notes)
        return loaded.config
    except ConfigProblems as found:
        sys.stderr.write(f"{found}\n{path}: {counted(len(found.problems), 'problem')}\n")
        sys.exit(WRONG)


def summary(config: Config) -> str:
    """What is configured, on one line: `1 device, 9 signals, 1 machine, 2 uplinks; configuration 0123abcd`."""
    parts = {
        "device": len(config.devices),
        "signal": sum(len(device.signal_settings) for device in config.devices.values()),
        "machine": len(config.machines),
        "uplink": len(config.uplinks),
    }
    return f"{', '.join(counted(n, noun) for noun, n in parts.items())}; configuration {config.digest}"


def missing_secrets(config: Config) -> list[tuple[str, str]]:
    """Path and reason of each secret that cannot be read here and now."""
    missing = []
    for path, secret in secrets_of(config):
        try:
            secret.resolve()
        except ConfigError as error:
            missing.append((path, f"{error.why}; {error.remedy}" if error.remedy else error.why))
    return missing


def secrets_of(section: Settings, at: str = "") -> Iterator[tuple[str, Secret]]:
    """Every secret of a section, with its path."""
    for name, described in type(section).model_fields.items():
        value, path = getattr(section, name), f"{at}{described.alias or name}"
        inner = value.items() if isinstance(value, Mapping) else [("", value)]
        for key, item in inner:
            where = f"{path}.{key}" if key else path
            if isinstance(item, Secret):
                yield where, item
            elif isinstance(item, Settings):
                yield from secrets_of(item, f"{where}.")
