"""A simulation as a process: commands on standard input, answers on standard output, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import sys
from collections.abc import Callable, Sequence
from typing import Any

from protocols.simulated.control import Line, Simulation

TICK_S = 0.2
"""How often the machine is brought up to date and its truth flushed, whether anybody reads or not."""
VIOLATED = 3
_QUIT = b'{"action": "quit"}'


async def obey_until_quit(
    simulation: Simulation | Line,
    port: int,
    flush: Callable[[], None] = lambda: None,
    quit_on_eof: bool = False,
    **ports: int,
) -> None:
    """Says that it is ready and where, then obeys until it is told to quit, by a command or a signal.

    `ports` are those of further machines, by name.
    """
    lines: asyncio.Queue[bytes] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, lines.put_nowait, _QUIT)
    standard_input = await _listen_to_input(lines, quit_on_eof)
    _say({"port": port, **ports, "pid": os.getpid()})
    try:
        while not simulation.ended:
            try:
                async with asyncio.timeout(TICK_S):
                    line = await lines.get()
            except TimeoutError:
                simulation.now()
            else:
                _say(await simulation.obey(line))
            flush()
    finally:
        if standard_input is not None:
            standard_input.close()


def exit_code(violations: Sequence[object]) -> int:
    """Names what clients asked for beside reading; the exit code that says so."""
    for violation in violations:
        sys.stderr.write(f"outside the allow-list: {violation}\n")
    return VIOLATED if violations else 0


class _Input(asyncio.Protocol):
    """Cuts standard input into lines."""

    def __init__(self, lines: asyncio.Queue[bytes], quit_on_eof: bool) -> None:
        self._lines, self._quit_on_eof = lines, quit_on_eof
        self._partial = b""

    def data_received(self, data: bytes) -> None:
        *whole, self._partial = (self._partial + data).split(b"\n")
        for line in filter(bytes.strip, whole):
            self._lines.put_nowait(line)

    def eof_received(self) -> None:
        if self._quit_on_eof:
            self._lines.put_nowait(_QUIT)


def _say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


async def _listen_to_input(lines: asyncio.Queue[bytes], quit_on_eof: bool) -> asyncio.BaseTransport | None:
    """Commands come through a pipe or a socket alone: a terminal or /dev/null is left in peace."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, AttributeError):  # closed
        return None
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return None
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: _Input(lines, quit_on_eof), sys.stdin)
    return transport
