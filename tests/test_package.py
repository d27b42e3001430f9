"""The wheel, installed in an environment of its own outside the checkout, has all that it needs."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("wheel")
    source = target / "source"  # a copy: building must not touch what the other tests are using
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, tracked.stdout.split("\0")):
        if not name.startswith("tests/") and (ROOT / name).exists():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).is_symlink():
                (source / name).symlink_to((ROOT / name).readlink())
            else:
                (source / name).write_bytes((ROOT / name).read_bytes())
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", target, source, cwd=target)
    (built,) = target.glob("*.whl")
    return built


@pytest.mark.timeout(300)
def test_wheel_holds_the_packages_and_their_data(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.split("/")[0] for name in names if "dist-info" not in name} == {"gateway", "protocols", "ext"}
    for needed in (
        "gateway/data/config/demo.yaml",
        "gateway/data/systemd/linegate@.service",
        "gateway/outbox/schema_1.sql",
        "gateway/outbox/schema_2.sql",
        "ext/table.pyi",
    ):
        assert needed in names
    assert any(name.startswith("ext/table.") and name.endswith(".so") for name in names)


@pytest.mark.timeout(300)
def test_demo_runs_from_the_wheel_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    lock = ROOT / "requirements.lock"
    run(
        python,
        "-m",
        "pip",
        "install",
        "-q",
        "--disable-pip-version-check",
        "--require-hashes",
        "-r",
        lock,
        cwd=tmp_path,
    )
    run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", wheel, cwd=tmp_path)
    linegate = tmp_path / "venv" / "bin" / "linegate"
    where = run(python, "-c", "import gateway; print(gateway.__file__)", cwd=tmp_path).stdout
    assert where.startswith(str(tmp_path))
    assert "linegate" in run(linegate, "--version", cwd=tmp_path).stdout
    shown = run(linegate, "demo", "--for", "4s", "--speed", "20", cwd=tmp_path).stdout
    assert "/api/line" in shown
