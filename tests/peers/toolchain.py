"""Compiles the C programs on libmodbus that tests and benchmarks speak to."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

SLAVE = Path(__file__).parent / "slave.c"
_COMPILE_S = 60.0


def compile_c(source: Path, place: Path) -> Path:
    """The program made of `source`, in `place`. RuntimeError, saying what to install, where that does not work."""
    compiler = next(
        (found for name in (os.environ.get("CC"), "cc", "gcc") if name and (found := shutil.which(name))), ""
    )
    if not compiler:
        raise RuntimeError("no C compiler: apt-get install gcc libc6-dev")
    program = place / source.stem
    command = [compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(program), str(source), "-lmodbus"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_COMPILE_S, check=False)
    if done.returncode and ("modbus.h" in done.stderr or "-lmodbus" in done.stderr):
        raise RuntimeError("libmodbus is missing: apt-get install libmodbus-dev")
    if done.returncode:
        raise RuntimeError(f"{source.name} does not compile:\n{done.stderr}")
    return program
