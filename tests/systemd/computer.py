"""A computer of its own with a real systemd as PID 1, thrown away after the test: a container over this one's `/usr`.

Nothing else of this machine is in it: `/etc`, `/var`, `/opt` and all else are empty and in memory, the network is a
loopback. So what an archive needs beyond Debian's packages shows. All its processes are in one namespace, which ends
with this one, whatever happens.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import psutil

T = TypeVar("T")
BOOT_S, OFF_S = 60.0, 20.0
LOOK_S = 0.1
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
"""For which the archive is made; the container has it where it is below `/usr`."""
CGROUPS = ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def missing() -> str:
    """What this machine lacks for it, with the remedy; "" where it may be tried."""
    if os.geteuid() != 0:
        return "only root may boot a container: run it with sudo"
    if not Path("/usr/lib/systemd/systemd").exists():
        return "there is no systemd below /usr/lib: apt-get install systemd"
    if not shutil.which(PYTHON, path=PATH):
        return f"there is no {PYTHON} below /usr, where a service sees it: apt-get install {PYTHON}, or make PYTHON=..."
    tools = {"systemd-nspawn": "systemd-container", "nsenter": "util-linux"}
    return ", ".join(f"{tool} is missing: apt-get install {of}" for tool, of in tools.items() if not shutil.which(tool))


class Computer:
    """What runs in the container."""

    def __init__(self, first: int, log: Path) -> None:
        self._first = first
        self._log = log

    def tried(self, *command: str | Path, given: str = "", seconds: float = 90) -> subprocess.CompletedProcess[str]:
        """A command's end, whatever it was."""
        enter = ("nsenter", f"--target={self._first}", "--all", "/usr/bin/env", "-i", f"PATH={PATH}", "HOME=/root")
        return subprocess.run(
            [*enter, *map(str, command)], input=given, capture_output=True, text=True, timeout=seconds, check=False
        )

    def run(self, *command: str | Path, given: str = "") -> str:
        """What a command that succeeds says on its standard output."""
        done = self.tried(*command, given=given)
        assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout.strip()

    def shows(self, unit: str, *names: str) -> list[str]:
        """Properties of a unit, as `systemctl show` has them."""
        said = self.run("systemctl", "show", unit, *(f"--property={name}" for name in names))
        found = dict(line.partition("=")[::2] for line in said.splitlines())
        return [found[name] for name in names]

    def journal(self, unit: str) -> str:
        """All that a unit, and systemd of it, said."""
        return self.run("journalctl", "--unit", unit, "--no-pager", "--output", "cat")

    def until(self, what: Callable[[], T], seconds: float = 40) -> T:
        """The first true answer."""
        deadline = time.monotonic() + seconds
        while not (answer := what()):
            assert time.monotonic() < deadline, f"it did not come true within {seconds} s: {self._log.read_text()}"
            time.sleep(LOOK_S)
        return answer


@contextmanager
def computer(*bound: tuple[Path, str]) -> Iterator[Computer]:
    """One that is up; `bound` are directories of this machine and where they are in it, read-only."""
    assert not missing(), missing()
    before = {place for top in CGROUPS for place in Path(top).glob("*")}
    with tempfile.TemporaryDirectory(prefix="computer-") as scratch:
        log = Path(scratch) / "console.log"
        # without a systemd here nobody can give it a scope or keep a register of it
        alone = [] if Path("/run/systemd/system").is_dir() else ["--keep-unit"]
        with log.open("wb") as said:
            container = subprocess.Popen(
                [
                    "setpriv", "--pdeathsig=KILL", "unshare", "--pid", "--fork", "--kill-child=KILL", "--mount-proc",
                    "systemd-nspawn", "--quiet", "--directory=/", "--volatile=yes", f"--machine=linegate-{os.getpid()}",
                    "--register=no", *alone, "--private-network", "--link-journal=no", "--console=pipe",
                    *(f"--bind-ro={here}:{there}" for here, there in bound),
                    "--boot", "--", "--unit=basic.target", "systemd.firstboot=no",
                ],
                stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True,
            )  # fmt: skip
        try:
            yield _booted(container, log)
        finally:
            _switch_off(container)
            for top in CGROUPS:
                for left in ("payload", "supervisor"):
                    _remove_cgroup(Path(top) / left, before)


def _booted(container: subprocess.Popen[bytes], log: Path) -> Computer:
    deadline = time.monotonic() + BOOT_S
    while container.poll() is None and time.monotonic() < deadline:
        if first := _first(container):
            one = Computer(first, log)
            with suppress(subprocess.TimeoutExpired):
                if one.tried("systemctl", "is-active", "basic.target", seconds=10).stdout == "active\n":
                    return one
        time.sleep(LOOK_S)
    raise AssertionError(f"no container can be booted here: {log.read_text()[-2000:]}")


def _first(container: subprocess.Popen[bytes]) -> int | None:
    """The container's PID 1, by its number here."""
    found = _within(container, "systemd")
    return None if found is None else found.pid


def _within(container: subprocess.Popen[bytes], name: str) -> psutil.Process | None:
    with suppress(psutil.NoSuchProcess):
        return next((one for one in psutil.Process(container.pid).children(recursive=True) if one.name() == name), None)
    return None


def _switch_off(container: subprocess.Popen[bytes]) -> None:
    """In order, so that it unmounts what it mounted; what does not end is killed with the namespace."""
    with suppress(psutil.NoSuchProcess):
        if nspawn := _within(container, "systemd-nspawn"):
            nspawn.terminate()
            with suppress(subprocess.TimeoutExpired):
                container.wait(OFF_S)
    container.kill()
    container.wait(OFF_S)


def _remove_cgroup(place: Path, before: set[Path]) -> None:
    """What nspawn leaves behind where no systemd tidies up."""
    if place in before:
        return
    for inner in sorted(place.rglob("*/"), reverse=True):
        with suppress(OSError):
            inner.rmdir()
    with suppress(OSError):
        place.rmdir()
