"""The command line for the computer that a line's daemon runs on: its service, moving to another one, and help."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gateway.cli_options import FILE, STATE_DIR

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


@click.command(short_help="Put systemd's unit and a line in place.", name="install-service", epilog=INSTALL_EXAMPLES)
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


@click.command(
    short_help="Take them away again.",
    name="uninstall-service",
    epilog="Example: sudo linegate uninstall-service line-3",
)
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


BACKUP_EXAMPLES = """\b
Examples:
  linegate backup /etc/linegate/line-3.yaml --state-dir /var/lib/linegate/line-3 --output /mnt/line-3.tar.zst
  linegate backup /etc/linegate/line-3.yaml --state-dir /var/lib/linegate/line-3 --move
"""


@click.command(short_help="A line in one archive, beside its running daemon.", epilog=BACKUP_EXAMPLES)
@FILE
@STATE_DIR
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), help="File, or directory; by default LINE-TIME.tar.zst."
)
@click.option("--keep", type=click.IntRange(1), help="Of this line's archives in the directory the newest stay.")
@click.option("--recordings/--no-recordings", default=True, show_default=True, help="With what was recorded.")
@click.option("--move", is_flag=True, help="Give the line up here: no daemon may run, and none starts again.")
def backup(file: Path, state_dir: Path, output: Path | None, keep: int | None, recordings: bool, move: bool) -> None:
    """Write buffer, checkpoint, recordings, certificates and configuration into one archive, beside a running daemon.

    The archive holds private keys, and is to be kept as safe as they are. With --move nothing is counted twice and
    nothing forgotten when it is restored; of a line that goes on, what comes after the archive is not in it.
    """
    from gateway.backup.command import backup_line

    if keep is not None and (output is None or not output.is_dir()):
        raise click.UsageError("--keep wants --output DIRECTORY")
    sys.exit(backup_line(file, state_dir, output, keep, recordings=recordings, move=move))


RESTORE_EXAMPLES = """\b
Examples:
  sudo linegate restore line-3.tar.zst --state-dir /var/lib/linegate/line-3
  sudo linegate restore line-3.tar.zst --state-dir /var/lib/linegate/line-3 --events lake.ndjson
"""


@click.command(short_help="Put the line of an archive in place.", epilog=RESTORE_EXAMPLES)
@click.argument("archive", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@STATE_DIR
@click.option(
    "--config-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("/etc/linegate"),
    show_default=True,
    help="Where the configuration goes.",
)
@click.option(
    "--events",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The line's events that the plant has, one JSON object a line: counters go on from the last of them.",
)
@click.option("--force", is_flag=True, help="Move aside what is there.")
def restore(archive: Path, state_dir: Path, config_dir: Path, events: Path | None, force: bool) -> None:
    """Put the line of ARCHIVE, made by `linegate backup`, in place on this machine.

    Its events go on in a new stream, which names the old one; what was not delivered yet keeps its stream and number,
    by which receivers drop what they have. No part is counted twice: see --move of backup, and --events.
    """
    from gateway.backup.command import restore_line

    sys.exit(restore_line(archive, state_dir, config_dir, events, force=force))


SUPPORT_EXAMPLES = """\b
Examples:
  sudo linegate support /etc/linegate/line-3.yaml --state-dir /var/lib/linegate/line-3
  linegate support line-3.yaml --log daemon.log --recording --output /tmp
"""


@click.command(short_help="An archive without secrets, for whoever helps.", epilog=SUPPORT_EXAMPLES)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@STATE_DIR
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), help="File, or directory; by default LINE-support-TIME.zip."
)
@click.option(
    "--log",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The daemon's log where it is not in systemd's journal.",
)
@click.option("--recording", is_flag=True, help="With the newest file of the recording, which is not redacted.")
def support(file: Path, state_dir: Path, output: Path | None, log: Path | None, recording: bool) -> None:
    """Put what somebody needs who helps into one archive without secrets: configuration, health, log, events.

    It works with the daemon up, down or stuck, and with a FILE that has problems; what could not be had is said.
    """
    from gateway.support.command import support_line

    sys.exit(support_line(file, state_dir, output, log, recording=recording))


COMMANDS = (install_service, uninstall_service, backup, restore, support)
