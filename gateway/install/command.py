"""`linegate install-service` and `linegate uninstall-service`: what they say, and their exit codes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from gateway.install.service import InstallError, Plan, carry_out, installing, show, uninstalling
from gateway.install.unit import BACKUPS

GOOD, WRONG = 0, 2


def install(
    file: Path | None, line: str | None, root: Path, command: Path | None, *, dry_run: bool, force: bool
) -> int:
    """Install the unit, and the line that `file` describes."""
    command = command or Path(sys.executable).parent / "linegate"

    def plan() -> Plan:
        if not command.is_absolute():
            raise InstallError(f"{command} is not a full path", "systemd wants one")
        return installing(root, file, line, command)

    code = _run(plan, root, dry_run=dry_run, force=force)
    if code == GOOD and not dry_run and file is not None:
        name = line or file.stem
        sys.stdout.write(
            f"\nNext: put its secrets, if any, into /etc/linegate/credentials/{name}/ (a file each, mode 0600), then\n"
            f"  systemctl enable --now linegate@{name}\n  systemctl status linegate@{name}\n"
            f"and for an archive each night in {BACKUPS}:\n  systemctl enable --now linegate-backup@{name}.timer\n"
        )
    return code


def uninstall(lines: Sequence[str], root: Path, *, data: bool, dry_run: bool) -> int:
    """Take away what `install` put there; with `data` also what the daemons keep, and the configurations."""
    return _run(lambda: uninstalling(root, lines, data=data), root, dry_run=dry_run, force=False)


def _run(plan: Callable[[], Plan], root: Path, *, dry_run: bool, force: bool) -> int:
    try:
        made = plan()
        if dry_run:
            show(made, root, sys.stdout)
        else:
            carry_out(made, root, sys.stdout, force=force)
    except InstallError as error:
        sys.stderr.write(f"{error.why}; {error.remedy}\n")
        return WRONG
    return GOOD
