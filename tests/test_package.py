"""The archive for machines without internet has all that it needs, and what it installs runs outside the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NO_NETWORK = {
    "http_proxy": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
    "PIP_INDEX_URL": "http://127.0.0.1:9",
}


def run(*command: str | Path, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env={**environment, **more}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("package")
    run(sys.executable, ROOT / "scripts" / "package.py", target, cwd=target, CFLAGS="-O0")  # it need not be fast
    (archive,) = target.iterdir()
    with tarfile.open(archive) as tar:
        tar.extractall(target / "unpacked", filter="data")
    (directory,) = (target / "unpacked").iterdir()
    assert archive.name == f"{directory.name}.tar.gz"
    return directory


def test_wheel_holds_the_packages_and_their_data(unpacked: Path) -> None:
    (wheel,) = (unpacked / "wheels").glob("linegate-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.split("/")[0] for name in names if "dist-info" not in name} == {"gateway", "protocols", "ext"}
    schemas = {f"gateway/outbox/{path.name}" for path in (ROOT / "gateway/outbox").glob("*.sql")}
    assert schemas <= names
    for needed in (
        "gateway/data/config/demo.yaml",
        "gateway/data/systemd/linegate@.service",
        "gateway/data/systemd/serial.conf",
        "gateway/page/assets/index.html",
        "gateway/page/assets/views/line.js",
        "gateway/page/assets/vendor/README.md",
        "ext/table.pyi",
    ):
        assert needed in names
    assert any(name.startswith("ext/table.") and name.endswith(".so") for name in names)


def test_installs_without_network_and_runs_outside_the_checkout(unpacked: Path, tmp_path: Path) -> None:
    prefix = tmp_path / "opt" / "linegate"
    run(unpacked / "install.sh", prefix, cwd=tmp_path, PYTHON=sys.executable, **NO_NETWORK)
    linegate = prefix / "bin" / "linegate"
    where = run(prefix / "bin" / "python", "-c", "import gateway; print(gateway.__file__)", cwd=tmp_path).stdout
    assert where.startswith(str(prefix))
    assert "linegate" in run(linegate, "--version", cwd=tmp_path).stdout
    shown = run(linegate, "demo", "--for", "4s", "--speed", "20", cwd=tmp_path, **NO_NETWORK).stdout
    assert "/api/line" in shown
    assert f"ExecStart={linegate} run" in run(linegate, "install-service", "--dry-run", cwd=tmp_path).stdout


def test_a_damaged_archive_installs_nothing(unpacked: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("install.sh", "SHA256SUMS", "LICENSE"):
        (copy / name).write_bytes((unpacked / name).read_bytes())
    for broken in ("LICENSE", "SHA256SUMS"):
        (copy / broken).write_text("garbled\n")
        done = subprocess.run(
            ["sh", copy / "install.sh", tmp_path / "opt"],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHON": sys.executable},
            check=False,
        )
        assert done.returncode == 1
        assert "linegate is not installed: the archive is damaged; copy it again" in done.stderr
    assert not (tmp_path / "opt").exists()
