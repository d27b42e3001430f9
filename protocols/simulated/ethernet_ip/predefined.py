"""Structures that every Logix controller has: TIMER, COUNTER, CONTROL and strings."""

from __future__ import annotations

from protocols.simulated.ethernet_ip.datatypes import BOOL, DINT, DWORD, SINT, Member, Structure


def _status_bits(*names: str) -> list[Member]:
    """Bits of the control word from the most significant down."""
    return [Member(name, BOOL, 3, 0, 7 - place) for place, name in enumerate(names)]


def _instruction(name: str, number: int, second: str, third: str, *bits: str) -> Structure:
    words = Member("CTL", DWORD, 0), Member(second, DINT, 4), Member(third, DINT, 8)
    return Structure.predefined(name, number, 12, *words, *_status_bits(*bits))


CONTROL = _instruction("CONTROL", 0xF81, "LEN", "POS", "EN", "EU", "DN", "EM", "ER", "UL", "IN", "FD")
"""As pycomm3's tests/offline/all_tags.json describes it; TIMER and COUNTER are built the same way."""
COUNTER = _instruction("COUNTER", 0xF82, "PRE", "ACC", "CU", "CD", "DN", "OV", "UN")
TIMER = _instruction("TIMER", 0xF83, "PRE", "ACC", "EN", "TT", "DN")
STRING = Structure.predefined("ASCIISTRING82", 0xFCE, 88, Member("LEN", DINT, 0), Member("DATA", SINT, 4, 82))


def string_type(name: str, characters: int) -> Structure:
    """A string type that a person defined."""
    return Structure(name, ("LEN", DINT), ("DATA", SINT, characters))
