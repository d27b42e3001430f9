"""`linegate check`: says everything that a configuration has wrong, and what a good one amounts to."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import orjson

from gateway.config.loader import load_config
from gateway.config.model import Config
from gateway.config.problems import ConfigProblems
from protocols.discovery import shown_line
from protocols.driver import ConfigError
from protocols.secrets import Secret
from protocols.settings import Settings, counted

if TYPE_CHECKING:
    from gateway.runner.trying import Trial

GOOD, TROUBLE, WRONG = 0, 1, 2


def check_file(path: Path, out: TextIO | None = None, *, as_json: bool = False) -> int:
    """Write all findings to `out` (standard output), one a line, and a summary. Returns the exit code, 0 or 2.

    A missing secret is a warning: it may be there where the daemon runs. `as_json`: one object a finding.
    """
    out = sys.stdout if out is None else out
    try:
        loaded = load_config(path)
    except ConfigProblems as found:
        if as_json:
            out.writelines(_json(kind="problem", **asdict(problem)) for problem in found.problems)
        else:
            out.write(f"{found}\n{path}: {counted(len(found.problems), 'problem')}\n")
        return WRONG
    warnings = missing_secrets(loaded.config)
    if as_json:
        out.writelines(_json(kind="note", message=note) for note in loaded.notes)
        out.writelines(_json(kind="warning", path=where, message=why) for where, why in warnings)
        out.write(_json(kind="good", file=str(path), message=summary(loaded.config), digest=loaded.config.digest))
        return GOOD
    out.writelines(f"{note} (note)\n" for note in loaded.notes)
    out.writelines(f"{path}: {where}: {why} (warning)\n" for where, why in warnings)
    out.write(f"{path}: good: {summary(loaded.config)}\n")
    return GOOD


def check_connections(
    path: Path, state_dir: Path, seconds: float, out: TextIO | None = None, *, as_json: bool = False
) -> int:
    """What `check_file` says, then what comes of each device and uplink: 0, 1 where one fails, 2 for a bad file."""
    out = sys.stdout if out is None else out
    if check_file(path, out, as_json=as_json) != GOOD:
        return WRONG
    from gateway.log import configure_logging
    from gateway.runner.trying import try_everything  # the rest of this module is for every command

    configure_logging("ERROR")
    trials: list[Trial] = []

    def tell(trial: Trial) -> None:
        trials.append(trial)
        out.write(_json(kind="trial", **asdict(trial)) if as_json else _line(trial, coloured=_is_coloured(out)))
        out.flush()

    asyncio.run(try_everything(load_config(path).config, state_dir, seconds, tell))
    return GOOD if all(trial.good for trial in trials) else TROUBLE


def _is_coloured(out: TextIO) -> bool:
    """https://no-color.org"""
    return out.isatty() and not os.environ.get("NO_COLOR")


def _line(trial: Trial, *, coloured: bool) -> str:
    mark = "good" if trial.good else "FAILS"
    if coloured:
        mark = f"\x1b[{32 if trial.good else 31}m{mark}\x1b[0m"
    words = f"{trial.words}; {trial.remedy}" if trial.remedy else trial.words
    return f"{trial.name}: {mark}: {shown_line(words, 400)}\n"


def _json(**finding: Any) -> str:
    return orjson.dumps(finding).decode() + "\n"


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
        for key, item in _inner(value):
            where = path if key is None else f"{path}.{key}"
            if isinstance(item, Secret):
                yield where, item
            elif isinstance(item, Settings):
                yield from secrets_of(item, f"{where}.")


def _inner(value: Any) -> Iterable[tuple[Any, Any]]:
    """What a field holds by its key or place; alone where it is neither a mapping nor a list."""
    if isinstance(value, Mapping):
        return value.items()
    return enumerate(value) if isinstance(value, tuple) else [(None, value)]
