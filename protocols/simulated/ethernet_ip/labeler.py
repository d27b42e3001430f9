"""The labeler's controller: the tags that a machine of the simulated line has in a Logix project."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from protocols.simulated.ethernet_ip import extra, showcase
from protocols.simulated.ethernet_ip.datatypes import BOOL, DINT, ELEMENTARY, INT, LREAL, REAL, Structure
from protocols.simulated.ethernet_ip.objects import Attributes, Identity
from protocols.simulated.ethernet_ip.predefined import COUNTER, STRING, TIMER, string_type
from protocols.simulated.ethernet_ip.project import Project
from protocols.simulated.ethernet_ip.server import LogixPlc
from protocols.simulated.machine import Filler, State

PROGRAM = "MainProgram"
LABELS_A_REEL = 1_000
JAM_PRESET_MS = 5_000
HEADS = 4
DRIVE, ASSEMBLY = (0x2A, 1), (0x04, 100)
"""Class and instance of the AC/DC drive of the labeler and of an assembly (CIP Volume 1, chapter 5)."""
SPEED_RPM = 1_450
_NAMED = {kind.name: kind for kind in ELEMENTARY}


@dataclass(slots=True)
class Edits:
    """What the next download changes beside numbers: tags that are gone, and elementary types by tag."""

    without: set[str] = field(default_factory=set)
    retyped: dict[str, str] = field(default_factory=dict)


class LabelerPlc(LogixPlc):
    """A labeler whose physics are a `Filler`'s; `extra_tags` is how many `extra` declares.

    With `shows_all` it has the tags of `showcase` too: every type, arrays, nested and large structures.
    """

    def __init__(
        self,
        machine: Filler,
        now: Callable[[], int],
        host: str = "127.0.0.1",
        port: int = 0,
        extra_tags: int = 0,
        shows_all: bool = False,
        identity: Identity | None = None,
        routes: Collection[str] = ("1/0",),
    ) -> None:
        self.machine = machine
        self.edits = Edits()
        self._extra_tags, self._shows_all = extra_tags, shows_all
        super().__init__(self._labeler, now, host, port, identity, routes)
        self.router.objects[DRIVE] = self._drive
        self.router.objects[ASSEMBLY] = self._assembly

    def _labeler(self, edition: int) -> Project:
        project = Project("Labeler_Line3", edition)
        scalars: Mapping[str, tuple[Any, Callable[[], Any]]] = {
            "Labeler_Running": (BOOL, self._running),
            "Labeler_Jam": (BOOL, self._jam),
            "Labeler_Count": (DINT, self._count),
            "Labeler_Rejects": (DINT, lambda: self.machine.rejects),
            "Labeler_Temp": (REAL, self._temperature),
            "Labeler_Recipe": (STRING, lambda: self.machine.recipe),
            "Labeler_JamTimer": (TIMER, self._jam_timer),
            "Labeler_Reel": (COUNTER, self._reel),
            "Labeler": (_labeler_type(edition), self._whole),
        }
        for name, (kind, value) in scalars.items():
            if name not in self.edits.without:
                retyped = self.edits.retyped.get(name)
                project.tag(name, *((kind, value) if retyped is None else _as_type(retyped, value)))
        if not self.edits.without & {"Labeler_Count", "Labels_Today"}:
            project.alias("Labels_Today", project.controller.by_name["labeler_count"])
        project.tag("Step", DINT, self._step, program=PROGRAM)
        project.tag("CycleTime", REAL, lambda: 0.5, program=PROGRAM)
        extra.declare(project, self._extra_tags, lambda: self.machine.now_ms)
        if self._shows_all:
            showcase.declare(project)
        return project

    def _drive(self) -> Attributes:
        """Speed in revolutions a minute, actual and reference, and current in 0.1 A: 7 to 9, each an INT."""
        values = enumerate((self._running() * SPEED_RPM, SPEED_RPM, self._running() * 31), 7)
        return {number: INT.encode([value]) for number, value in values}

    def _assembly(self) -> Attributes:
        """Its data, attribute 3: the count as a DINT and the temperature as a REAL."""
        return {3: DINT.encode([self._count()]) + REAL.encode([self._temperature()])}

    def _running(self) -> bool:
        return self.machine.state is State.EXECUTE

    def _jam(self) -> bool:
        return self.machine.fault != 0

    def _count(self) -> int:
        """Labels on good bottles: what it has labelled but not rejected."""
        return (self.machine.bottles - self.machine.rejects) % (1 << 31)

    def _temperature(self) -> float:
        """The glue's: between 150 and 160 °C, up and down once in ten minutes."""
        return 150 + abs(300_000 - self.machine.now_ms % 600_000) / 30_000

    def _jam_timer(self) -> dict[str, int]:
        jammed_ms = self.machine.now_ms - self.machine.intervals[-1].began_ms if self._jam() else 0
        done = jammed_ms >= JAM_PRESET_MS
        reached = min(jammed_ms, JAM_PRESET_MS)
        return {"PRE": JAM_PRESET_MS, "ACC": reached, "EN": self._jam(), "TT": self._jam() and not done, "DN": done}

    def _reel(self) -> dict[str, int]:
        return {"PRE": LABELS_A_REEL, "ACC": self._count() % LABELS_A_REEL, "CU": self._running()}

    def _step(self) -> int:
        return list(State).index(self.machine.state)

    def _whole(self) -> dict[str, Any]:
        labels = self._count()
        heads = [{"Ready": self._running(), "Labels": (labels + HEADS - 1 - n) // HEADS} for n in range(HEADS)]
        return {
            "Running": self._running(),
            "Jam": self._jam(),
            "Count": labels,
            "Rejects": self.machine.rejects,
            "Temp": self._temperature(),
            "Recipe": self.machine.recipe,
            "Heads": heads,
        }


def _labeler_type(edition: int) -> Structure:
    """Every other edition has a member more, in front of the others: their offsets are other ones."""
    head = Structure("LabelHead", ("Ready", BOOL), ("Labels", DINT), ("Torque", REAL))
    first = (("Lane", DINT),) if edition % 2 else ()
    return Structure(
        "LabelerType",
        *first,
        ("Running", BOOL),
        ("Jam", BOOL),
        ("Count", DINT),
        ("Rejects", DINT),
        ("Temp", REAL),
        ("Recipe", string_type("LabelText", 32)),
        ("Heads", head, HEADS),
    )


def _as_type(name: str, value: Callable[[], Any]) -> tuple[Any, Callable[[], Any]]:
    kind = _NAMED[name]
    convert = float if kind in (REAL, LREAL) else int
    return kind, lambda: convert(value())
