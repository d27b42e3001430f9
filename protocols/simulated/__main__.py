"""`python -m protocols.simulated`: the simulated line as a process, controlled over its standard input."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import stat
import sys
from pathlib import Path
from typing import Any

import uvloop

from protocols.simulated.clock import SimulatedClock
from protocols.simulated.control import COMMANDS, Simulation
from protocols.simulated.machine import CALM, Filler, Profile
from protocols.simulated.modbus import ModbusPlc
from protocols.simulated.registers import ExtraUnit, FillerUnit, Unit
from protocols.simulated.truth import TruthLog

TICK_S = 0.2
"""How often the machine is brought up to date and its truth flushed, whether anybody reads or not."""
VIOLATED = 3
_REMEMBERED = 1000
_QUIT = b'{"action": "quit"}'


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m protocols.simulated",
        description="A simulated filler behind a real Modbus TCP server. Prints one JSON line when it is ready, then "
        'answers commands on standard input, one a line, such as {"action": "fault", "code": 17}; actions are '
        f"{', '.join(COMMANDS)}. Exit code {VIOLATED} if a client asked for anything but reading.",
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same life")
    parser.add_argument("--speed", type=float, default=1.0, help="simulated seconds in a real one")
    parser.add_argument("--truth", type=Path, metavar="FILE", help="where to log what really happened")
    parser.add_argument(
        "--extra-registers", type=int, default=0, metavar="N", help="float32 values a unit from 1000 on"
    )
    parser.add_argument(
        "--units", type=int, default=1, metavar="N", help="unit ids; those above 1 have extra values only"
    )
    parser.add_argument("--chaos", choices=("on", "off"), default="on", help="off: only trouble that is commanded")
    parser.add_argument("--bottles", type=int, default=0, metavar="N", help="where the counter of bottles begins")
    parser.add_argument("--rejects", type=int, default=0, metavar="N", help="where the counter of rejects begins")
    parser.add_argument("--frozen", action="store_true", help="time stands still until the first thaw")
    parser.add_argument("--quit-on-eof", action="store_true", help="end with the process that holds standard input")
    chosen = parser.parse_args(argv)
    if not 1 <= chosen.units <= 247:
        parser.error("--units is between 1 and 247")
    return chosen


def units(filler: Filler, count: int, extra_values: int) -> dict[int, Unit]:
    """Unit 1 is the filler's PLC; all have the extra values."""
    extra = ExtraUnit(extra_values)
    others: dict[int, Unit] = dict.fromkeys(range(2, count + 1), extra)
    return {1: FillerUnit(filler, extra), **others}


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


async def _obey_until_quit(simulation: Simulation, truth: TruthLog, lines: asyncio.Queue[bytes]) -> None:
    while not simulation.ended:
        try:
            async with asyncio.timeout(TICK_S):
                line = await lines.get()
        except TimeoutError:
            simulation.now()
        else:
            _say(await simulation.obey(line))
        truth.flush()


async def serve(chosen: argparse.Namespace) -> int:
    """Serves until it is told to quit; the exit code."""
    clock = SimulatedClock(chosen.speed, frozen=chosen.frozen)
    truth = TruthLog(chosen.truth, clock)
    profile = Profile() if chosen.chaos == "on" else CALM
    filler = Filler(
        chosen.seed,
        profile,
        bottles=chosen.bottles,
        rejects=chosen.rejects,
        observer=truth.observe,
        remember=_REMEMBERED,
    )
    simulation = Simulation(filler, clock)
    plc = ModbusPlc(units(filler, chosen.units, chosen.extra_registers), simulation.now, chosen.host, chosen.port)
    simulation.plc = plc
    lines: asyncio.Queue[bytes] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, lines.put_nowait, _QUIT)
    await plc.start()
    standard_input = await _listen_to_input(lines, chosen.quit_on_eof)
    _say({"port": plc.port, "pid": os.getpid()})
    try:
        await _obey_until_quit(simulation, truth, lines)
    finally:
        simulation.now()
        truth.close(filler.truth())
        await plc.close()
        if standard_input is not None:
            standard_input.close()
    for violation in plc.violations:
        sys.stderr.write(f"outside the allow-list: {violation}\n")
    return VIOLATED if plc.violations else 0


def main() -> int:
    """Runs the process; the exit code."""
    chosen = arguments()
    try:
        return uvloop.run(serve(chosen))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
