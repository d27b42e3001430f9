"""The command line for the computer that a line's daemon runs on: its service."""

from __future__ import annotations

import sys
from pathlib import Path

import click

ROOT = click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=Path("/"),
    help="Write below this directory, an image's root; nothing is started.",
)
DRY_RUN = click.option("--dry-run", is_flag=True, help="Change nothing; print what would be done.")

INSTALL_EXAMPLES = """\b
Examples:
  sudo linegate install-service line-3.yaml
  linegate install-service line-3.yaml --dry-run
  linegate install-service line-3.yaml --root /mnt/image --command /opt/linegate/bin/linegate
"""


@click.command(name="install-service", epilog=INSTALL_EXAMPLES)
@click.argument("file", required=False, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--line", metavar="NAME", help="The service is linegate@NAME; by default the file's name without .yaml.")
@click.option("--command", type=click.Path(path_type=Path), help="The linegate that it runs; by default this one.")
@ROOT
@DRY_RUN
@click.option("--force", is_flag=True, help="Replace a unit that others wrote, and another configuration.")
def install_service(
    file: Path | None, line: str | None, command: Path | None, root: Path, dry_run: bool, force: bool
) -> None:
    """Write systemd's unit linegate@.service, its directories, and the line that FILE describes.

    FILE and what it includes are copied to /etc/linegate, unless they are there; what the line needs beyond the unit
    (serial ports, secrets, directories) becomes a drop-in. Again after a change of these. The user is made by systemd.
    """
    from gateway.install.command import install

    sys.exit(install(file, line, root, command, dry_run=dry_run, force=force))


@click.command(name="uninstall-service", epilog="Example: sudo linegate uninstall-service line-3")
@click.argument("lines", metavar="[LINE]...", nargs=-1)
@click.option("--data", is_flag=True, help="Also delete buffer, recordings, certificates, secrets and configuration.")
@click.option("--yes", is_flag=True, help="With --data: ask nobody.")
@ROOT
@DRY_RUN
def uninstall_service(lines: tuple[str, ...], data: bool, yes: bool, root: Path, dry_run: bool) -> None:
    """Stop the services of some LINEs, or of all, and take away what install-service wrote; never data unless asked."""
    from gateway.install.command import uninstall

    if data and not (yes or dry_run):
        whose = ", ".join(lines) or "every line"
        click.confirm(f"Delete for ever what {whose} has stored and not delivered yet, and its keys?", abort=True)
    sys.exit(uninstall(lines, root, data=data, dry_run=dry_run))


COMMANDS = (install_service, uninstall_service)
