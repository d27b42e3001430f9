"""The service as systemd's own tools judge it; what install-service writes into an image, and what it takes away."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.install.unit import MARK, UNIT
from protocols.secrets import Secret
from tests.conftest import line_document

UNITS = Path("etc/systemd/system")
STAMP = "stamp-linegate-backup@line-3.timer"
NETWORK_EXPOSURE, SERIAL_EXPOSURE = 15, 20
"""Tenths, of systemd-analyze's 0 to 10."""

SERIAL: dict[str, Any] = {
    "protocol": "modbus_rtu",
    "serial": {"path": "/dev/ttyUSB0"},
    "signals": {"running": {"address": "coil:0"}},
}
PLANT: dict[str, Any] = {
    "type": "mqtt",
    "url": "mqtts://broker.example:8883",
    "user": "gateway",
    "password": {"credential": "broker"},
}


def linegate(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", "--no-pager", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An image's root, with a linegate that systemd can find."""
    root = tmp_path / "image"
    command = root / "opt/linegate/bin/linegate"
    command.parent.mkdir(parents=True)
    command.write_text("#!/usr/bin/python3\n")
    command.chmod(0o755)
    return root


def configuration(place: Path, **sections: object) -> Path:
    file = place / "line-3.yaml"
    file.write_text(json.dumps(line_document(**sections)))
    return file


def install(root: Path, *arguments: str | Path) -> Result:
    command = root / "opt/linegate/bin/linegate"
    return linegate("install-service", *arguments, "--root", root, "--command", f"/{command.relative_to(root)}")


def of_this_system(root: Path) -> Path:
    """The image's units as systemd-analyze finds them here: the command's path is that of the image's file."""
    units = root / UNITS
    assert "ExecStart=/opt/linegate/bin/linegate run /etc/linegate/%i.yaml\n" in (units / UNIT).read_text()
    for unit in units.glob("*.service"):
        unit.write_text(unit.read_text().replace("=/opt/", f"={root}/opt/"))
    return units


def exposure(report: str) -> str:
    return report.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("sections", "threshold"),
    [
        ({}, NETWORK_EXPOSURE),
        ({"uplinks": {"plant": PLANT}}, NETWORK_EXPOSURE),
        ({"devices": {**line_document()["devices"], "drive": SERIAL}}, SERIAL_EXPOSURE),
    ],
    ids=["network", "secrets", "serial"],
)
def test_systemd_takes_every_line_of_it_and_finds_it_hardened(
    image: Path, tmp_path: Path, sections: dict[str, Any], threshold: int
) -> None:
    assert install(image, configuration(tmp_path, **sections)).exit_code == 0
    units = of_this_system(image)
    instance, timer = units / "linegate@line-3.service", units / "linegate-backup@line-3.timer"
    verified = analyze("verify", instance, timer, timer.with_suffix(".service"))
    assert verified.stdout + verified.stderr == ""  # it exits with 0 over unknown keys
    assert verified.returncode == 0
    judged = analyze("security", "--offline=true", f"--threshold={threshold}", instance)
    assert judged.returncode == 0, exposure(judged.stdout)
    assert analyze("security", "--offline=true", "--threshold=5", instance).returncode == 1  # it does judge


def test_verify_would_notice(image: Path) -> None:
    assert install(image).exit_code == 0
    unit = of_this_system(image) / "linegate@.service"
    unit.write_text(unit.read_text().replace("MemoryMax=", "MemoryMost="))
    assert "MemoryMost" in analyze("verify", unit).stderr


def test_what_the_unit_promises(image: Path) -> None:
    assert install(image).exit_code == 0
    lines = (image / UNITS / "linegate@.service").read_text().splitlines()
    keys = dict(line.split("=", 1) for line in lines if "=" in line)
    assert keys["Type"] == "notify"
    assert int(keys["WatchdogSec"]) <= 30
    assert int(keys["StartLimitBurst"]) * int(keys["RestartSec"]) > int(keys["StartLimitIntervalSec"])  # never gives up
    assert keys["DynamicUser"] == "yes"
    assert keys["StateDirectory"] == keys["RuntimeDirectory"] == "linegate/%i"
    assert {"MemoryMax", "TasksMax", "LimitNOFILE", "LimitCORE"} <= keys.keys()


