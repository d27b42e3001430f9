"""Tag addresses as Logix Designer writes them."""

from __future__ import annotations

import re

import pytest

from protocols.ethernet_ip.address import Step, TagAddress, parse_tag


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Speed", TagAddress(None, (Step("Speed"),))),
        ("_x", TagAddress(None, (Step("_x"),))),
        (
            "Program:Main.Line[3].Speed",
            TagAddress("Main", (Step("Line", (3,)), Step("Speed"))),
        ),
        ("program:Main.Speed", TagAddress("Main", (Step("Speed"),))),
        ("Grid[1,2]", TagAddress(None, (Step("Grid", (1, 2)),))),
        ("Cube[1, 2,3].A[4]", TagAddress(None, (Step("Cube", (1, 2, 3)), Step("A", (4,))))),
        ("Word.5", TagAddress(None, (Step("Word"),), 5)),
        ("Line[3].Word.31", TagAddress(None, (Step("Line", (3,)), Step("Word")), 31)),
        ("Local:1:I.Data.0", TagAddress(None, (Step("Local:1:I"), Step("Data")), 0)),
        ("Rack:I.Slot[2].Fault", TagAddress(None, (Step("Rack:I"), Step("Slot", (2,)), Step("Fault")))),
        (" Timer.ACC ", TagAddress(None, (Step("Timer"), Step("ACC")))),
    ],
)
def test_what_is_an_address(text: str, address: TagAddress) -> None:
    assert parse_tag(text) == address
    assert parse_tag(str(address)) == address


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not a tag address"),
        ("5", "is not a tag address"),
        ("A..B", "is not a tag address"),
        ("A.5.B", "is not a tag address"),
        ("A.B:C", "elements are written like B[3]"),
        ("A[]", "elements are written like A[3]"),
        ("A[-1]", "elements are written like A[3]"),
        ("A[1][2]", "A[1,2]"),
        ("A[0..5]", "a signal is one of them"),
        ("A{5}", "a signal is one of them"),
        ("A[1,2,3,4]", "at most 3 dimensions"),
        ("A.64", "bits of a word are counted from 0 to 63"),
        ("A.123456", "bits of a word are counted from 0 to 63"),
        ("Program:Main", "names a program and no tag"),
        ("Program:Main.", "is not a tag address"),
        ("A" * 41, "at most 40 characters"),
        ("Größe", "elements are written like Gr"),
        ("A.٣", "is not a tag address"),
    ],
)
def test_what_is_none_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        parse_tag(text)
