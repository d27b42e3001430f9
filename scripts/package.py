"""Makes an archive that installs linegate on a machine without internet: wheels of all that it needs, and an installer.

Run from the checkout's environment, which has the lock's build tools: `python scripts/package.py [DIRECTORY]`.
"""

from __future__ import annotations

import ensurepip
import hashlib
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
INSTALLER = "install.sh"
LOCK = "requirements.lock"
NOT_SOURCE = (
    ".*",
    "*.c",
    "*.egg-info",
    "*.so",
    "__pycache__",
    "bench",
    "build",
    "dist",
    "node_modules",
    "state",
    "tests",
)


def needed() -> set[str]:
    """Names of all that linegate needs at run time, on this platform."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    waiting = [Requirement(text) for text in project["dependencies"]]
    found: set[tuple[str, str]] = set()
    while waiting:
        one = waiting.pop()
        for extra in ("", *one.extras):
            key = (canonicalize_name(one.name), extra)
            if key in found:
                continue
            found.add(key)
            further = [Requirement(text) for text in requires(one.name) or ()]
            waiting += [each for each in further if each.marker is None or each.marker.evaluate({"extra": extra})]
    return {name for name, _ in found}


def locked(names: set[str]) -> Iterator[str]:
    """The lock's entries of these, hashes included."""
    entries = re.split(r"^(?=[A-Za-z0-9])", (ROOT / LOCK).read_text(), flags=re.MULTILINE)[1:]
    by_name = {canonicalize_name(re.split(r"[=\[; ]", entry, maxsplit=1)[0]): entry for entry in entries}
    if absent := names - by_name.keys():
        sys.exit(f"{LOCK} lacks {', '.join(sorted(absent))}: compile it again (CONTRIBUTING.md)")
    for name in sorted(names):
        yield by_name[name]


def pip_wheel(*arguments: str | Path, into: Path) -> None:
    """`pip wheel`, which takes built wheels where there are some."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*command, "--wheel-dir", str(into), *map(str, arguments)], check=True)


def fill(directory: Path) -> None:
    """Everything that the archive holds."""
    wheels = directory / "wheels"
    wheels.mkdir(parents=True)
    requirements = directory / LOCK
    requirements.write_text("".join(locked(needed())))
    pip_wheel("--require-hashes", "-r", requirements, into=wheels)
    with tempfile.TemporaryDirectory() as place:  # what an earlier build left must not get in, nor this one be left
        source = Path(place) / "linegate"
        shutil.copytree(ROOT, source, symlinks=True, ignore=shutil.ignore_patterns(*NOT_SOURCE))
        pip_wheel("--no-build-isolation", source, into=wheels)
    # so that the machine needs no python3-venv: what comes with this Python runs as it is
    for wheel in (Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl"):
        shutil.copy(wheel, directory / "pip.whl")
    tag = f"{sys.version_info.major}.{sys.version_info.minor}"
    installer = (ROOT / "scripts" / INSTALLER).read_text()
    installer = installer.replace("@PYTHON@", tag).replace("@MACHINE@", platform.machine())
    (directory / INSTALLER).write_text(installer)
    (directory / INSTALLER).chmod(0o755)
    for name in ("LICENSE", "CHANGELOG.md", "docs/installation.md"):
        shutil.copy(ROOT / name, directory)
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(directory)}\n" for path in files]
    (directory / "SHA256SUMS").write_text("".join(sums))


def main(target: Path) -> None:
    """Write the archive into `target`."""
    (version,) = re.findall(r'^__version__ = "(.+)"$', (ROOT / "gateway" / "__init__.py").read_text(), re.MULTILINE)
    platform_tag = sysconfig.get_platform().replace("-", "_")
    name = f"linegate-{version}-cp{sys.version_info.major}{sys.version_info.minor}-{platform_tag}"
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target) as place:
        fill(Path(place) / name)
        archive = Path(place) / "archive"
        with tarfile.open(archive, "w:gz", compresslevel=1) as tar:  # wheels are compressed already
            tar.add(Path(place) / name, arcname=name)
        archive.chmod(0o644)
        final = archive.rename(target / f"{name}.tar.gz")
    sys.stdout.write(f"{final}: {final.stat().st_size / 1e6:.1f} MB\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "dist")