def test_installs_a_line_with_what_it_includes_needs_and_may_keep_secret(image: Path, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "reasons.yaml").write_text('{"reasons": {"40": "no caps"}}')
    file = configuration(
        tmp_path,
        include=["shared/reasons.yaml"],
        uplinks={"plant": PLANT, "journal": {"type": "file", "path": "/srv/events/line-3.ndjson"}},
    )
    done = install(image, file)
    assert done.exit_code == 0, done.output
    assert "systemctl enable --now linegate@line-3" in done.output
    assert (image / "etc/linegate/line-3.yaml").read_bytes() == file.read_bytes()
    assert (image / "etc/linegate/shared/reasons.yaml").exists()
    assert linegate("check", image / "etc/linegate/line-3.yaml").exit_code == 0
    assert (image / "etc/linegate/credentials/line-3").stat().st_mode & 0o777 == 0o700
    drop_in = (image / UNITS / "linegate@line-3.service.d/50-line.conf").read_text()
    assert "LoadCredential=broker:/etc/linegate/credentials/line-3/broker\n" in drop_in
    assert "ReadWritePaths=-/srv/events\n" in drop_in
    assert "DeviceAllow" not in drop_in


def test_keys_named_by_the_path_that_systemd_gives_them(image: Path, tmp_path: Path) -> None:
    place = "/run/credentials/linegate@line-3.service"
    tls = {"certificate": "/etc/linegate/ipc.pem", "private_key": f"{place}/ipc.key"}
    operators = [{"name": "anna", "pin": {"credential": "anna_pin"}}]
    health = {"listen": "0.0.0.0:8480", "tls": tls, "token": {"credential": "health"}, "operators": operators}
    assert install(image, configuration(tmp_path, health=health)).exit_code == 0
    drop_in = (image / UNITS / "linegate@line-3.service.d/50-line.conf").read_text()
    assert re.findall("^LoadCredential=(.*):", drop_in, re.MULTILINE) == ["anna_pin", "health", "ipc.key"]


def test_a_secret_that_is_not_there_is_as_missing_as_without_systemd(tmp_path: Path) -> None:
    """SetCredential's line break, where LoadCredential finds no file: the daemon must take it for nothing."""
    (tmp_path / "broker").write_text("\n")
    with pytest.raises(Exception, match="is empty"):
        Secret(credential="broker").resolve({"CREDENTIALS_DIRECTORY": str(tmp_path)})


def test_installed_again_it_follows_the_configuration(image: Path, tmp_path: Path) -> None:
    install(image, configuration(tmp_path, uplinks={"plant": PLANT}))
    drop_in = image / UNITS / "linegate@line-3.service.d/50-line.conf"
    assert drop_in.exists()
    changed = configuration(tmp_path)
    refused = install(image, changed)
    assert refused.exit_code == 2
    assert "is another configuration; move it away, or replace it with --force" in refused.output
    assert drop_in.exists()
    assert install(image, changed, "--force").exit_code == 0
    assert not drop_in.exists()
    in_place = image / "etc/linegate/line-3.yaml"
    assert install(image, in_place).exit_code == 0


def test_dry_run_prints_the_unit_and_changes_nothing(image: Path, tmp_path: Path) -> None:
    before = sorted(image.rglob("*"))
    done = install(image, configuration(tmp_path), "--dry-run")
    assert done.exit_code == 0
    assert "# file /etc/systemd/system/linegate@.service" in done.output
    assert "WatchdogSec=30" in done.output
    assert sorted(image.rglob("*")) == before


