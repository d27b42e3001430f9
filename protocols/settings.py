"""The base of every configuration section, and the units that sections are written in.

A section is a frozen pydantic model that refuses unknown keys (but `x-...`). Durations are integer
milliseconds and sizes integer bytes once loaded; in the file they carry their unit.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

NAME_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*$"

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|h|d)")
_MILLISECONDS = {"ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|kB|KB|MB|GB|TB)")
_BYTES = {"B": 1, "kB": 1_000, "KB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000, "TB": 1_000_000_000_000}
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*(h|min|s)")


def parse_duration(text: object) -> int:
    """Milliseconds of a duration as written in a configuration: `250ms`, `5s`, `2min`, `8h`, `7d`."""
    if text == 0 and not isinstance(text, bool):
        return 0
    if isinstance(text, str) and (match := _DURATION.fullmatch(text.strip())):
        return round(float(match[1]) * _MILLISECONDS[match[2]])
    raise ValueError(f"{text!r} is not a duration; write a number with its unit: 250ms, 5s, 2min, 8h or 7d")


def parse_size(text: object) -> int:
    """Bytes of a size as written in a configuration: `64MB`, `2GB` (decimal multiples)."""
    if isinstance(text, str) and (match := _SIZE.fullmatch(text.strip())):
        return round(float(match[1]) * _BYTES[match[2]])
    raise ValueError(f"{text!r} is not a size; write a number with its unit: 500kB, 64MB or 2GB")


def parse_cycle(text: object) -> float:
    """Ideal cycle in milliseconds a part, written as a cycle time (`500ms`) or as a rate (`120/min`, `36000/h`)."""
    if isinstance(text, str) and (match := _RATE.fullmatch(text.strip())):
        if float(match[1]) > 0:
            return _MILLISECONDS[match[2]] / float(match[1])
    elif isinstance(text, str) and _DURATION.fullmatch(text.strip()) and parse_duration(text) > 0:
        return float(parse_duration(text))
    raise ValueError(f"{text!r} is neither a cycle time nor a rate; write 500ms, or 120/min, 2/s, 36000/h")


def misplaced(message: str, *at: str | int) -> PydanticCustomError:
    """A problem that a section's validator finds in one of its keys: `at` leads from the section to the place."""
    return PydanticCustomError("linegate", "{message}", {"message": message, "at": at})


def _text_schema(example: str, description: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "examples": [example], "description": description})


Duration = Annotated[int, BeforeValidator(parse_duration), _text_schema("250ms", "number and unit: ms, s, min, h, d")]
Size = Annotated[int, BeforeValidator(parse_size), _text_schema("64MB", "number and unit: B, kB, MB, GB, TB")]
Cycle = Annotated[
    float, BeforeValidator(parse_cycle), _text_schema("120/min", "cycle time (500ms) or rate (120/min, 2/s, 36000/h)")
]
Name = Annotated[str, Field(pattern=NAME_PATTERN)]


class Settings(BaseModel):
    """One section of the configuration: frozen, typed, no unknown keys but the user's own `x-...`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_own_keys(cls, data: Any) -> Any:
        if isinstance(data, dict):
            return {key: value for key, value in data.items() if not (isinstance(key, str) and key.startswith("x-"))}
        return data


class SignalSettings(Settings):
    """What a signal of any protocol may say."""

    unit: str | None = None
    """Engineering unit, for people and uplinks (`mm`, `1/min`)."""
    deadband: float = Field(default=0.0, ge=0.0, allow_inf_nan=False)
    """Smallest change that is forwarded, in the value's unit after scaling; thins trends and uplinks only."""


class DeviceSettings(Settings):
    """What a device of any protocol must offer; each protocol's own section extends it."""

    scan_interval: Duration = 1000
    """Time between two scans; scans keep their phase."""
    timeout: Duration = 1000
    """How long one request may take."""

    @property
    def endpoint(self) -> str:
        """What identifies the connection: devices with the same endpoint share one."""
        raise NotImplementedError

    @property
    def signal_settings(self) -> dict[str, SignalSettings]:
        """The device's signals by name, in the order of the file: their numbers are their positions."""
        raise NotImplementedError
