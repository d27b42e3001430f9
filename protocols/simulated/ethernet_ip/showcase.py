"""Tags of every kind that a Logix controller has, with constant values that a test knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from protocols.simulated.ethernet_ip import datatypes as of
from protocols.simulated.ethernet_ip.datatypes import Member, Structure, Type
from protocols.simulated.ethernet_ip.predefined import CONTROL, COUNTER, STRING, TIMER, string_type
from protocols.simulated.ethernet_ip.project import NO_ACCESS, READ_ONLY, READ_WRITE, Project

PROGRAM = "Showcase"
SHORT_TEXT = string_type("SHORT_TEXT", 20)
LONG_TEXT = string_type("LONG_TEXT", 480)
VALVE = Structure(
    "Valve", ("Open", of.BOOL), ("Closed", of.BOOL), ("Fault", of.BOOL), ("Position", of.REAL), ("Cycles", of.DINT)
)
TANK = Structure(
    "Tank",
    ("Enabled", of.BOOL),
    ("Level", of.REAL),
    ("Inlet", VALVE),
    ("Valves", VALVE, 3),
    ("Alarms", of.BOOL, 64),
    ("Small", of.SINT),
    ("Medium", of.INT),
    ("Total", of.LINT),
    ("Name", SHORT_TEXT),
    ("History", of.INT, 5),
    ("Dwell", TIMER),
)
MOTOR = Structure(
    "MotorControl",
    ("EnableIn", of.BOOL),
    ("EnableOut", of.BOOL),
    ("Speed", of.REAL),
    ("__Internal", of.DINT),
    ("", of.REAL),
    ("Start", of.BOOL),
    ("Running", of.BOOL),
    ("Starts", of.DINT),
)
"""As an add-on instruction is seen: with its enable bits, and local tags that are hidden or have no name at all."""
WIDE = Structure.predefined(
    "WIDE", 0xF10, 8, *(Member(name, of.DINT, 4 * place) for place, name in enumerate(("Low", "High"))),
    Member("Bit5", of.BOOL, 0, 0, 5), Member("Bit17", of.BOOL, 0, 0, 17), Member("Bit63", of.BOOL, 4, 0, 31),
)  # fmt: skip
"""Bits of DINTs by numbers up to 31, as the manual allows; pycomm3 1.2.16 shows those above 7 as false."""
FLAGS = Structure("Flags", *((f"F{n}", of.BOOL) for n in range(19)), ("Last", of.INT))
"""Bits in three hidden hosts."""
BATCH = Structure("Batch", ("Id", of.DINT), ("Samples", of.REAL, 1_200), ("Tanks", TANK, 12), ("Comment", LONG_TEXT))
"""Larger than the largest packet."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A tag and its value: arrays are flat, structures a mapping without hidden members."""

    name: str
    type: Type
    value: Any
    dimensions: tuple[int, ...] = ()
    program: str | None = None
    access: int = READ_WRITE


def valve(number: int) -> dict[str, Any]:
    """A valve that is known by its number."""
    return {
        "Open": number % 2 == 0,
        "Closed": number % 2 == 1,
        "Fault": number % 3 == 0,
        "Position": number * 0.5,
        "Cycles": 1_000 + number,
    }


def tank(number: int) -> dict[str, Any]:
    """A tank that is known by its number."""
    return {
        "Enabled": True,
        "Level": 12.5 + number,
        "Inlet": valve(number),
        "Valves": [valve(number + place) for place in range(3)],
        "Alarms": [place % 7 == number % 7 for place in range(64)],
        "Small": -5,
        "Medium": -3_000 + number,
        "Total": -(1 << 40) - number,
        "Name": f"tank {number}",
        "History": [number, -number, 3, 4, 5],
        "Dwell": {"PRE": 5_000, "ACC": 10 * number, "EN": True, "TT": True, "DN": False},
    }


