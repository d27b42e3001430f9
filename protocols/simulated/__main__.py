"""`python -m protocols.simulated`: the simulated line as a process, controlled over its standard input."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import uvloop

from protocols.simulated.clock import SimulatedClock
from protocols.simulated.control import COMMANDS, Simulation
from protocols.simulated.machine import CALM, Filler, Profile
from protocols.simulated.modbus import ModbusPlc
from protocols.simulated.process import VIOLATED, exit_code, obey_until_quit
from protocols.simulated.registers import ExtraUnit, FillerUnit, Unit
from protocols.simulated.truth import TruthLog

_REMEMBERED = 1000


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
    await plc.start()
    try:
        await obey_until_quit(simulation, plc.port, truth.flush, chosen.quit_on_eof)
    finally:
        simulation.now()
        truth.close(filler.truth())
        await plc.close()
    return exit_code(plc.violations)


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
