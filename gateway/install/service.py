"""Puts unit, drop-in, directories and configuration of a line in place, and takes them away; below a root directory."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from gateway.check import load_or_exit
from gateway.config.loader import files_of
from gateway.install.unit import (
    BACKUP_TIMER,
    BACKUPS,
    CREDENTIALS,
    MARK,
    UNIT,
    UNITS,
    credentials_of,
    drop_in_text,
    is_line_name,
    unit_text,
)

SYSTEM = Path("/etc/systemd/system")
CONFIGURATIONS = Path("/etc/linegate")
DATA = (Path("/var/lib/private/linegate"), Path("/var/lib/linegate"))
"""Where systemd keeps the state directories of a unit with a user of its own, and the links to them."""
RUNTIME = Path("/run/linegate")
STAMPS = Path("/var/lib/systemd/timers")
"""Where systemd notes when a timer elapsed last."""
DROP_IN = "50-line.conf"
HIDDEN = (Path("/root"), Path("/home"), Path("/run/user"))
"""What the unit's ProtectHome hides from it."""
_HIDDEN_REMEDY = "install linegate and its Python below /opt or /usr, and run this command from there"


class InstallError(Exception):
    """It cannot be installed or taken away; nothing was changed."""

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(why)
        self.why = why
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Write:
    """One file that is to be there."""

    path: Path
    content: bytes
    is_ours: bool = True
    """Whether it is written by us alone; a configuration is a person's."""


@dataclass(slots=True)
class Plan:
    """What will be done; paths are absolute, without the root."""

    directories: dict[Path, int] = field(default_factory=dict)
    """With their modes."""
    writes: list[Write] = field(default_factory=list)
    removes: list[Path] = field(default_factory=list)
    tidies: list[Path] = field(default_factory=list)
    """Directories that go if nothing of a person's is in them."""
    commands: list[Sequence[str]] = field(default_factory=list)
    """Of systemctl, where the root is this system's and systemd runs."""
    hidden: Path | None = None
    """A program that the service needs and would not see."""


def installing(root: Path, file: Path | None, line: str | None, command: Path) -> Plan:
    """What has to be there for the unit, and for the line that `file` describes. Raises InstallError; exits with 2
    where the configuration has problems.
    """
    directories = {SYSTEM: 0o755, CONFIGURATIONS: 0o755, CREDENTIALS: 0o700, BACKUPS: 0o700}
    plan = Plan(directories, hidden=_hidden(root, command))
    plan.writes += [Write(SYSTEM / name, unit_text(name, command).encode()) for name in UNITS]
    if file is not None:
        _line(plan, file, line or file.stem)
    plan.commands.append(("daemon-reload",))
    return plan


def _hidden(root: Path, command: Path) -> Path | None:
    """What the service could not run, of the command and its interpreter, because ProtectHome hides it."""
    script = _below(root, command)
    try:
        with script.open("rb") as opened:
            first = opened.readline(300)
    except OSError:
        first = b""  # it may be put there later
    interpreters = [Path(os.fsdecode(first[2:].split()[0]))] if first.startswith(b"#!/") else []
    real = [path.resolve() if root == Path("/") else path for path in (command, *interpreters)]
    return next((path for path in real if any(path.is_relative_to(hidden) for hidden in HIDDEN)), None)


def _line(plan: Plan, file: Path, line: str) -> None:
    if not is_line_name(line):
        why = f"{line} cannot be the name of a service: letters, digits, - and _ alone, at most 28"
        raise InstallError(why, "give another one with --line")
    config = load_or_exit(file, notes=True)
    home = file.resolve().parent
    if home != CONFIGURATIONS or file.name != f"{line}.yaml":
        for part in files_of(file):
            target = Path(os.path.normpath(CONFIGURATIONS / os.path.relpath(part, file.parent)))
            if not target.is_relative_to(CONFIGURATIONS):
                why = f"{file} includes {part}, which is not below {file.parent}"
                raise InstallError(why, f"put both below one directory, or all of them into {CONFIGURATIONS} by hand")
            target = CONFIGURATIONS / f"{line}.yaml" if part == file else target
            plan.directories.setdefault(target.parent, 0o755)
            plan.writes.append(Write(target, part.read_bytes(), is_ours=False))
    if credentials_of(config, line):
        plan.directories[CREDENTIALS / line] = 0o700
    drop_in = SYSTEM / f"linegate@{line}.service.d" / DROP_IN
    if text := drop_in_text(config, line):
        plan.directories[drop_in.parent] = 0o755
        plan.writes.append(Write(drop_in, text.encode()))
    else:
        plan.removes.append(drop_in)  # of an earlier configuration


def uninstalling(root: Path, lines: Sequence[str], *, data: bool) -> Plan:
    """What is to go: of some lines, or the unit with all of them. Data and configuration only with `data`."""
    plan = Plan()
    for line in lines or _installed(root):
        if not is_line_name(line):
            raise InstallError(f"{line} is no line's name", "give names as in linegate@NAME.service")
        timer = BACKUP_TIMER.replace("@", f"@{line}")
        if _below(root, SYSTEM / UNIT).exists():
            plan.commands.append(("disable", "--now", f"linegate@{line}.service", timer))
        plan.removes.append(SYSTEM / f"linegate@{line}.service.d" / DROP_IN)
        plan.removes.append(STAMPS / f"stamp-{timer}")
        plan.tidies.append(SYSTEM / f"linegate@{line}.service.d")
        if data:
            plan.removes += [place / line for place in DATA]
            plan.removes += [CONFIGURATIONS / f"{line}.yaml", CREDENTIALS / line]
    if not lines:
        plan.removes += [SYSTEM / name for name in UNITS]
        plan.removes += [*DATA, CONFIGURATIONS] if data else []
        plan.tidies += [RUNTIME, BACKUPS]
    plan.commands.append(("daemon-reload",))
    return plan


