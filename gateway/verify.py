"""`linegate verify` and `linegate mute`: a person counts beside the daemon, or works on a machine while it runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from gateway.check import load_or_exit
from gateway.config.model import Config, MachineConfig
from gateway.control.client import ask_daemon
from gateway.control.wire import ControlError, Refused
from gateway.progress import Progress
from gateway.sheet import Sheet, aligned
from gateway.signals import moduli
from protocols.settings import counted

GOOD, TROUBLE, WRONG = 0, 1, 2
LOOK_S = 0.5

Line = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Count:
    """One count by hand."""

    machine: str
    seconds: float
    hand: int | None
    """None: asked for at the end."""
    who: str
    tolerance: int
    """Parts by which a hand may be beside the truth: those between the sensor and the eye."""


def verify_file(file: Path, state_dir: Path, count: Count, ask_hand: Callable[[], int], *, as_json: bool) -> int:
    """The exit code: 0 where all three agree, 1 where they don't or no daemon answers, 2 for a wrong machine."""
    config = load_or_exit(file)
    machine = config.machines.get(count.machine)
    if machine is None or machine.parts is None:
        have = [name for name, one in config.machines.items() if one.parts is not None]
        sys.stderr.write(f"{count.machine} is no machine with counters; those are: {', '.join(have) or 'none'}\n")
        return WRONG
    buffer = state_dir / config.buffer.path
    try:
        (before,) = ask_daemon(state_dir, buffer, "line")
        _wait(count.seconds)
        (after,) = ask_daemon(state_dir, buffer, "line")
        hand = ask_hand() if count.hand is None else count.hand
        found = {
            "gateway": made(count.machine, before, after),
            "plc": counted_by_plc(config, machine, before, after),
            "hand": hand,
        }
        agrees = found["gateway"] == found["plc"] and agree(found["gateway"], hand, count.tolerance)
        told = {"machine": count.machine, "began": before["at"], **found, "agrees": agrees, "who": count.who}
        list(ask_daemon(state_dir, buffer, "machine.verified", **told))
    except ControlError as error:
        sys.stderr.write(f"{error.why}; {error.remedy}\n" if error.remedy else f"{error.why}\n")
        return TROUBLE
    if as_json:
        sys.stdout.write(orjson.dumps({**found, "agrees": agrees}).decode() + "\n")
    else:
        sys.stdout.write(shown(found, agrees))
    return GOOD if agrees else TROUBLE


def made(machine: str, before: Line, after: Line) -> int | None:
    """By the gateway, in the machine's own unit; None where it cannot say."""
    counts = [line["machines"][machine]["ever"]["total"] for line in (before, after)]
    return None if None in counts else counts[1] - counts[0]


def counted_by_plc(config: Config, machine: MachineConfig, before: Line, after: Line) -> int | None:
    """By the raw readings of the counters that show parts; None where one could not be read, or ran backwards."""
    parts, ranges, total = machine.parts, moduli(config), 0
    assert parts is not None
    roles = ("total",) if parts.total is not None else ("good", "scrap")
    for place, counter in parts.counters:
        if place[0] not in roles:
            continue
        device, _, name = counter.signal.partition(".")
        values = [line["devices"][device]["signals"][name]["value"] for line in (before, after)]
        if None in values:
            return None
        step, modulus = values[1] - values[0], ranges.get(counter.signal)
        modulus = counter.rollover + 1 if counter.rollover is not None else modulus
        if step < 0 and modulus is None:
            return None
        total += int(step if modulus is None else step % modulus)
    return total


def agree(gateway: int | None, hand: int, tolerance: int) -> bool:
    """Whether a count by hand is what the gateway counted, but for parts on their way past both."""
    return gateway is not None and abs(gateway - hand) <= tolerance


def shown(found: Mapping[str, int | None], agrees: bool) -> str:
    """For people."""
    rows = [(name, "not known" if value is None else f"{value:,}") for name, value in found.items()]
    lines = [*aligned(Sheet("", ("counted by", ">parts"), rows)), VERDICT[agrees]]
    return "".join(f"{line}\n" for line in lines)


VERDICT = {
    True: "they agree; a machine.verified event says so",
    False: "they do NOT agree; a machine.verified event says so. See `linegate read` for the counter, and `each`",
}


def _wait(seconds: float) -> None:
    progress, ends = Progress(sys.stderr), time.monotonic() + seconds
    while (left := ends - time.monotonic()) > 0:
        progress(f"counting for {counted(round(left), 'second')} more")
        time.sleep(min(LOOK_S, left))
    progress.done()


def mute_machine(file: Path, state_dir: Path, machine: str, seconds: float, who: str, why: str) -> int:
    """The exit code: 0, 1 where no daemon runs, or 2 where it refused."""
    config = load_or_exit(file)
    asked = {"machine": machine, "seconds": seconds, "who": who, "why": why}
    try:
        list(ask_daemon(state_dir, state_dir / config.buffer.path, "machine.mute", **asked))
    except ControlError as error:
        sys.stderr.write(f"{error.why}; {error.remedy}\n" if error.remedy else f"{error.why}\n")
        return WRONG if isinstance(error, Refused) else TROUBLE
    until = f"for {seconds / 60:,.0f} min" if seconds else "no longer"
    sys.stdout.write(f"events of {machine} are marked as muted {until}; none is left out\n")
    return GOOD
