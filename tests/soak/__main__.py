"""`make soak`: a line under load with faults on every side, for as long as is asked, and what that leaves."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
import tempfile
import traceback
from pathlib import Path

from rich.console import Console
from rich.table import Table

from protocols.settings import parse_duration
from tests.soak.samples import growth, warm
from tests.soak.soak import MAY_GROW, Figures, Soak
from tests.torture.book import Broken

_LINE_EVERY_S = 60.0
_console = Console(width=None if sys.stdout.isatty() else 120, highlight=False, markup=False)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="make soak SOAK_ARGS=...",
        description="Runs a simulated line of three machines over Modbus TCP, OPC UA and EtherNet/IP, with a file, an "
        "MQTT and an HTTP uplink, while something goes wrong with each PLC, broker, server, the disk and the "
        "configuration all the time. Exit code 1 if the daemon then has more memory, descriptors or tasks than "
        "before, a device that nothing was done to missed scans, or an uplink lacks an event.",
    )
    parser.add_argument("--for", dest="seconds", type=_seconds, default=300.0, metavar="8h", help="default 5min")
    parser.add_argument("--seed", type=int, metavar="N", help="the faults of an earlier soak, as far as timing allows")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave everything in a new directory")
    return parser.parse_args()


def _seconds(text: str) -> float:
    return parse_duration(text) / 1000


class Show:
    """A line a minute, and the figures at the end."""

    def __init__(self) -> None:
        self._next = 0.0

    def look(self, figures: Figures) -> None:
        """So it is now."""
        if figures.seconds < self._next:
            return
        self._next = figures.seconds + _LINE_EVERY_S
        now = figures.samples[-1]
        _console.print(
            f"{figures.seconds:6.0f} s, {figures.faults.total()} faults: {now.resident_bytes / 1e6:.1f} MB, "
            f"{now.descriptors:.0f} descriptors, {now.threads:.0f} threads, {now.tasks:.0f} tasks; "
            f"{figures.skipped} of {figures.scans} scans missed"
        )

    def figures(self, figures: Figures) -> None:
        """What was measured."""
        if figures.faults:
            faults = Table("fault", "times")
            for fault, times in sorted(figures.faults.items()):
                faults.add_row(fault, str(times))
            _console.print(faults)
        if len(figures.samples) < 6 or figures.rest is None:
            return
        table = Table("", "at rest, before", "after", "grew", "may grow")
        for name, most in MAY_GROW.items():
            grown = growth(warm(figures.samples), name)
            rest = [f"{getattr(sample, name):,.0f}" for sample in figures.rest]
            table.add_row(name, *rest, f"{grown:+,.1f}", f"{most:,.0f}")
        _console.print(table)
        samples = figures.samples
        share = (samples[-1].cpu_s - samples[0].cpu_s) / (samples[-1].at - samples[0].at)
        _console.print(
            f"processor {share:.1%} of a core, event loop late by at most {max(one.lag_s for one in samples):.3f} s; "
            f"of {figures.scans} scans of a device that nothing was done to {figures.skipped} were missed, "
            f"at most {figures.longest_s:.2f} s between two, and its data were at most "
            f"{max(one.age_s for one in samples):.2f} s old"
        )

    def held(self, figures: Figures) -> None:
        """All promises held."""
        self.figures(figures)
        twice = ", ".join(f"{count} by {name}" for name, count in figures.duplicates.items())
        _console.print(
            f"{figures.faults.total()} faults in {figures.seconds:.0f} s, seed {figures.seed}: "
            f"{figures.events} events, delivered twice {twice}; "
            f"{figures.made} parts made and told, {figures.recovered} of them recovered. "
            "Nothing is missing, nothing doubled, nothing leaked."
        )

    def broken(self, figures: Figures, error: Exception, kept: Path | None) -> None:
        """A promise did not hold."""
        self.figures(figures)
        where = f"everything is in {kept}" if kept else "--keep DIR leaves everything there"
        _console.print(f"Broken after {figures.seconds:.0f} s, seed {figures.seed}: {error}\n{where}.")


def main() -> int:
    """One soak; the exit code."""
    chosen = arguments()
    seed = secrets.randbelow(1_000_000) if chosen.seed is None else chosen.seed
    with tempfile.TemporaryDirectory(prefix="soak-") as scratch:
        show = Show()
        soak = Soak((chosen.keep or Path(scratch)).resolve(), seed, chosen.seconds, show.look)
        try:
            figures = asyncio.run(soak.run())
        except Exception as error:  # noqa: BLE001 - whatever ends a soak is a finding, and is told with its seed
            if not isinstance(error, Broken):
                traceback.print_exc()
            show.broken(soak.figures, error, chosen.keep)
            return 1
        show.held(figures)
        return 0


if __name__ == "__main__":
    sys.exit(main())
