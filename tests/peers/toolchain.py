"""Compiles the C programs and libraries of tests and benchmarks."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

SLAVE = Path(__file__).parent / "slave.c"
_COMPILE_S = 300.0


def compile_c(source: Path, place: Path) -> Path:
    """The program made of `source` and libmodbus, in `place`. RuntimeError, saying what to install, where it fails."""
    try:
        return compile_with(source, place / source.stem, "-lmodbus")
    except RuntimeError as error:
        if "modbus.h" in str(error) or "-lmodbus" in str(error):
            raise RuntimeError("libmodbus is missing: apt-get install libmodbus-dev") from None
        raise


def compile_with(source: Path, made: Path, *flags: str) -> Path:
    """What the compiler makes of `source`. RuntimeError with what it says, or what to install."""
    compiler = next(
        (found for name in (os.environ.get("CC"), "cc", "gcc") if name and (found := shutil.which(name))), ""
    )
    if not compiler:
        raise RuntimeError("no C compiler: apt-get install gcc libc6-dev")
    command = [compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(made), str(source), *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_COMPILE_S, check=False)
    if done.returncode:
        raise RuntimeError(f"{source.name} does not compile:\n{done.stderr}")
    return made
