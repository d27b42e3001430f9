"""`linegate read`: what every signal says now, over connections of its own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TextIO

import orjson
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from gateway.check import load_or_exit
from gateway.config.model import Config
from gateway.log import configure_logging
from gateway.runner.looking import Found, Looking, Reading
from gateway.sheet import Sheet, aligned, drawn, shown_number
from gateway.word_orders import with_all_orders
from protocols.discovery import shown_line

GOOD, TROUBLE, WRONG = 0, 1, 2
EVERY_S = 0.5
"""Between two looks of a person who watches."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to read, and how long to wait for it."""

    only: Sequence[str] = ()
    """Globs of devices and of `device.signal`; all where there are none."""
    orders: bool = False
    seconds: float = 30.0

    def device(self, name: str) -> bool:
        """Whether anything of a device is wanted."""
        return not self.only or any(fnmatchcase(name, one.partition(".")[0]) for one in self.only)

    def signal(self, name: str) -> bool:
        """Of `device.signal`."""
        name = name.partition("[")[0]  # as it is configured
        device = name.partition(".")[0]
        return not self.only or any(fnmatchcase(name if "." in one else device, one) for one in self.only)


def read_file(file: Path, state_dir: Path, wanted: Wanted, *, watch: bool, as_json: bool) -> int:
    """The exit code: 0 where every signal is good, 1 where one is not, 2 where nothing in the file is wanted."""
    config = load_or_exit(file)
    devices = {name: device for name, device in config.devices.items() if wanted.device(name)}
    if not devices:
        sys.stderr.write(f"{file} has no device like {', '.join(wanted.only)}; it has {', '.join(config.devices)}\n")
        return WRONG
    config = config.model_copy(update={"devices": with_all_orders(devices) if wanted.orders else devices})
    configure_logging("ERROR")  # what is to be said of devices stands in the table
    try:
        return asyncio.run((_watch if watch else _once)(config, state_dir, wanted, sys.stdout, as_json))
    except (KeyboardInterrupt, BrokenPipeError):
        return GOOD


async def _once(config: Config, state_dir: Path, wanted: Wanted, out: TextIO, as_json: bool) -> int:
    async with Looking(config, state_dir) as looking:
        await looking.settle(wanted.seconds)
        found = [*looking.found()]
    readings = [reading for one in found for reading in one.readings if wanted.signal(reading.signal)]
    if as_json:
        out.writelines(_line(reading) for reading in readings)
    elif out.isatty():
        Console(file=out).print(_drawn(found, readings))
    else:
        out.writelines(f"{line}\n" for line in aligned(_sheet(readings)))
    sys.stderr.writelines(f"{words}\n" for words in _troubles(found))
    return GOOD if all(reading.quality == "good" for reading in readings) else TROUBLE


async def _watch(config: Config, state_dir: Path, wanted: Wanted, out: TextIO, as_json: bool) -> int:
    """Until the person has seen enough: the whole table again and again, or in a pipe what has changed."""
    async with Looking(config, state_dir) as looking:
        if out.isatty() and not as_json:
            with Live(console=Console(file=out), auto_refresh=False) as live:
                while True:
                    found = [*looking.found()]
                    readings = [one for device in found for one in device.readings if wanted.signal(one.signal)]
                    live.update(_drawn(found, readings), refresh=True)
                    await asyncio.sleep(EVERY_S)
        said: dict[str, tuple[object, ...]] = {}
        await looking.settle(wanted.seconds)
        while True:
            for reading in (one for device in looking.found() for one in device.readings if wanted.signal(one.signal)):
                content = (reading.value, reading.quality, reading.why)
                if said.get(reading.signal) != content:
                    said[reading.signal] = content
                    out.write(_line(reading) if as_json else f"{'  '.join(_row(reading))}\n")
            out.flush()
            await asyncio.sleep(EVERY_S)


def _line(reading: Reading) -> str:
    return orjson.dumps(reading.as_json()).decode() + "\n"


def _sheet(readings: Iterable[Reading]) -> Sheet:
    headings = ("signal", ">value", "unit", "quality", ">ms", "source time", "why")
    return Sheet("signals", headings, [_row(reading) for reading in readings])


def _row(reading: Reading) -> tuple[str, ...]:
    value = "" if reading.value is None else shown_line(shown_number(reading.value), 60)
    took = "" if reading.round_trip_ms is None else f"{reading.round_trip_ms:.1f}"
    why = shown_line(reading.why or "", 80)
    return reading.signal, value, reading.unit or "", reading.quality, took, reading.source_time or "", why


def _drawn(found: Iterable[Found], readings: Iterable[Reading]) -> Group:
    troubles = [Text(words, style="red") for words in _troubles(found)]
    return Group(drawn(_sheet(readings), _style), *troubles)


def _style(cell: str) -> str:
    return {"good": "green", "bad": "bold red", "uncertain": "yellow"}.get(cell, "")


def _troubles(found: Iterable[Found]) -> Iterator[str]:
    for one in found:
        if not one.connected:
            yield shown_line(f"{one.device} at {one.endpoint}: {one.why}; {one.remedy}".rstrip("; "))
