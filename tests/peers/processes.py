"""The C slave and socat as processes, each awaited until it can be asked and ended by its own id."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.processes import free_port

SOCAT = Path("/usr/bin/socat")
READY_S = END_S = 10.0


@asynccontextmanager
async def _child(*command: str | Path, clean: bool = True) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process; where it is to end `clean`, any exit code but 0 fails the test."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        _, complaint = await asyncio.wait_for(process.communicate(), END_S)
    assert process.returncode == 0 or not clean, f"{command[0]} ended with {process.returncode}: {complaint.decode()}"


async def _ready(process: asyncio.subprocess.Process) -> int:
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), READY_S)
    assert line.startswith(b"ready "), f"the slave said {line!r}"
    return int(line.split()[1])


@asynccontextmanager
async def tcp_slave(program: Path, unit: int, *options: str, clean: bool = True) -> AsyncIterator[int]:
    """The C slave on TCP; its port. If `clean`, it fails the test if it was asked for anything but reading."""
    async with _child(program, "tcp", "0", str(unit), *options, clean=clean) as process:
        yield await _ready(process)


@asynccontextmanager
async def rtu_slave(program: Path, path: Path, unit: int, *options: str, baud: int = 115200) -> AsyncIterator[None]:
    """The C slave on a serial line, 8N1."""
    async with _child(program, "rtu", path, str(baud), "N", "1", str(unit), *options) as process:
        await _ready(process)
        yield


async def _said(process: asyncio.subprocess.Process, what: bytes, times: int = 1) -> None:
    assert process.stderr is not None
    async with asyncio.timeout(READY_S):
        while times:
            line = await process.stderr.readline()
            assert line, f"socat ended before it said {what.decode()}"
            times -= what in line


@asynccontextmanager
async def pty_pair(place: Path) -> AsyncIterator[tuple[Path, Path]]:
    """A serial line with two ends, as a null modem cable."""
    assert SOCAT.exists(), "socat is missing: apt-get install socat"
    ends = place / "near", place / "far"
    addresses = [f"pty,raw,echo=0,link={end}" for end in ends]
    async with _child(SOCAT, "-d", "-d", *addresses, clean=False) as process:
        await _said(process, b"starting data transfer loop")
        yield ends


@asynccontextmanager
async def serial_server(place: Path) -> AsyncIterator[tuple[int, Path]]:
    """A TCP port that passes bytes on to a serial line, for one connection: a terminal server; port and the line."""
    assert SOCAT.exists(), "socat is missing: apt-get install socat"
    port, line = free_port(), place / "line"
    addresses = (f"pty,raw,echo=0,link={line}", f"tcp-listen:{port},bind=127.0.0.1,reuseaddr,nodelay")
    async with _child(SOCAT, "-d", "-d", *addresses, clean=False) as process:
        await _said(process, b"listening on")
        yield port, line


@asynccontextmanager
async def line_to(place: Path, port: int) -> AsyncIterator[Path]:
    """A serial line whose far end is a TCP server that speaks RTU; the line."""
    assert SOCAT.exists(), "socat is missing: apt-get install socat"
    line = place / "line"
    async with _child(
        SOCAT, "-d", "-d", f"pty,raw,echo=0,link={line}", f"tcp:127.0.0.1:{port}", clean=False
    ) as process:
        await _said(process, b"starting data transfer loop")
        yield line
