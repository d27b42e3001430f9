"""`python -m protocols.simulated.ethernet_ip`: the labeler's controller as a process, for tests."""

from __future__ import annotations

import argparse
import sys

import uvloop

from protocols.simulated.clock import SimulatedClock
from protocols.simulated.ethernet_ip.control import COMMANDS, LabelerSimulation
from protocols.simulated.ethernet_ip.labeler import LabelerPlc
from protocols.simulated.ethernet_ip.objects import Identity
from protocols.simulated.machine import CALM, Filler, Profile
from protocols.simulated.process import VIOLATED, exit_code, obey_until_quit

_REMEMBERED = 1000


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m protocols.simulated.ethernet_ip",
        description="A simulated labeler behind a real EtherNet/IP server. Prints one JSON line when it is ready, then "
        'answers commands on standard input, one a line, such as {"action": "delay", "ms": 500, "replies": 1}; actions '
        f"are {', '.join(COMMANDS)}. Exit code {VIOLATED} if a client asked for anything but reading.",
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one, for TCP and UDP")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same life")
    parser.add_argument("--speed", type=float, default=1.0, help="simulated seconds in a real one")
    parser.add_argument("--chaos", choices=("on", "off"), default="on", help="off: only trouble that is commanded")
    parser.add_argument("--frozen", action="store_true", help="time stands still until the first thaw")
    parser.add_argument("--quit-on-eof", action="store_true", help="end with the process that holds standard input")
    parser.add_argument("--extra-tags", type=int, default=0, metavar="N", help="DINT and REAL in turn")
    parser.add_argument("--showcase", action="store_true", help="tags of every type, arrays, large structures")
    parser.add_argument(
        "--firmware", type=int, default=Identity().major, metavar="MAJOR", help="below 21: no instances"
    )
    parser.add_argument("--route", action="append", metavar="PATH", help="a path that leads here, 1/0 by default")
    return parser.parse_args(argv)


async def serve(chosen: argparse.Namespace) -> int:
    """Serves until it is told to quit; the exit code."""
    clock = SimulatedClock(chosen.speed, frozen=chosen.frozen)
    machine = Filler(chosen.seed, Profile() if chosen.chaos == "on" else CALM, remember=_REMEMBERED)
    simulation = LabelerSimulation(machine, clock)
    plc = LabelerPlc(
        machine,
        simulation.now,
        chosen.host,
        chosen.port,
        chosen.extra_tags,
        chosen.showcase,
        Identity(major=chosen.firmware),
        chosen.route or ("1/0",),
    )
    simulation.plc = simulation.labeler = plc
    await plc.start()
    try:
        await obey_until_quit(simulation, plc.port, quit_on_eof=chosen.quit_on_eof)
    finally:
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