def _limits(kind: of.Elementary) -> tuple[Any, Any]:
    if kind in (of.REAL, of.LREAL):
        return -1.5, 3.0e38
    bits = 8 * kind.size
    signed = kind.format.islower()
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)


_NUMBERS = [kind for kind in of.ELEMENTARY if kind is not of.BOOL]
SHOWN = (
    Shown("Bool_True", of.BOOL, True),
    Shown("Bool_False", of.BOOL, False),
    *(Shown(f"{kind.name.title()}_Least", kind, _limits(kind)[0]) for kind in _NUMBERS),
    *(Shown(f"{kind.name.title()}_Most", kind, _limits(kind)[1]) for kind in _NUMBERS),
    Shown("Word_Bits", of.DINT, 0x40000005),
    Shown("Dints", of.DINT, [n * n - 50 for n in range(20)], (20,)),
    Shown("Reals", of.REAL, [n / 4 for n in range(8)], (8,)),
    Shown("Grid", of.INT, list(range(12)), (3, 4)),
    Shown("Cube", of.SINT, list(range(24)), (2, 3, 4)),
    Shown("Bits", of.BOOL, [n % 3 == 0 for n in range(96)], (96,)),
    Shown("Trace", of.DINT, [7 * n for n in range(5_000)], (5_000,)),
    Shown("Text", STRING, "Grüße, 82 at most"),
    Shown("Text_Empty", STRING, ""),
    Shown("Text_Full", STRING, "x" * 82),
    Shown("Texts", STRING, ["one", "two", "three"], (3,)),
    Shown("Short", SHORT_TEXT, "twenty characters ok"),
    Shown("Long", LONG_TEXT, "l" * 480),
    Shown("Delay", TIMER, {"PRE": 1_000, "ACC": 250, "EN": True, "TT": True, "DN": False}),
    Shown("Delays", TIMER, [{"PRE": n, "ACC": n, "EN": True, "TT": False, "DN": True} for n in range(4)], (4,)),
    Shown("Pieces", COUNTER, {"PRE": 10, "ACC": 11, "CU": True, "CD": False, "DN": True, "OV": False, "UN": False}),
    Shown(
        "Sort", CONTROL, {"LEN": 3, "POS": 1, "EN": True, "EU": False, "DN": False, "EM": True, "ER": False, "UL": True}
    ),
    Shown("Main_Valve", VALVE, valve(3)),
    Shown("Tank", TANK, tank(1)),
    Shown("Tanks", TANK, [tank(n) for n in range(30)], (30,)),
    Shown("Motor", MOTOR, {"EnableIn": True, "EnableOut": False, "Speed": 1450.5, "Start": True, "Starts": 12}),
    Shown("Switches", FLAGS, {f"F{n}": n in (0, 7, 8, 15, 18) for n in range(19)} | {"Last": -2}),
    Shown(
        "Batch",
        BATCH,
        {
            "Id": 77,
            "Samples": [n / 8 for n in range(1_200)],
            "Tanks": [tank(n) for n in range(12)],
            "Comment": "c" * 99,
        },
    ),
    Shown("Wide", WIDE, {"Bit5": False, "Bit17": True, "Bit63": True}),
    Shown("Sealed", of.DINT, 5, access=READ_ONLY),
    Shown("Secret", of.DINT, 6, access=NO_ACCESS),
    Shown("Speed", of.REAL, 42.5, program=PROGRAM),
    Shown("Buffer", of.INT, [5, 6, 7], (3,), program=PROGRAM),
    Shown("Feeder", VALVE, valve(8), program=PROGRAM),
)


def declare(project: Project) -> None:
    """Declares them all, and aliases of a tag and of a member."""
    for one in SHOWN:
        project.tag(one.name, one.type, one.value, one.dimensions, one.program, one.access)
    names = project.controller.by_name
    project.alias("Alias_Of_Dints", names["dints"])
    project.alias("Alias_Of_Member", names["tank"], "Level")
    project.alias("Alias_Of_Bit", names["main_valve"], "Closed")
