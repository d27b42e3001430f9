"""Addresses against symbols and templates: where a value lies, and what is said of what is not there."""

from __future__ import annotations

from typing import Any

import pytest

from protocols.ethernet_ip.config import CipSignal
from protocols.ethernet_ip.places import AttributePlace, TagPlace, indices_of
from protocols.ethernet_ip.resolve import Resolver, Unresolved
from protocols.ethernet_ip.types import ELEMENTARY, Member, Symbol, Template
from tests.peers.logix_upload import from_upload

DINT, SINT, REAL, BOOL, DWORD = (ELEMENTARY[name] for name in ("DINT", "SINT", "REAL", "BOOL", "DWORD"))
STRING = Template("STRING", 0x0FCE, 88, (Member("LEN", DINT, 0), Member("DATA", SINT, 4, 82)))
VALVE = Template(
    "Valve",
    0x1234,
    12,
    (
        Member("ZZZZZZZZZZValve0", SINT, 0),
        Member("Open", BOOL, 0, bit=0),
        Member("Closed", BOOL, 0, bit=1),
        Member("Position", REAL, 4),
        Member("Cycles", DINT, 8),
    ),
)
TANK = Template(
    "Tank",
    0x5678,
    140,
    (
        Member("Valves", VALVE, 0, 3),
        Member("Alarms", DWORD, 36, 2),
        Member("Level", REAL, 44),
        Member("Name", STRING, 48),
        Member("__Hidden", DINT, 136),
    ),
)
SYMBOLS = [
    Symbol("Count", 1, DINT),
    Symbol("Ready", 2, BOOL),
    Symbol("Grid", 3, DINT, (3, 4)),
    Symbol("Cube", 4, SINT, (2, 3, 4)),
    Symbol("Bits", 5, DWORD, (3,)),
    Symbol("Tanks", 6, TANK, (5,)),
    Symbol("Title", 7, STRING),
    Symbol("Secret", 8, DINT, readable=False),
    Symbol("Local:1:I", 9, VALVE),
    Symbol("Words", 10, ELEMENTARY["INT"], (4,)),
    Symbol("Mask", 11, DWORD),
    Symbol("Program:Main.Speed", 1, REAL),
    Symbol("Program:Main.Lines", 2, TANK, (2,)),
]
RESOLVER = Resolver(SYMBOLS)


def place(tag: str, **written: Any) -> TagPlace:
    found = RESOLVER.resolve(CipSignal.model_validate({"tag": tag, **written}))
    assert isinstance(found, TagPlace)
    return found


@pytest.mark.parametrize(
    ("tag", "stages", "wire", "bit"),
    [
        ("count", [("Count", 0, 0)], "int32", None),
        ("Ready", [("Ready", 0, 0)], "bool", None),
        ("Grid[2,1]", [("Grid", 0, 9)], "int32", None),
        ("Cube[1,2,3]", [("Cube", 0, 23)], "int8", None),
        ("Bits[70]", [("Bits", 0, 2)], "bool", 6),
        ("Count.31", [("Count", 0, 0)], "bool", 31),
        ("Words[3].15", [("Words", 0, 3)], "bool", 15),
        ("Mask", [("Mask", 0, 0)], "uint32", None),
        ("TITLE", [("Title", 0, 0)], "string", None),
        ("Title.len", [("Title", 0, 0), ("LEN", 0, 0)], "int32", None),
        ("Tanks[4].Valves[2].Closed", [("Tanks", 0, 4), ("Valves", 0, 2), ("Closed", 0, 0)], "bool", 1),
        ("Tanks[0].Alarms[33]", [("Tanks", 0, 0), ("Alarms", 36, 1)], "bool", 1),
        ("Tanks[1].Name", [("Tanks", 0, 1), ("Name", 48, 0)], "string", None),
        ("Local:1:I.Position", [("Local:1:I", 0, 0), ("Position", 4, 0)], "float32", None),
        ("program:MAIN.speed", [("Program:Main.Speed", 0, 0)], "float32", None),
        ("Program:Main.Lines[1].Level", [("Program:Main.Lines", 0, 1), ("Level", 44, 0)], "float32", None),
    ],
)
def test_where_a_value_lies(tag: str, stages: list[tuple[str, int, int]], wire: str, bit: int | None) -> None:
    found = place(tag)
    assert [(stage.name, stage.offset, stage.element) for stage in found.stages] == stages
    assert (found.wire, found.bit) == (wire, bit)


def test_indices_and_elements_are_the_same_place() -> None:
    assert [indices_of(element, (2, 3, 4)) for element in (0, 4, 12, 23)] == [
        (0, 0, 0),
        (0, 1, 0),
        (1, 0, 0),
        (1, 2, 3),
    ]
    (cube,) = place("Cube[1,0,2]").stages
    assert indices_of(cube.element, cube.dimensions) == (1, 0, 2)


