"""What the test servers hold: paths, types and first values, known to both sides."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from asyncua import ua

NAMESPACE = "urn:linegate:test"
APPLICATION_URI = "urn:linegate:test:server"
OTHER = "urn:linegate:other:{}"
"""What `--shift` registers before ours."""

_WHEN = datetime(2026, 11, 22, 6, 0, 0, 250_000, tzinfo=UTC)
_GUID = uuid.UUID("72962b91-fa75-4ae6-8d28-b404dc7daf63")

SCALARS: dict[str, Any] = {
    "Boolean": True, "SByte": -128, "Byte": 255, "Int16": -32_768, "UInt16": 65_535, "Int32": -2_147_483_648,
    "UInt32": 4_294_967_295, "Int64": -9_223_372_036_854_775_808, "UInt64": 18_446_744_073_709_551_615, "Float": 1.5,
    "Double": 3.141592653589793, "String": "Füller 3", "DateTime": _WHEN, "Guid": _GUID, "ByteString": b"\x00\xff\x10",
    "NodeId": ua.NodeId("Torque", 1), "QualifiedName": ua.QualifiedName("Füller", 1),
    "LocalizedText": ua.LocalizedText("läuft", "de"), "StatusCode": ua.StatusCode(ua.StatusCodes.UncertainInitialValue),
}  # fmt: skip
"""`Scalars.<type>`: the extremes where a type has them."""

ARRAYS: dict[str, list[Any]] = {
    "Boolean": [True, False, True], "SByte": [-128, 0, 127], "Byte": [0, 1, 255], "Int16": [-32_768, 0, 32_767],
    "UInt16": [0, 1, 65_535], "Int32": [1, -2, 3, -4, 5], "UInt32": [0, 4_294_967_295], "Int64": [-(2**63), 2**63 - 1],
    "UInt64": [0, 2**64 - 1], "Float": [0.5, -0.25], "Double": [0.1, 0.2, 0.3, 0.4], "String": ["a", "", "ß"],
    "DateTime": [_WHEN, _WHEN], "Guid": [_GUID], "ByteString": [b"", b"ab"],
    "LocalizedText": [ua.LocalizedText("an", "de"), ua.LocalizedText("on", "en")],
}  # fmt: skip
"""`Arrays.<type>`."""

ENUMERATIONS: dict[str, tuple[str, int, dict[int, str]]] = {
    "Enumerations.Mode": ("EnumStrings of its data type", 1, {0: "Idle", 1: "Produce", 2: "Clean"}),
    "Enumerations.Fault": ("EnumValues of its data type", 17, {0: "None", 17: "CapJam", 23: "LowPressure"}),
    "Enumerations.Valve": ("EnumStrings of its own", 2, {0: "Closed", 1: "Moving", 2: "Open"}),
}
"""Path: where the texts are, the first value, and the texts."""
TWO_STATES = ("Enumerations.Door", True, {False: "closed", True: "open"})

STRUCTURES: dict[str, dict[str, Any]] = {
    "Structures.Weight": {"Gross": 12.5, "Net": 11.0, "Stable": True},
    "Structures.Batch": {"Id": "B-7", "Count": 42, "Weight": None, "Remark": "ok", "Samples": [1.0, 2.0]},
    "Structures.Pallet": {"Number": 9, "Batches": [{"Id": "B-7", "Count": 42}, {"Id": "B-8", "Count": 1}]},
}
"""Path and members; of Batch `Weight` and `Remark` are optional, and `Weight` is absent."""
UNION = ("Structures.Reading", "Number", 2.5)
"""Path, the member that is set, and its value; the others are `Text` and `Weight`."""

ANALOG = ("Analog.Pressure", 2.25)
"""With EURange -1 to 10 and EngineeringUnits bar."""


def many_path(number: int) -> str:
    """A changing node of `--nodes N`: even ones are UInt32 counters, odd ones Double."""
    return f"Many.{number:04}"


def many_value(number: int, tick: int) -> int | float:
    """What it holds after so many ticks; never the same twice in a row."""
    return number + tick * 0.5 if number % 2 else (number + tick) & 0xFFFF_FFFF
