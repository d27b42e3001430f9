"""The base of every configuration section, and the units that sections are written in.

A section is a frozen pydantic model that refuses unknown keys (but `x-...`). Durations are integer
milliseconds and sizes integer bytes once loaded; in the file they carry their unit.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import pairwise
from typing import Annotated, Any, Literal, NoReturn, TypeAlias, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError

from protocols.units import CYCLE, DURATION, SIZE
from protocols.units import counted as counted
from protocols.units import duration_text as duration_text
from protocols.units import parse_cycle as parse_cycle
from protocols.units import parse_duration as parse_duration
from protocols.units import parse_size as parse_size
from protocols.units import shown as shown
from protocols.units import size_text as size_text

NAME_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]{0,99}$"

ValueType: TypeAlias = Literal["bool", "int", "float", "text"]
"""What a signal's value is once it is decoded and scaled."""

K = TypeVar("K")
V = TypeVar("V")


def between(low: str, high: str) -> AfterValidator:
    """Bounds of a Duration, both inclusive and written as in the file."""
    shortest, longest = parse_duration(low), parse_duration(high)

    def check(milliseconds: int) -> int:
        if shortest <= milliseconds <= longest:
            return milliseconds
        raise ValueError(f"{duration_text(milliseconds)} is outside {low}..{high}")

    return AfterValidator(check)


def at_least(low: str) -> AfterValidator:
    """The lower bound of a Size, inclusive and written as in the file."""
    smallest = parse_size(low)

    def check(size: int) -> int:
        if size >= smallest:
            return size
        raise ValueError(f"{size_text(size) if size else 0} is less than {low}")

    return AfterValidator(check)


def none_or_at_least(low: str) -> AfterValidator:
    """As `at_least`, of a Size that may also be none at all."""
    smallest = parse_size(low)

    def check(size: int) -> int:
        if size == 0 or size >= smallest:
            return size
        raise ValueError(f"{size_text(size)} is less than {low}; 0MB is none")

    return AfterValidator(check)


def _no_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError(f"expected a whole number, found {shown(value)}")
    return value


NOT_BOOL = BeforeValidator(_no_bool)
"""For a Literal of numbers: in Python true equals 1, in a configuration it does not."""


def misplaced(message: str, *at: str | int) -> PydanticCustomError:
    """A problem at another place than where a validator finds it: `at` leads from there to the place."""
    return PydanticCustomError("linegate", "{message}", {"message": message, "at": at})


def gathered(problems: Iterable[PydanticCustomError], inner: ValidationError | None = None) -> ValidationError:
    """Several problems as one error, behind those that `inner` has already: a validator reports all that it finds."""
    details = [
        InitErrorDetails(type=PydanticCustomError(e["type"], "{message}", {**e.get("ctx", {}), "message": e["msg"]}),
                         loc=e["loc"], input=None)
        for e in (inner.errors(include_url=False, include_input=False) if inner else ())
    ]  # fmt: skip
    details += [InitErrorDetails(type=problem, loc=(), input=None) for problem in problems]
    return ValidationError.from_exception_data("section", details)


