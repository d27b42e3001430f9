"""The command line for a daemon that runs: how it is, and what it is asked to do."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from getpass import getuser
from pathlib import Path

import click

from gateway.cli_options import DURATION, FILE, JSON, STATE_DIR


def _me() -> str:
    """Who is at the terminal, also behind sudo."""
    with suppress(KeyError, OSError):  # a user of a container may have no name
        return os.environ.get("SUDO_USER") or getuser()
    return f"user {os.getuid()}"


def _can_be_asked() -> bool:
    """Not where standard input is /dev/null, as it is for what cron and systemd start."""
    try:
        return sys.stdin.isatty() or not stat.S_ISCHR(os.fstat(sys.stdin.fileno()).st_mode)
    except (OSError, ValueError):  # it is no file at all
        return True


WHO = click.option("--who", default=_me, help="Your name; by default the one that you are logged in by.")

RELOAD_EXAMPLES = """\b
Examples:
  linegate reload line-3.yaml --state-dir /var/lib/linegate/line-3
  systemctl reload linegate@line-3
"""


@click.command(short_help="Have the running daemon take over a changed file.", epilog=RELOAD_EXAMPLES)
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


@click.command(short_help="How the running daemon is, and what to do.", epilog=STATUS_EXAMPLES)
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


VERIFY_EXAMPLES = """\b
Examples:
  linegate verify line-3.yaml --machine filler --for 15min
  linegate verify line-3.yaml --machine filler --for 15min --hand-count 1790 --state-dir /var/lib/linegate/line-3
"""


@click.command(short_help="Compare gateway, PLC and hand count of a machine.", epilog=VERIFY_EXAMPLES)
@FILE
@click.option("--machine", required=True, metavar="NAME", help="Whose parts.")
@click.option("--for", "seconds", type=DURATION, required=True, help="How long you count (15min).")
@click.option("--hand-count", type=click.IntRange(0), metavar="N", help="What you counted; else asked for at the end.")
@click.option("--tolerance", type=click.IntRange(0), default=1, show_default=True, help="Parts that a hand may be off.")
@WHO
@JSON
@STATE_DIR
def verify(
    file: Path,
    machine: str,
    seconds: float,
    hand_count: int | None,
    tolerance: int,
    who: str,
    as_json: bool,
    state_dir: Path,
) -> None:
    """Compare what gateway, PLC and hand count of one machine: begin to count when this begins, end when it does.

    It goes on to the daemon that runs, and is kept as a machine.verified event: nobody trusts an OEE without it.
    """
    from gateway.verify import Count, verify_file

    if hand_count is None and not _can_be_asked():
        raise click.UsageError("nobody is there to be asked at the end: give --hand-count N")
    count = Count(machine, seconds, hand_count, who, tolerance)

    def ask() -> int:
        return int(click.prompt("Parts that you counted", type=click.IntRange(0), err=True))

    sys.exit(verify_file(file, state_dir, count, ask, as_json=as_json))


MUTE_EXAMPLES = """\b
Examples:
  linegate mute line-3.yaml --machine filler --for 1h --why "new program, testing"
  linegate mute line-3.yaml --machine filler --for 0s
"""


@click.command(short_help="Mark a machine's events while you work on it.", epilog=MUTE_EXAMPLES)
@FILE
@click.option("--machine", required=True, metavar="NAME", help="Which.")
@click.option("--for", "seconds", type=DURATION, required=True, help="How long (1h), at most a day; 0s ends it.")
@click.option("--why", default="", help="What you do there.")
@WHO
@STATE_DIR
def mute(file: Path, machine: str, seconds: float, why: str, who: str, state_dir: Path) -> None:
    """Say that you work online on a machine: its events are marked (`muted`) for that time, and none is left out."""
    from gateway.verify import mute_machine

    sys.exit(mute_machine(file, state_dir, machine, seconds, who, why))


COMMANDS = (reload, status, verify, mute)
