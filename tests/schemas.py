"""What holds each event that a test sees to its JSON Schema: each shape once, for jsonschema is slow."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator

from gateway.events import TYPE_VERSION
from gateway.schemas.catalogue import event_schemas


def _closed(node: Any) -> Any:
    """A schema that knows every field: receivers must bear new ones, but here each is to be described."""
    if isinstance(node, dict):
        closed = {"additionalProperties": False} if "properties" in node else {}
        return closed | {key: _closed(inner) for key, inner in node.items()}
    return [_closed(inner) for inner in node] if isinstance(node, list) else node


VALIDATORS = {name: Draft202012Validator(_closed(schema)) for name, schema in event_schemas().items()}
_WORD = re.compile(r"[a-z_]{1,40}")
_held: set[tuple[str, Any]] = set()


def hold(kind: str, data: Any) -> None:
    """Raise jsonschema's ValidationError where data of the short type `kind` is not as its schema says."""
    shape = (kind, _shape(data))
    if shape not in _held:
        VALIDATORS[f"urn:linegate:{kind}{TYPE_VERSION}"].validate(data)
        _held.add(shape)


def hold_cloud_event(event: Mapping[str, Any]) -> None:
    """The same for one with its envelope, whose `dataschema` must name the schema of its type."""
    assert event["dataschema"] == f"urn:{event['type'].replace('.', ':', 1)}", event["dataschema"]
    hold(event["type"].removeprefix("linegate.").removesuffix(TYPE_VERSION), event["data"])


def _shape(value: Any) -> Any:
    """All that a schema of ours tells values apart by: keys, types and words; ours have no bounds."""
    if isinstance(value, Mapping):
        return tuple((key if _WORD.fullmatch(key) else "", _shape(inner)) for key, inner in value.items())
    if isinstance(value, list):
        return (list, *dict.fromkeys(map(_shape, value)))
    if isinstance(value, str):
        return value if _WORD.fullmatch(value) else str
    return value if value is None or isinstance(value, bool) else type(value)
