"""The section of an EtherNet/IP device: what it accepts, and how it says what it does not."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from protocols.ethernet_ip.config import CipSignal, EthernetIpDevice
from protocols.ethernet_ip.route import parse_route


def device(signals: dict[str, Any] | None = None, **more: Any) -> EthernetIpDevice:
    signals = signals or {"running": {"tag": "Running"}}
    return EthernetIpDevice.model_validate({"protocol": "ethernet_ip", "host": "plc", "signals": signals, **more})


def signal(**written: Any) -> CipSignal:
    return CipSignal.model_validate(written)


def test_what_is_left_out() -> None:
    plain = device()
    assert (plain.port, plain.slot, plain.route, plain.scan_interval, plain.timeout) == (44818, 0, None, 1000, 1000)
    assert plain.endpoint == plain.identity == "plc:44818/backplane/0"


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({}, "0100"),
        ({"slot": 3}, "0103"),
        ({"slot": "none"}, ""),
        ({"route": "backplane/2/ip/10.1.1.5"}, "01021208" + b"10.1.1.5".hex() + "0100"),
        ({"route": "bp/2/enet/10.1.1.15", "slot": 4}, "01021209" + b"10.1.1.15".hex() + "000104"),
        ({"route": "1/2/2/7", "slot": 1}, "010202070101"),
        ({"route": "backplane/2/2/10.1.1.5", "slot": "none"}, "01021208" + b"10.1.1.5".hex()),
    ],
)
def test_the_path_to_a_controller(more: dict[str, Any], path: str) -> None:
    assert b"".join(hop.segment() for hop in device(**more).path).hex() == path


def test_each_controller_has_a_connection_of_its_own() -> None:
    there = [device(slot=slot, route=route).endpoint for slot in (0, 1) for route in (None, "bp/2/enet/10.1.1.5")]
    assert len(set(there)) == 4
    assert there[1] == device(route="1/2/2/10.1.1.5").endpoint == "plc:44818/backplane/2/ip/10.1.1.5/backplane/0"
    assert str(parse_route("2/5")[0]) == "2/5"


@pytest.mark.parametrize(
    ("route", "words"),
    [
        ("backplane", "port and address in turn"),
        ("backplane/2/ip/", "port and address in turn"),
        ("10.1.1.5/backplane/0/1", '"10.1.1.5" is no port'),
        ("15/2", '"15" is no port'),
        ("backplane/256", "0 to 255"),
        ("backplane/10.1.1.5", "leads to a slot"),
        ("ip/7", '"7" is no IP address'),
        ("ip/plc", '"plc" is no IP address'),
        ("", "port and address in turn"),
    ],
)
def test_a_wrong_route_says_what_one_is(route: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        device(route=route)


@pytest.mark.parametrize("slot", [-1, 256, "0", True, "bare"])
def test_a_slot_is_a_number_or_none(slot: object) -> None:
    with pytest.raises(ValidationError):
        device(slot=slot)


@pytest.mark.parametrize(
    ("written", "type_", "value_type"),
    [
        ({"tag": "Speed"}, None, None),
        ({"tag": "Speed", "type": "float32"}, "float32", "float"),
        ({"tag": "Speed", "scale": 0.1}, None, "float"),
        ({"tag": "Name", "type": "string"}, "string", "text"),
        ({"tag": "Program:Main.Word.5"}, "bool", "bool"),
        ({"tag": "Word.5", "type": "bool"}, "bool", "bool"),
        ({"tag": "Word", "bits": [3, 6]}, None, "int"),
        ({"tag": "identity:status"}, "uint16", "int"),
        ({"tag": "identity:status", "bits": [8, 11]}, "uint16", "int"),
        ({"tag": "identity:mode"}, "uint16", "int"),
        ({"tag": "identity:keyswitch"}, "uint16", "int"),
        ({"tag": "identity:major_fault"}, "bool", "bool"),
        ({"object": {"class": 0x93, "attribute": 7, "type": "int16"}}, "int16", "int"),
        ({"object": {"class": 1, "attribute": 7, "type": "short_string"}}, "string", "text"),
    ],
)
def test_what_is_known_of_a_value(written: dict[str, Any], type_: str | None, value_type: str | None) -> None:
    one = signal(**written)
    assert (one.type, one.value_type) == (type_, value_type)


def test_a_mode_is_some_bits_of_the_status_word() -> None:
    mode = signal(tag="identity:mode")
    assert (mode.bits, mode.highest, mode.modulus) == ((4, 7), 15, 16)
    assert signal(tag="identity:mode", bits=[4, 7], type="uint16") == mode
    assert CipSignal.model_validate(mode.model_dump(by_alias=True)) == mode


def test_signals_say_where_they_are() -> None:
    assert signal(tag="Program:Main.Speed").place == "Program:Main.Speed"
    address = {"class": 0x93, "instance": 2, "attribute": 7, "type": "int16"}
    assert signal(object=address).place == "object 0x93/2/7"


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({}, "needs `tag`, or `object`"),
        ({"tag": "A", "object": {"class": 1, "attribute": 1, "type": "int16"}}, "leave `tag` or `object` out"),
        ({"tag": ""}, "at least 1 character"),
        ({"tag": "Word.5", "type": "int16"}, "is one bit, and a bool, not a int16"),
        ({"tag": "Word.5", "scale": 2.0}, "only numbers can have a scale"),
        ({"tag": "Word.5", "bits": [0, 1]}, "bits are taken from a whole number, not from a bool"),
        ({"tag": "identity:modus"}, "nothing that a controller says of itself; it is one of identity:status"),
        ({"tag": "Identity:mode"}, "it is one of identity:status, identity:mode"),
        ({"tag": "identity:mode", "bits": [0, 1]}, "some bits of a word already"),
        ({"tag": "identity:mode", "type": "int16"}, "is a uint16, not a int16"),
        ({"tag": "identity:major_fault", "scale": 2.0}, "only numbers can have a scale"),
        ({"object": {"class": 1, "attribute": 7}}, "Field required"),
        ({"object": {"class": 1, "attribute": 7, "type": "bcd16"}}, "Input should be"),
        ({"object": {"class": 1, "attribute": 7, "type": "int16"}, "type": "int32"}, "leave the signal's out"),
        ({"object": {"class": -1, "attribute": 7, "type": "int16"}}, "greater than or equal to 0"),
        ({"tag": "A", "type": "bool", "bits": [0, 1]}, "not from a bool"),
    ],
)
def test_what_cannot_be_is_refused_in_words(written: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as raised:
        signal(**written)
    assert words in str(raised.value)
