"""`python -m protocols.simulated`: the simulated line as a process, controlled over its standard input."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

import uvloop

from protocols.simulated.clock import SimulatedClock
from protocols.simulated.control import COMMANDS, Line, Plc, Simulation
from protocols.simulated.machine import CALM, Filler, Profile
from protocols.simulated.modbus import ModbusPlc
from protocols.simulated.process import VIOLATED, exit_code, obey_until_quit
from protocols.simulated.registers import ExtraUnit, FillerUnit, Unit
from protocols.simulated.truth import TruthLog

_REMEMBERED = 1000


class Served(Plc, Protocol):
    """A PLC as a process starts and ends it."""

    @property
    def port(self) -> int: ...
    @property
    def violations(self) -> Sequence[object]: ...
    async def start(self) -> int: ...
    async def close(self) -> None: ...


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m protocols.simulated",
        description="A simulated line: a filler behind a real Modbus TCP server and, where asked for, a capper behind "
        "an OPC UA server and a labeler behind an EtherNet/IP one. Prints one JSON line when it is ready, then "
        'answers commands on standard input, one a line, such as {"action": "fault", "code": 17, "machine": "filler"}; '
        f"actions are {', '.join(COMMANDS)}. Exit code {VIOLATED} if a client asked for anything but reading.",
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--capper", type=int, metavar="PORT", help="serve the capper too; 0 takes a free port")
    parser.add_argument("--labeler", type=int, metavar="PORT", help="serve the labeler too; 0 takes a free port")
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
    parser.add_argument("--flow", action="store_true", help="each machine works on what the one before it made")
    parser.add_argument("--bottles", type=int, default=0, metavar="N", help="where the counter of bottles begins")
    parser.add_argument("--rejects", type=int, default=0, metavar="N", help="where the counter of rejects begins")
    parser.add_argument("--recipe", metavar="TEXT", help="what the machines make, as their PLCs show it")
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
    counts = {"bottles": chosen.bottles, "rejects": chosen.rejects}
    plcs: dict[str, Served] = {}
    simulations: dict[str, Simulation] = {}
    source: Filler | None = None
    for index, (name, port) in enumerate((("filler", chosen.port), *_others(chosen))):
        observer = truth.of(name)
        machine = Filler(chosen.seed + index, profile, observer=observer, remember=_REMEMBERED, source=source, **counts)
        source = machine if chosen.flow else None
        machine.recipe = chosen.recipe or machine.recipe
        simulation = simulations[name] = Simulation(machine, clock)
        simulation.plc = plcs[name] = _plc(name, machine, simulation, port, chosen)
    line = Line(simulations)
    async with AsyncExitStack() as running:
        for plc in plcs.values():
            running.push_async_callback(plc.close)
            await plc.start()
        ports = {name: plc.port for name, plc in plcs.items()}
        try:
            await obey_until_quit(line, ports.pop("filler"), truth.flush, chosen.quit_on_eof, **ports)
        finally:
            line.now()
            truth.close(line.truths())
    return exit_code([violation for plc in plcs.values() for violation in plc.violations])


def _others(chosen: argparse.Namespace) -> Iterator[tuple[str, int]]:
    for name in ("capper", "labeler"):
        if (port := getattr(chosen, name)) is not None:
            yield name, port


def _plc(name: str, machine: Filler, simulation: Simulation, port: int, chosen: argparse.Namespace) -> Served:
    """The machine's PLC; the libraries of the others are for those who ask for them."""
    if name == "capper":
        from protocols.simulated.opcua import CapperPlc

        return CapperPlc(machine, simulation.now, chosen.host, port)
    if name == "labeler":
        from protocols.simulated.ethernet_ip.labeler import LabelerPlc

        return LabelerPlc(machine, simulation.now, chosen.host, port)
    return ModbusPlc(units(machine, chosen.units, chosen.extra_registers), simulation.now, chosen.host, port)


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
