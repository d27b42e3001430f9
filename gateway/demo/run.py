"""Runs the demo: simulator, daemon, what is seen of them, and at the end the daemon's counts against the truth."""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event
from types import FrameType

import click

from gateway.demo.children import ChildError, Daemon, Simulator, Truths
from gateway.demo.configuration import MACHINES, TRUTH, Places, write_configuration
from gateway.demo.journal import Journal
from gateway.demo.show import Show, show_for

START_S = 30.0
CATCH_UP_S = 10.0
"""Much longer than the daemon needs to read a machine that stands still."""
_VIOLATED = 3
"""The simulator's exit code where it was asked for anything but reading."""
_LOOK_S = 0.2
_REFRESH_S = 1.0


class Ending:
    """Whether somebody wants the demo to end: once in order, twice at once."""

    def __init__(self) -> None:
        self.wanted = Event()
        self.at_once = False

    def request(self, _number: int, _frame: FrameType | None) -> None:
        """A signal handler."""
        self.at_once = self.wanted.is_set()
        self.wanted.set()

    @contextmanager
    def by_signals(self) -> Iterator[None]:
        """Listens to Ctrl-C, SIGTERM and a terminal that goes away."""
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = [signal.signal(number, self.request) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)


class PortTaken(Exception):
    """What answers on our daemon's port is another daemon, which was quicker to take it."""


class Demo:
    """One run against a simulator that runs: starts the daemon. `Ending` and ChildError end it early."""

    def __init__(self, places: Places, simulator: Simulator, show: Show, ending: Ending) -> None:
        self._simulator, self._daemon = simulator, Daemon(places)
        self._show, self._ending = show, ending
        self.places = places
        self.journal = Journal(places.events)

    def start(self) -> None:
        """Waits until the daemon has seen the machines, which stand still meanwhile: so every part is counted.

        Raises ChildError where that does not come about, and PortTaken.
        """
        self._wait("answers on /readyz", self._daemon.is_ready, START_S)
        self._wait("has read the PLCs", self._knows_the_machines, START_S)

    def run(self, seconds: float | None) -> None:
        """Lets the machines live and shows them, for so long or until somebody ends it."""
        self._show.begin(self.places)
        self._simulator.tell("thaw")
        began = shown = time.monotonic()
        while not self._ending.wanted.is_set():
            elapsed = time.monotonic() - began
            if seconds is not None and elapsed >= seconds:
                return
            self._look()
            if time.monotonic() - shown >= _REFRESH_S:
                shown = time.monotonic()
                if (snapshot := self._daemon.line()) is not None:
                    self._show.line(snapshot, elapsed)
            left = _LOOK_S if seconds is None else min(_LOOK_S, seconds - elapsed)
            self._ending.wanted.wait(max(left, 0.0))

    def settle(self) -> Truths:
        """Stops the machines' time, and the daemon when that has seen all parts; the truth."""
        truths = self._simulator.tell("freeze")
        self._show.note("The machines' time stands still.")
        self._until(lambda: self._has_counted(truths), CATCH_UP_S)
        self.end_daemon()
        return truths

    def end_daemon(self) -> None:
        """Ends the daemon and reads what it still wrote; idempotent."""
        self._daemon.end()
        self._read_journal()

    def close(self) -> None:
        """Ends what it began."""
        self.end_daemon()
        self._show.end()
        self.journal.close()

    def _has_counted(self, truths: Truths) -> bool:
        snapshot = self._daemon.line()
        if snapshot is None:
            return False
        parts = {name: snapshot["machines"][name]["parts"] for name in truths}
        return all(
            mine is not None and (mine["total"], mine["scrap"]) == (truths[name]["total"], truths[name]["rejects"])
            for name, mine in parts.items()
        )

    def _until(self, holds: Callable[[], bool], patience_s: float) -> None:
        """Looks until it holds, patience is at its end, or somebody wants out at once."""
        deadline, pause = time.monotonic() + patience_s, Event()
        while not holds() and time.monotonic() < deadline and not self._ending.at_once:
            pause.wait(_LOOK_S)
            self._look()

    def _look(self) -> None:
        self._daemon.check()
        self._read_journal()

    def _read_journal(self) -> None:
        for event in self.journal.news():
            self._show.event(event)

    def _knows_the_machines(self) -> bool:
        snapshot = self._daemon.line()
        if snapshot is None:
            return False
        devices = snapshot["devices"]
        if {name: device["endpoint"] for name, device in devices.items()} != self.places.plcs:
            raise PortTaken
        states = [snapshot["machines"][machine]["state"] for machine in MACHINES]
        connected = all(device["connected"] for device in devices.values())
        return connected and not {"unknown", "undefined"}.intersection(states)

    def _wait(self, what: str, holds: Callable[[], bool], patience_s: float) -> None:
        deadline = time.monotonic() + patience_s
        while not holds():
            self._daemon.check()
            if time.monotonic() > deadline:
                said = "\n".join(self._daemon.last_lines())
                raise ChildError(f"after {patience_s:g} s it is not so that the daemon {what}. Its last lines:\n{said}")
            if self._ending.wanted.wait(_LOOK_S):
                raise ChildError("ended before it had begun")


