"""The line as it is now: values with quality, and the texts of their numbers."""

from __future__ import annotations

from typing import Any

import pytest

from ext.table import Kind, SignalTable
from gateway.config.model import Config
from gateway.lineview import LineView
from gateway.pipeline import Pipeline
from gateway.signals import moduli
from protocols.model import Value
from tests.conftest import line_document

KINDS = {bool: Kind.BOOL, int: Kind.INT, float: Kind.FLOAT}
TEXTS = {0: "off", 1: "on"}


def config(signal: dict[str, Any]) -> Config:
    document = line_document(machines={}, reasons={1: "jam"})
    document["devices"]["filler_plc"]["signals"] = {"one": signal}
    return Config.model_validate(document)


def shown(signal: dict[str, Any], value: Value) -> dict[str, Any]:
    """The signal as /api/line shows it."""
    table = SignalTable(["one"])
    table.define(0, KINDS[type(value)] if value is not None else Kind.INT)
    if value is None:
        table.fail(0, "no answer")
    else:
        table.put(0, value)
    line = config(signal)
    return LineView(Pipeline(line), {"filler_plc": table}, line).signals("filler_plc")["one"]


REGISTER = {"address": "holding:1", "type": "uint16"}


@pytest.mark.parametrize(
    ("signal", "value", "text"),
    [
        ({**REGISTER, "texts": TEXTS}, 1, "on"),
        ({**REGISTER, "texts": TEXTS}, 2, None),
        ({**REGISTER, "texts": TEXTS}, None, None),
        ({**REGISTER, "texts": "reasons"}, 1, "jam"),
        ({**REGISTER, "scale": 0.5, "texts": TEXTS}, 1.0, "on"),
        ({**REGISTER, "scale": 0.5, "texts": TEXTS}, 0.5, None),
        ({"address": "coil:0", "texts": TEXTS}, True, "on"),
        ({"address": "coil:0", "texts": TEXTS}, False, "off"),
    ],
)
def test_a_number_has_its_text_beside_it(signal: dict[str, Any], value: Value, text: str | None) -> None:
    found = shown(signal, value)
    assert (found["value"], found["text"]) == (value, text)


def test_a_signal_without_texts_has_none() -> None:
    assert shown(REGISTER, 1) == {"value": 1, "quality": "good", "why": None, "at_ms": None}


def test_bits_are_a_whole_number_that_rolls_over_at_their_width() -> None:
    bits = config({"address": "holding:1", "bits": [3, 6]})
    assert bits.signal_types == {"filler_plc.one": "int"}
    assert moduli(bits) == {"filler_plc.one": 16}
