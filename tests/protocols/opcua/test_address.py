"""Addresses as files write them; what is wrong with one is in tests/cases/config/opcua_signals."""

from __future__ import annotations

from uuid import UUID

import pytest

from protocols.opcua.address import NodeAddress, PathAddress, is_element, parse_index, parse_member, parse_node, ranges


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("i=2258", NodeAddress(0, "i", 2258)),
        ("ns=2;s=Torque", NodeAddress(2, "s", "Torque")),
        ('ns=3;s="DB"."Axes"[3].x;y=z', NodeAddress(3, "s", '"DB"."Axes"[3].x;y=z')),
        ("nsu=urn:acme;i=4294967295", NodeAddress("urn:acme", "i", 2**32 - 1)),
        ("nsu=http://a.b/c%3Bd%25;s=x", NodeAddress("http://a.b/c;d%", "s", "x")),
        (
            "ns=1;g=09087e75-8e5e-499b-954f-f2a9603db28a",
            NodeAddress(1, "g", UUID("09087e75-8e5e-499b-954f-f2a9603db28a")),
        ),
        ("ns=1;b=M/RbKBsRVkePCePcx24oRA==", NodeAddress(1, "b", bytes.fromhex("33f45b281b1156478f09e3dcc76e2844"))),
        ("/Objects", PathAddress(((0, "Objects"),))),
        ("/Objects/2:Line/2:Speed", PathAddress(((0, "Objects"), (2, "Line"), (2, "Speed")))),
        ("/Objects/nsu=urn:a:b:Line", PathAddress(((0, "Objects"), ("urn:a:b", "Line")))),
        ("/Objects/nsu=http://a.b/c;Line/x", PathAddress(((0, "Objects"), ("http://a.b/c", "Line"), (0, "x")))),
        ("/Objects/nsu=urn:a;m&/s/nsu=urn:b:y&&z", PathAddress(((0, "Objects"), ("urn:a", "m/s"), ("urn:b", "y&z")))),
        ("/Objects/2:Time 12:30", PathAddress(((0, "Objects"), (2, "Time 12:30")))),
    ],
)
def test_addresses(text: str, expected: object) -> None:
    assert parse_node(text) == expected


@pytest.mark.parametrize(
    ("written", "text", "parsed", "element"),
    [
        (3, "3", ((3, 3),), True),
        ("3", "3", ((3, 3),), True),
        ("2:5", "2:5", ((2, 5),), False),
        ("1,2", "1,2", ((1, 1), (2, 2)), True),
        ("0:1,4", "0:1,4", ((0, 1), (4, 4)), False),
    ],
)
def test_indexes(written: object, text: str, parsed: object, element: bool) -> None:
    assert parse_index(written) == text
    assert ranges(text) == parsed
    assert is_element(text) is element


@pytest.mark.parametrize("written", [True, -1, 1.5, "", "a", "1:", "1,,2", "5:2", None, [1]])
def test_no_indexes(written: object) -> None:
    with pytest.raises(ValueError, match=r"array|ends before"):
        parse_index(written)


def test_members() -> None:
    assert parse_member("Speed") == ("Speed",)
    assert parse_member("Axes[2].Position") == ("Axes", 2, "Position")
    assert parse_member("Grid[1][0]") == ("Grid", 1, 0)
    for wrong in ("", ".", "a.", "[1]", "a[b]", "a]"):
        with pytest.raises(ValueError, match="not a member"):
            parse_member(wrong)