def verdict(journal: Journal, truths: Truths, *, violations: bool, at_once: bool) -> int:
    """Says what was counted and what was made; 0 where they are the same and the daemon only ever read."""
    made = {name: (truth["total"], truth["rejects"]) for name, truth in truths.items()}
    counted = {name: journal.counted.get(name, (0, 0)) for name in made}
    click.echo(f"{'':<10} {'made':>7} {'counted':>8} {'rejects':>9} {'counted':>8}")
    for name in made:
        cells = zip(made[name], counted[name], strict=True)
        click.echo(f"{name:<10}" + " ".join(f"{one:>8}{other:>9}" for one, other in cells))
    agrees = counted == made
    if violations:
        click.echo("The daemon asked a PLC for more than reading.")
    if not agrees and at_once:
        click.echo("They differ: nobody waited until the daemon had published everything.")
    else:
        click.echo("They agree." if agrees else "They differ.")
    return 0 if agrees and not violations else 1


def run_demo(seconds: float | None, speed: float, seed: int, keep: Path | None) -> int:
    """Runs the demo for `seconds` (None: until Ctrl-C) and returns the exit code.

    0: the daemon counted what the machines made; 1: it did not, or something died; 2: wrong use. Everything is
    kept in `keep`, a new or empty directory, or else removed at the end.
    """
    if keep is not None and keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        click.echo(f"{keep} is not an empty directory: the demo wants one of its own", err=True)
        return 2
    ending = Ending()
    with ExitStack() as stack:
        stack.enter_context(ending.by_signals())
        if keep is None:
            state = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="linegate-demo-")))
        else:
            keep.mkdir(parents=True, exist_ok=True)
            state = keep.resolve()
        try:
            return _run_in(state, seconds, speed, seed, ending)
        except ChildError as error:
            click.echo(str(error), err=True)
            return 1


def _run_in(state: Path, seconds: float | None, speed: float, seed: int, ending: Ending) -> int:
    show = show_for(sys.stdout.isatty())
    with ExitStack() as stack:
        simulator = Simulator(seed, speed, state / TRUTH)
        stack.callback(simulator.end)
        ports = simulator.ready()
        for own_port in (None, 0):
            with ExitStack() as attempt:
                places = write_configuration(state, ports, speed, own_port)
                demo = Demo(places, simulator, show, ending)
                attempt.callback(demo.close)
                try:
                    demo.start()
                except PortTaken:
                    continue
                stack.push(attempt.pop_all())
                break
        else:
            raise ChildError(f"another daemon answers on {places.url}")
        demo.run(seconds)
        truths = demo.settle()
        show.end()
        violations = simulator.end() == _VIOLATED
        return verdict(demo.journal, truths, violations=violations, at_once=ending.at_once)