def test_uninstalls_what_it_wrote_and_data_only_when_asked(image: Path, tmp_path: Path) -> None:
    install(image, configuration(tmp_path, uplinks={"plant": PLANT}))
    own = image / UNITS / "linegate@line-3.service.d/mine.conf"
    own.write_text("[Service]\nNice=5\n")
    buffer = image / "var/lib/private/linegate/line-3/line-3.db"
    buffer.parent.mkdir(parents=True)
    buffer.write_text("undelivered")
    link = image / "var/lib/linegate/line-3"
    link.parent.mkdir(parents=True)
    link.symlink_to("../private/linegate/line-3")

    assert linegate("uninstall-service", "line-3", "--root", image).exit_code == 0
    assert (image / UNITS / "linegate@.service").exists()  # other lines may have it
    assert not (own.parent / "50-line.conf").exists()
    assert own.exists()
    own.unlink()
    archive, stamp = image / "var/backups/linegate/line-3.tar.zst", image / "var/lib/systemd/timers" / STAMP
    stamp.parent.mkdir(parents=True)
    for one in (archive, stamp):
        one.touch()
    shown = linegate("uninstall-service", "--root", image)
    assert shown.exit_code == 0
    assert "kept /var/backups/linegate, for there is line-3.tar.zst\n" in shown.stdout
    assert archive.exists()
    assert not stamp.exists()
    archive.unlink()
    assert (
        "# remove /var/backups/linegate if it is empty"
        in linegate("uninstall-service", "--root", image, "--dry-run").stdout
    )
    assert linegate("uninstall-service", "--root", image).stdout == "removed /var/backups/linegate\n"
    assert not list((image / UNITS).iterdir()), "unit, drop-ins, and the backup's service and timer"
    assert buffer.exists()
    assert (image / "etc/linegate/line-3.yaml").exists()

    asked = CliRunner().invoke(main, ["uninstall-service", "line-3", "--data", "--root", str(image)], input="n\n")
    assert asked.exit_code == 1
    assert buffer.exists()
    assert linegate("uninstall-service", "line-3", "--data", "--yes", "--root", image).exit_code == 0
    assert not buffer.exists()
    assert not os.path.lexists(link)
    assert not (image / "etc/linegate/line-3.yaml").exists()


def test_refuses_in_words(image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = configuration(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("os.geteuid", lambda: 1000)
        done = linegate("install-service", file, "--command", "/opt/linegate/bin/linegate")
        assert done.exit_code == 2
        assert "only root may write services and start them; use sudo" in done.output
        assert "only root" in linegate("uninstall-service", "line-3").output
    (image / UNITS).mkdir(parents=True)
    (image / UNITS / "linegate@.service").write_text("[Service]\n")
    done = install(image, file)
    assert done.exit_code == 2
    assert "is not written by this command" in done.output
    assert install(image, file, "--force").exit_code == 0
    assert (image / UNITS / "linegate@.service").read_text().startswith(MARK)
    assert "cannot be the name of a service" in install(image, file, "--line", "line 3").output
    assert "is no line's name" in linegate("uninstall-service", "../..", "--root", image).output
    file.write_text("{}")
    assert install(image, file).exit_code == 2
    (image / "opt/linegate/bin/linegate").write_text("#!/home/ann/venv/bin/python\n")
    done = install(image)
    assert done.exit_code == 2
    assert "/home/ann/venv/bin/python is hidden from the service; install linegate and its Python below" in done.output


def test_every_file_included_has_to_fit_below_the_directory(image: Path, tmp_path: Path) -> None:
    place = tmp_path / "lines"
    place.mkdir()
    (tmp_path / "reasons.yaml").write_text('{"reasons": {"40": "no caps"}}')
    done = install(image, configuration(place, include=["../reasons.yaml"]))
    assert done.exit_code == 2
    assert "includes" in done.output
    assert not (image / "etc/linegate").exists()
