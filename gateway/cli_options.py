"""Arguments and options that several commands have."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from protocols.settings import parse_duration


class DurationType(click.ParamType[float]):
    """A duration as in the configuration; seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds of `60s`, `2min`, `1h`."""
        if isinstance(value, float):
            return value
        try:
            return parse_duration(value) / 1000
        except ValueError as error:
            self.fail(str(error), param, ctx)


FILE = click.argument("file", type=click.Path(path_type=Path))
DURATION = DurationType()
STATE_DIR = click.option(
    "--state-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=lambda: os.environ.get("STATE_DIRECTORY", "state").split(":")[0],
    help="Where buffer and certificates live; by default systemd's $STATE_DIRECTORY, else ./state.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="JSON, one object a line, for programs.")