class ReadOnlyDict(dict[K, V]):
    """A mapping of the configuration: as fast as a dict, and as frozen as the section that it is in."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("the configuration is read-only")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[type[dict[K, V]], tuple[dict[K, V]]]:
        return type(self), (dict(self),)  # copying and pickling would otherwise fill an empty one item by item


TEXT, SECTION = "\0text", "\0section"
"""Tags of a key that takes a text or a mapping; no key of a YAML file can look like them."""

text_or_section = Discriminator(lambda value: SECTION if isinstance(value, (dict, BaseModel)) else TEXT)
"""Decides between the two by what is written, so that a mistake in one brings no complaints about the other."""


def _unit_schema(kind: str, pattern: re.Pattern[str], example: str, description: str) -> WithJsonSchema:
    text = {"type": "string", "pattern": rf"^\s*{pattern.pattern}\s*$"}
    form: dict[str, Any] = {"anyOf": [text, {"const": 0}]} if kind == "duration" else text
    return WithJsonSchema({**form, "x-kind": kind, "examples": [example], "description": description})


Duration = Annotated[
    int,
    BeforeValidator(parse_duration),
    _unit_schema("duration", DURATION, "250ms", "number and unit: ms, s, min, h, d"),
]
Size = Annotated[
    int,
    BeforeValidator(parse_size),
    _unit_schema("size", SIZE, "64MB", "number and unit: B, kB, MB, GB, TB"),
]
Cycle = Annotated[
    float,
    BeforeValidator(parse_cycle),
    _unit_schema("cycle", CYCLE, "120/min", "cycle time (500ms) or rate (120/min, 2/s, 36000/h)"),
]
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Keyed = Annotated[Mapping[K, V], AfterValidator(ReadOnlyDict)]
"""A mapping that the configuration keeps, read-only."""


_KEYS_GIVEN: dict[frozenset[str], set[str]] = {}


@cache
def docstrings(module: str) -> dict[str, dict[str, str]]:
    """What the source of a module says below each attribute of its classes, by class and attribute."""
    classes = [
        node for node in ast.parse(inspect.getsource(sys.modules[module])).body if isinstance(node, ast.ClassDef)
    ]
    return {
        one.name: {
            field.target.id: inspect.cleandoc(said.value.value)
            for field, said in pairwise(one.body)
            if isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(said, ast.Expr)
            and isinstance(said.value, ast.Constant)
            and isinstance(said.value.value, str)
        }
        for one in classes
    }


class Settings(BaseModel):
    """One section of the configuration: frozen, typed, no unknown keys but the user's own `x-...`."""

    # deferred: the daemon is handed what another process has loaded, and builds no validators; a section that is a
    # default is therefore made by model_construct, which needs none
    # strict: "502" is no port, and true no number; a wrong type in the file is a mistake to be shown, not guessed away
    model_config = ConfigDict(
        defer_build=True,
        frozen=True,
        strict=True,
        extra="forbid",
        hide_input_in_errors=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _drop_own_keys(cls, data: Any) -> Any:
        if isinstance(data, dict):
            return {key: value for key, value in data.items() if not (isinstance(key, str) and key.startswith("x-"))}
        return data

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """A field's docstring is its description, read when a schema is wanted: at each start it would take longer
        than all else of the sections."""
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for section in (one for one in reversed(cls.__mro__) if issubclass(one, Settings)):
            for name, said in docstrings(section.__module__).get(section.__name__, {}).items():
                if name in cls.model_fields and cls.model_fields[name].description is None:
                    properties[cls.model_fields[name].alias or name]["description"] = said
        return schema

    # Sections come by the ten thousand and differ in a key or two: one is sent without what it has by default and with
    # a set of keys that others share, and set up key by key, so that the keys of all its kind lie in memory once.

    def __getstate__(self) -> dict[Any, Any]:
        state, fields = super().__getstate__(), type(self).model_fields
        given = state["__pydantic_fields_set__"]
        state["__pydantic_fields_set__"] = _KEYS_GIVEN.setdefault(frozenset(given), given)
        state["__dict__"] = {
            key: value for key, value in self.__dict__.items() if key not in fields or value is not fields[key].default
        }
        return state

    def __setstate__(self, state: dict[Any, Any]) -> None:
        values = {key: field.default for key, field in type(self).model_fields.items()}
        values.update(state.pop("__dict__"))
        for key, value in (state | values).items():
            object.__setattr__(self, key, value)


class TlsConfig(Settings):
    """TLS with verification; without `ca` the system's authorities are trusted.

    Files are relative to the working directory, which is `/` under systemd: write their paths in full.
    """

    ca: str | None = None
    """PEM file of the authority that signed the server's certificate."""
    certificate: str | None = None
    """PEM file of the client's certificate."""
    private_key: str | None = None
    """PEM file of the client's key."""

    @model_validator(mode="after")
    def _check(self) -> TlsConfig:
        if (self.certificate is None) != (self.private_key is None):
            raise misplaced("certificate and private_key belong together: give both or none")
        return self


def _on_or_off(written: object) -> bool:
    """A switch: YAML 1.2 reads on and off as texts."""
    if isinstance(written, bool):
        return written
    if isinstance(written, str) and written in ("on", "off"):
        return written == "on"
    raise ValueError(f"{shown(written)} is not a switch; write on or off")


Switch = Annotated[
    bool,
    BeforeValidator(_on_or_off),
    WithJsonSchema({"enum": ["on", "off", True, False], "x-kind": "switch", "examples": ["on"]}),
]
