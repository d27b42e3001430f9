"""The JSON Schema of the configuration file (draft 2020-12), from the sections' own descriptions."""

from __future__ import annotations

from copy import deepcopy
from functools import lru_cache
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from gateway.config.model import Config
from protocols.settings import duration_text, size_text

_OWN_KEYS = {"^x-": True}


class _FileSchema(GenerateJsonSchema):
    """Describes what is written in the file, and not what it becomes."""

    schema_dialect = "https://json-schema.org/draft/2020-12/schema"

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        described = super().default_schema(schema)
        kind, default = described.get("x-kind"), described.get("default")
        if isinstance(default, int) and kind in ("duration", "size"):
            described["default"] = duration_text(default) if kind == "duration" else size_text(default)
        elif kind == "switch":
            described["default"] = "on" if default else "off"
        return described


@lru_cache(maxsize=1)
def _schema() -> dict[str, Any]:
    schema = Config.model_json_schema(schema_generator=_FileSchema, mode="validation")
    for section in (schema, *schema.get("$defs", {}).values()):
        _tidy(section)
    for short in ("CounterConfig", "ModeConfig", "PackmlStateConfig"):  # the signal's name alone is enough
        section = schema["$defs"][short]
        schema["$defs"][short] = {
            "title": section.pop("title"),
            "description": section.pop("description"),
            "anyOf": [dict(section["properties"]["signal"], title="signal"), section],
        }
    _add_assembly(schema)
    title = {"$schema": _FileSchema.schema_dialect, "title": "linegate configuration"}
    return {**title, **{key: value for key, value in schema.items() if key not in title}}


def _add_assembly(schema: dict[str, Any]) -> None:
    """The keys by which a file is put together, and which are gone when that is done."""
    machine = schema["$defs"]["MachineConfig"]
    machine["properties"] |= {
        "use": {
            "type": "string",
            "description": "A template, whose keys it takes where it has none of its own.",
            "examples": ["labeler"],
        },
        "with": {
            "type": "object",
            "description": "What fills the template's holes: `{x}` in its texts, by name.",
            "additionalProperties": {"type": ["string", "number", "boolean"]},
            "examples": ["{x: a}"],
        },
    }
    schema["properties"] |= {
        "include": {
            "type": "array",
            "items": {"type": "string", "minLength": 1},
            "description": "Files whose sections are merged into this one's, relative to it; they include nothing.",
            "examples": ["[reasons.yaml]"],
        },
        "templates": {
            "type": "object",
            "description": "Machines with holes like `{x}`, by name, for machines that are alike: `use` and `with`.",
            "additionalProperties": {"type": "object"},
            "examples": ['{labeler: {packml_state: "{plc}.state"}}'],
        },
    }


def json_schema() -> dict[str, Any]:
    """The schema as plain values, for `linegate schema` and for editors."""
    return deepcopy(_schema())


def _tidy(node: Any) -> None:
    """Key by key: `x-` keys are the user's own wherever there are keys, and null is never written."""
    if isinstance(node, list):
        for item in node:
            _tidy(item)
    if not isinstance(node, dict):
        return
    if node.get("type") == "object":
        node.setdefault("patternProperties", {}).update(_OWN_KEYS)
        node.setdefault("additionalProperties", False)
        if "minLength" in node:  # of a mapping: entries
            node["minProperties"] = node.pop("minLength")
    if "default" in node and node["default"] is None:
        del node["default"]
    for key, value in node.items():
        if key not in ("default", "examples", "const", "enum"):
            _tidy(value)