def _installed(root: Path) -> list[str]:
    """Lines with a drop-in, a configuration, data, or that are started with the system."""
    patterns = (
        (SYSTEM, "linegate@*.service.d"),
        (SYSTEM / "multi-user.target.wants", "linegate@*.service"),
        (CONFIGURATIONS, "*.yaml"),
        *((place, "*") for place in DATA),
    )
    found = {
        path.name.removeprefix("linegate@").removesuffix(".d").removesuffix(".service").removesuffix(".yaml")
        for directory, pattern in patterns
        for path in _below(root, directory).glob(pattern)
    }
    return sorted(name for name in found if is_line_name(name))


def carry_out(plan: Plan, root: Path, out: TextIO, *, force: bool = False) -> None:
    """Do it. Raises InstallError before anything is changed, where something of somebody else is in the way."""
    if root == Path("/") and os.geteuid() != 0:
        why = "only root may write services and start them"
        raise InstallError(why, "use sudo; or look with --dry-run, or write into an image with --root DIR")
    if plan.hidden is not None:
        raise InstallError(f"{plan.hidden} is hidden from the service", _HIDDEN_REMEDY)
    todo = [write for write in plan.writes if _differs(write, root, force=force)]
    # what runs may not be taken from under it; what is new is read only once it is there
    before = [command for command in plan.commands if command != ("daemon-reload",)]
    try:
        _systemctl(before, root, out)
        for path, mode in plan.directories.items():
            _make_directory(root, path, mode)
        for write in todo:
            _replace(_below(root, write.path), write.content)
            out.write(f"wrote {write.path}\n")
        for path in plan.removes:
            if _remove(_below(root, path)):
                out.write(f"removed {path}\n")
        for path in plan.tidies:
            _tidy(_below(root, path), path, out)
    except OSError as error:
        raise InstallError(f"{error.filename}: {error.strerror}", "see that it can be written, and try again") from None
    _systemctl([command for command in plan.commands if command not in before], root, out)


def show(plan: Plan, root: Path, out: TextIO) -> None:
    """Say what would be done, with the texts of the files that are ours."""
    if plan.hidden is not None:
        out.write(f"# it could not run: {plan.hidden} is hidden from the service; {_HIDDEN_REMEDY}\n")
    out.writelines(f"# systemctl {' '.join(command)}\n" for command in plan.commands if command[0] == "disable")
    out.writelines(f"# directory {path}, mode {mode:04o}\n" for path, mode in plan.directories.items())
    for write in plan.writes:
        out.write(f"# file {write.path}{'' if write.is_ours else ', a copy'}\n")
        if write.is_ours:
            out.write(write.content.decode() + "\n")
    out.writelines(f"# remove {path}\n" for path in plan.removes if os.path.lexists(_below(root, path)))
    out.writelines(f"# remove {path} if it is empty\n" for path in plan.tidies if _below(root, path).is_dir())
    out.writelines(f"# systemctl {' '.join(command)}\n" for command in plan.commands if command[0] != "disable")


def _below(root: Path, path: Path) -> Path:
    return root / path.relative_to("/")


def _differs(write: Write, root: Path, *, force: bool) -> bool:
    target = _below(root, write.path)
    try:
        there = target.read_bytes()
    except FileNotFoundError:
        return True
    except OSError as error:
        raise InstallError(f"{target}: {error.strerror}", "see what is there") from None
    if there == write.content:
        return False
    if not force and not (write.is_ours and there.startswith(MARK.encode())):
        whose = "is not written by this command" if write.is_ours else "is another configuration"
        raise InstallError(f"{target} {whose}", "move it away, or replace it with --force")
    return True


def _make_directory(root: Path, path: Path, mode: int) -> None:
    target = _below(root, path)
    if not target.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        target.chmod(mode)  # whatever the umask is


def _replace(target: Path, content: bytes) -> None:
    """Whole or not at all: systemd may read it at any moment."""
    new = target.with_name(f".{target.name}.new")
    try:
        new.write_bytes(content)
        new.chmod(0o644)
        new.rename(target)
    finally:
        new.unlink(missing_ok=True)


def _remove(target: Path) -> bool:
    """Whether there was something."""
    if not os.path.lexists(target):
        return False
    if target.is_symlink() or not target.is_dir():
        target.unlink()
    else:
        shutil.rmtree(target)
    return True


def _tidy(target: Path, path: Path, out: TextIO) -> None:
    """Remove an empty directory; of another one say what is left to a person."""
    if not target.is_dir():
        return
    if kept := sorted(one.name for one in target.iterdir()):
        out.write(f"kept {path}, for there is {', '.join(kept)}\n")
        return
    target.rmdir()
    out.write(f"removed {path}\n")


def _systemctl(commands: Sequence[Sequence[str]], root: Path, out: TextIO) -> None:
    if root != Path("/") or not Path("/run/systemd/system").is_dir():
        return
    for command in commands:
        done = subprocess.run(["systemctl", *command], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            out.write(f"systemctl {' '.join(command)}: {done.stderr.strip()}\n")
