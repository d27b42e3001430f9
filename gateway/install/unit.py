"""The texts of systemd's unit and of what one line needs beyond it, as a configuration says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from gateway.check import secrets_of
from gateway.config.model import Config
from gateway.uplinks.file.config import FileUplink
from protocols.modbus.config import ModbusRtuDevice

UNIT = "linegate@.service"
BACKUP_TIMER = "linegate-backup@.timer"
UNITS = (UNIT, "linegate-backup@.service", BACKUP_TIMER)
MARK = "# Written by `linegate install-service`, which replaces it: changes belong into a drop-in of your own.\n"
CREDENTIALS = Path("/etc/linegate/credentials")
BACKUPS = Path("/var/backups/linegate")
_COMMAND = "/opt/linegate/bin/linegate"
_LINE = re.compile(r"[A-Za-z0-9_-]{1,28}")
"""What follows `lg-` in the name of a user (systemd's strict rules allow 31 characters)."""


def is_line_name(name: str) -> bool:
    """Whether an instance of the unit can be called so."""
    return _LINE.fullmatch(name) is not None


def unit_text(name: str, command: Path) -> str:
    """One of UNITS, for the `linegate` at `command`."""
    return MARK + _shipped(name).replace(_COMMAND, _quoted(command))


def drop_in_text(config: Config, line: str) -> str:
    """What the unit's instance of one line may use beyond the unit: serial ports, secrets, paths; "" for nothing."""
    sections = []
    if any(isinstance(device, ModbusRtuDevice) for device in config.devices.values()):
        sections.append(_shipped("serial.conf"))
    if names := credentials_of(config, line):
        # without the second line an absent secret would cost the whole line, not its uplink or device alone
        loads = [f"LoadCredential={name}:{CREDENTIALS / line / name}\nSetCredential={name}:\\n\n" for name in names]
        sections.append("".join(("[Service]\n", *loads)))
    if paths := sorted(set(_writes(config))):
        sections.append("".join(("[Service]\n", *(f"ReadWritePaths=-{_quoted(path)}\n" for path in paths))))
    return MARK + "\n".join(sections) if sections else ""


def credentials_of(config: Config, line: str) -> list[str]:
    """Names of the systemd credentials that a configuration uses, be it by the path that systemd gives them."""
    named = {one.credential for _, one in secrets_of(config) if one.credential is not None}
    place = re.escape(f'"/run/credentials/linegate@{line}.service/') + '([^/"]+)"'
    return sorted(named | set(re.findall(place, config.model_dump_json())))


def _writes(config: Config) -> Iterator[Path]:
    """Directories outside the state directory that the daemon writes into."""
    named = [config.buffer.path, *(one.path for one in config.uplinks.values() if isinstance(one, FileUplink))]
    yield from (Path(path).parent for path in named if Path(path).is_absolute())
    if config.recording is not None and Path(config.recording.path).is_absolute():
        yield Path(config.recording.path)


def _shipped(name: str) -> str:
    return files("gateway").joinpath("data", "systemd", name).read_text(encoding="utf-8")


def _quoted(path: Path) -> str:
    text = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{text}"' if " " in text else text
