"""The command line for a daemon that runs: how it is, and what it is asked to do."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from gateway.cli_options import FILE, JSON, STATE_DIR

RELOAD_EXAMPLES = """\b
Examples:
  linegate reload line-3.yaml --state-dir /var/lib/linegate/line-3
  systemctl reload linegate@line-3
"""


@click.command(epilog=RELOAD_EXAMPLES)
@FILE
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
@STATE_DIR
def reload(file: Path, state_dir: Path, as_json: bool) -> None:
    """Have the running daemon take over the changed FILE: only devices and uplinks that differ are begun anew.

    The file is checked first; where it has a problem, or asks for what needs a restart, nothing changes.
    """
    from gateway.reload import reload_file

    sys.exit(reload_file(file, state_dir, as_json=as_json))


STATUS_EXAMPLES = """\b
Examples:
  linegate status
  linegate status --watch
  linegate status http://127.0.0.1:8481 --signals
  linegate status https://ipc-3.example:8480 --token-env LINE_3 --ca plant-ca.pem
"""


@click.command(epilog=STATUS_EXAMPLES)
@click.argument("url", default="http://127.0.0.1:8480")
@click.option("--signals", is_flag=True, help="Also every signal as the daemon read it last.")
@click.option("--watch", is_flag=True, help="Look again each second until Ctrl-C.")
@click.option("--token-env", metavar="NAME", help="The environment variable that has the endpoint's token.")
@click.option("--ca", metavar="FILE", help="TLS: the authority to trust, PEM.")
@JSON
def status(url: str, signals: bool, watch: bool, token_env: str | None, ca: str | None, as_json: bool) -> None:
    """Show the running daemon at URL: what is wrong and what to do, machines, job, devices, uplinks.

    URL is its `health.listen`. The exit code is 1 where something is wrong, or nobody answers.
    """
    from gateway.status import Where, show_status

    token = None if token_env is None else os.environ.get(token_env)
    if token_env is not None and not token:
        raise click.UsageError(f"the environment has no {token_env}")
    sys.exit(show_status(Where(url, token, ca), signals=signals, watch=watch, as_json=as_json))


COMMANDS = (reload, status)