@pytest.mark.parametrize(
    ("tag", "words"),
    [
        ("Coutn", "the controller has no tag Coutn; did you mean Count?"),
        ("Zebra", "the controller has no tag Zebra; it has Bits, Count, Cube, Grid, Local:1:I, Mask, Ready, Secret"),
        ("Speed", "has no tag Speed in its own scope, but Program:Main.Speed"),
        ("Program:Main.Sped", "no tag Program:Main.Sped; did you mean Program:Main.Speed?"),
        ("Program:Mian.Speed", "has no Program:Mian with tags; did you mean Program:Main?"),
        ("Program:X.Speed", "has no Program:X with tags; it has Program:Main"),
        ("Secret", "Secret cannot be read: its External Access is None"),
        ("Tanks[0].Levle", "Tank has no member Levle; did you mean Level?"),
        ("Tanks[0].Pump", "Tank has no member Pump; it has Alarms, Level, Name, Valves"),
        ("Tanks[5].Level", "Tanks has elements 0 to 4 there, not 5"),
        ("Tanks.Level", "Tanks is a Tank[5]; name one element, for example Tanks[0]"),
        ("Tanks[0]", "is a structure, Tank; name one of its members: Valves, Alarms, Level, Name"),
        ("Tanks[0].Valves", "Valves is a Valve[3]; name one element, for example Valves[0]"),
        ("Grid[1]", "Grid is a DINT[3,4]; name one element, for example Grid[0,0]"),
        ("Grid[3,0]", "Grid has elements 0 to 2 there, not 3"),
        ("Count[0]", "Count is a DINT and no array; leave [0] out"),
        ("Count.Value", "a DINT has no member Value"),
        ("Count.32", "a DINT has bits 0 to 31"),
        ("Program:Main.Speed.0", "a REAL has no bits; leave .0 out"),
        ("Ready.0", "a BOOL has no bits; leave .0 out"),
        ("Bits[3].0", "a BOOL has no bits; leave .0 out"),
        ("Bits[3].Name", "an element of a BOOL array has no member Name"),
        ("Bits[96]", "Bits has elements 0 to 95 there, not 96"),
        ("Bits", "Bits is a BOOL[96]; name one element, for example Bits[0]"),
        ("Title.0", "is a structure, STRING; name one of its members: LEN, DATA"),
    ],
)
def test_what_is_not_there_is_said_with_what_there_is(tag: str, words: str) -> None:
    with pytest.raises(Unresolved) as raised:
        place(tag)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({"tag": "Count", "type": "uint32"}, "is a DINT in the controller, which is int32, and uint32 in the configur"),
        ({"tag": "Count", "type": "string"}, "is a DINT in the controller, which is int32, and string"),
        ({"tag": "Ready", "type": "int8"}, "is a BOOL in the controller, which is bool, and int8"),
        ({"tag": "Bits[1]", "type": "uint32"}, "is a BOOL in the controller"),
        ({"tag": "Title", "type": "float32"}, "is a STRING in the controller, which is string, and float32"),
        ({"tag": "Words[0]", "bits": [10, 16]}, "is a INT, which has bits 0 to 15, not [10, 16]"),
        ({"tag": "Ready", "bits": [0, 1]}, "is a BOOL, which has no bits"),
        ({"tag": "Ready", "scale": 2.0}, "is a BOOL; only numbers have scale"),
        ({"tag": "Title", "invalid": 5}, "is a STRING; only numbers have scale"),
        ({"tag": "Words[0]", "invalid": 70000}, "int16 of 16 bits has no value 70000; correct `invalid`"),
        ({"tag": "Words[0]", "bits": [0, 3], "invalid": 16}, "of 4 bits has no value 16; correct `invalid`"),
        ({"tag": "Count", "invalid": 0.5}, "int32 has no value 0.5; correct `invalid`"),
    ],
)
def test_a_mismatch_names_both_types(written: dict[str, Any], words: str) -> None:
    with pytest.raises(Unresolved) as raised:
        place(**written)
    assert words in str(raised.value)


def test_attributes_are_asked_of_nobody() -> None:
    empty = Resolver([])
    for written in ({"tag": "identity:mode"}, {"object": {"class": 4, "attribute": 3, "type": "int16"}}):
        assert isinstance(empty.resolve(CipSignal.model_validate(written)), AttributePlace)


def test_a_string_is_length_and_characters() -> None:
    assert STRING.text == (STRING.member("len"), STRING.member("data"))
    assert Template("X", 1, 8, (Member("LEN", DINT, 0), Member("DATA", DINT, 4, 1))).text is None
    assert Template("X", 1, 8, (Member("LEN", DINT, 0), Member("DATA", SINT, 4))).text is None
    assert VALVE.text is None


TAG = {"instance_id": 7, "dim": 0, "dimensions": [0, 0, 0], "external_access": "Read/Write", "tag_type": "atomic"}


def test_an_upload_with_types_that_nobody_knows() -> None:
    """As pycomm3's tests/offline/all_tags.json describes tags; a bit above 7 lies in a byte above."""
    structure = {
        "name": "Odd",
        "template": {"structure_handle": 5, "structure_size": 12},
        "internal_tags": {
            "A": {"offset": 0, "tag_type": "atomic", "data_type": "DINT", "array": 0},
            "What": {"offset": 4, "tag_type": "atomic", "data_type": "STRINGI", "array": 0},
            "Top": {"offset": 0, "tag_type": "atomic", "data_type": "BOOL", "bit": 17},
            "Many": {"offset": 8, "tag_type": "atomic", "data_type": "INT", "array": 2},
            "Beyond": {"offset": 8, "tag_type": "atomic", "data_type": "INT", "array": 3},
        },
    }
    tags = {
        "A": {**TAG, "tag_name": "A", "data_type": "DINT", "dim": 2, "dimensions": [3, 4, 0]},
        "B": {**TAG, "tag_name": "B", "data_type": None},
        "C": {**TAG, "tag_name": "C", "data_type": "BOOL", "external_access": "None"},
        "D": {**TAG, "tag_name": "D", "tag_type": "struct", "data_type": structure},
    }
    first, second, third = from_upload(tags)
    assert first == Symbol("A", 7, DINT, (3, 4))
    assert second == Symbol("C", 7, BOOL, readable=False)
    members = (Member("A", DINT, 0), Member("Top", BOOL, 2, bit=1), Member("Many", ELEMENTARY["INT"], 8, 2))
    assert third == Symbol("D", 7, Template("Odd", 5, 12, members))
