"""The command line: `linegate`. Exit codes: 0 good, 1 it ran and found trouble, 2 wrong use or configuration."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click
import orjson

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


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Begin with `linegate demo`, then `linegate check line.yaml` and `linegate run line.yaml`.",
)
@click.version_option(package_name="linegate", prog_name="linegate")
def main() -> None:
    """Edge gateway of one production line: PLCs in, proven machine states, counts and KPIs out."""


@main.command(epilog="Example: linegate run line-3.yaml --state-dir /var/lib/linegate/line-3")
@FILE
@click.option("--for", "seconds", type=DURATION, help="End after this time (60s, 1h); by default run for ever.")
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the buffer lives; by default systemd's $STATE_DIRECTORY, else ./state.",
)
@click.option("--log-level", type=click.Choice(["DEBUG", "INFO", "WARNING"]), default="INFO", show_default=True)
def run(file: Path, seconds: float | None, state_dir: Path | None, log_level: str) -> None:
    """Run the daemon for the line that FILE describes."""
    from gateway.config.apart import load_apart
    from gateway.log import configure_logging

    config = load_apart(file)
    configure_logging(log_level)
    from gateway.service import run_daemon

    directory = state_dir or Path(os.environ.get("STATE_DIRECTORY", "state").split(":")[0])
    sys.exit(run_daemon(config, directory, seconds))


@main.command(epilog="Example: linegate check line-3.yaml")
@FILE
def check(file: Path) -> None:
    """Validate FILE: every problem with its line and column, what was expected, and the nearest right name."""
    from gateway.check import check_file

    sys.exit(check_file(file))


@main.command(epilog="Example: linegate plan line-3.yaml --json | jq '.endpoints[].duty'")
@FILE
@click.option("--json", "as_json", is_flag=True, help="One JSON object with every figure, for programs.")
def plan(file: Path, as_json: bool) -> None:
    """Show what FILE asks of each PLC: requests, registers, bytes, milliseconds a scan, duty of each line."""
    from gateway.plan import plan_file

    sys.exit(plan_file(file, as_json))


@main.command(epilog="Example: linegate schema > linegate.schema.json, for the editor's completion.")
@click.argument("what", type=click.Choice(["config", "events"]), default="config")
def schema(what: str) -> None:
    """Print the JSON Schema of the configuration, or of the events' data by type."""
    if what == "events":
        from gateway.schemas import event_schemas

        document: dict[str, Any] = event_schemas()
    else:
        from gateway.config.schema import json_schema

        document = json_schema()
    click.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())


@main.command(epilog="Example: linegate demo --for 2min --speed 10")
@click.option("--for", "seconds", type=DURATION, help="End after this time; by default run until Ctrl-C.")
@click.option("--speed", type=click.FloatRange(0.1, 100), default=10, show_default=True, help="Times real time.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same day.")
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), help="Keep configuration and events here.")
def demo(seconds: float | None, speed: float, seed: int, keep: Path | None) -> None:
    """A simulated filler behind a real Modbus TCP server, the daemon beside it, and where to look."""
    from gateway.demo import run_demo

    sys.exit(run_demo(seconds, speed, seed, keep))


if __name__ == "__main__":
    main()
