"""Plain words for what validation finds: what was expected, what was found, and the nearest right name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from gateway.config.compose import Path, Place
from gateway.config.nearest import did_you_mean, nearest
from gateway.config.places import Document
from gateway.config.schema import json_schema
from protocols.settings import NAME_PATTERN, shown

_CONFIDENTIAL = re.compile(r"password|secret|token|pin|key|user|url|credential|env|file", re.IGNORECASE)
"""Keys whose value is never shown: someone may have written a secret where its place belongs."""

_KEY_KINDS = {"int_type": "number_key", "int_parsing": "number_key", "literal_error": "state_key"}
_NOUNS = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
}
_UNITS = {
    "duration": "a duration",
    "size": "a size",
    "cycle": "a cycle time or a rate",
    "switch": "on or off",
    "time": "a time of day",
    "date": "a date",
    "moment": "a date and a time",
}


class Explained(NamedTuple):
    """One problem in plain words; `place` is where its text stands."""

    place: Place
    path: Path
    message: str


class Guide:
    """What the schema knows of each place: its keys, what they take, and an example."""

    def __init__(self) -> None:
        self._schema = json_schema()

    def section(self, path: Path, data: Any) -> list[dict[str, Any]]:
        """What may stand at `path`: several alternatives at most, none where nothing may; `data` picks the kind."""
        nodes = self._open(self._schema, data)
        for part in path:
            data = _item(data, part)
            inner = [child for node in nodes if (child := _child(node, part)) is not None]
            nodes = [one for child in inner for one in self._open(child, data)]
        return nodes

    def keys(self, path: Path, data: Any) -> list[str]:
        """The keys that a section has."""
        return list(dict.fromkeys(key for node in self.section(path, data) for key in node.get("properties", ())))

    def expected(self, path: Path, data: Any) -> str:
        """What a place takes, in words."""
        return " or ".join(dict.fromkeys(_words(node) for node in self.section(path, data))) or "something else"

    def example(self, path: Path, data: Any) -> Any:
        """Something right for a key of its section, or None."""
        for node in self.section(path[:-1], data):
            described = node.get("properties", {}).get(path[-1], {})
            if described.get("examples"):
                return described["examples"][0]
            if "default" in described:
                return described["default"]
        return next((n["examples"][0] for n in self.section(path, data) if n.get("examples")), None)

    def _open(self, node: dict[str, Any], data: Any) -> list[dict[str, Any]]:
        if "$ref" in node:
            return self._open(self._schema["$defs"][node["$ref"].rpartition("/")[2]], data)
        if "x-kind" in node:
            return [node]
        alternatives = node.get("anyOf") or node.get("oneOf")
        if not alternatives:
            return [node] if node.get("type") != "null" else []
        opened = [one for alternative in alternatives for one in self._open(alternative, data)]
        return [one for one in opened if _fits(one, data)] or opened


def explain(error: ValidationError, document: Document) -> Iterator[Explained]:
    """Every error of a validation of `document.data`."""
    guide = Guide()
    for one in error.errors(include_url=False, include_input=False):
        context = one.get("ctx", {})
        path = tuple(part for part in one["loc"] if not str(part).startswith("\0"))
        of_key = "[key]" in path
        path = path[: path.index("[key]")] if of_key else path + tuple(context.get("at", ()))
        value = _at(document.data, path)
        kind = one["type"] if not of_key else _KEY_KINDS.get(one["type"], "key")
        if kind == "default_factory_not_called":
            continue  # what it is made from has a problem of its own
        if kind == "too_short" and value:
            continue  # its entries are there, and have problems of their own
        at_key = kind in ("key", "number_key", "state_key", "extra_forbidden", "invalid_key")
        place = document.of_key(path) if at_key else document.of_value(path)
        if at_key and any(node.get("title") == "Secret" for node in guide.section(path[:-1], document.data)):
            kind, path = "secret", path[:-1]  # `password: {hunter2}` is a key too
        yield Explained(place, path, _message(kind, path, value, context, guide, document.data))


def _message(kind: str, path: Path, value: Any, context: Mapping[str, Any], guide: Guide, data: Any) -> str:
    match kind:
        case "linegate":
            return str(context["message"])
        case "value_error":
            return str(context["error"])
        case "missing":
            return f"is required{_for_example(path, guide.example(path, data))}"
        case "secret":
            return f"expected {guide.expected(path, data)}, found another key"
        case "extra_forbidden" | "invalid_key":
            return _unknown_key(str(path[-1]), guide.keys(path[:-1], data))
        case "key":
            return "is not a name; a name has 1 to 100 letters, digits and _, and does not begin with a digit"
        case "state_key":
            return f"is not a state; the states are {context['expected']}".replace("'", "").replace(" or ", ", ")
        case "number_key":
            return "is not a whole number; write the number itself, without quotes"
        case "string_pattern_mismatch" if context.get("pattern") == NAME_PATTERN:
            return f"{shown(value)} is not a name; a name has letters, digits and _, and does not begin with a digit"
        case "string_pattern_mismatch":
            return f"{shown(value)} is not a signal; write device.signal{_like(guide.example(path, data))}"
        case "too_short":
            return f"needs at least one entry{_for_example(path, guide.example(path, data))}"
        case "string_too_short":
            return f"must not be empty{_for_example(path, guide.example(path, data))}"
        case "string_too_long":
            return f"has {len(value)} characters; at most {context['max_length']} are possible"
        case "greater_than_equal" | "less_than_equal":
            return f"{shown(value)} is out of bounds; expected {_bounds(guide.section(path, data))}"
        case "literal_error":
            return _not_one_of(path, value, guide.expected(path, data), guide.section(path, data))
    return _wrong_type(path, value, guide, data)


def _unknown_key(key: str, known: list[str]) -> str:
    near = nearest(key, known)
    return f"is not a key here{did_you_mean(near) if near else '; the keys here are ' + ', '.join(known)}"


def _not_one_of(path: Path, value: Any, expected: str, nodes: list[dict[str, Any]]) -> str:
    choices = [str(choice) for node in nodes for choice in node.get("enum", [node.get("const", "")])]
    hint = did_you_mean(nearest(value, choices)) if isinstance(value, str) else ""
    is_not = "is not" if len(choices) > 1 else "is not possible; expected"
    return f"{_found(path, value)} {is_not} {expected}{hint}"


def _wrong_type(path: Path, value: Any, guide: Guide, data: Any) -> str:
    expected = guide.expected(path, data)
    if value is None:
        return f"expected {expected}, found nothing; give it a value, or leave the key out"
    if isinstance(value, str) and expected.startswith(("a whole number", "a number")):
        remedy = "; leave out the quotes" if re.fullmatch(r"[-+]?[0-9]+(\.[0-9]+)?", value) else ""
    elif isinstance(value, (bool, int, float)) and "a text" in expected:
        remedy = "; put it in quotes"
    else:
        remedy = ""
    like = "" if remedy else _like(guide.example(path, data))
    # what stands in a section's place can be anything, a URL with a password too
    found = _kind(value) if "mapping" in expected or "{" in expected else _found(path, value)
    return f"expected {expected}{like}, found {found}{remedy}"


def _found(path: Path, value: Any) -> str:
    """What stands there; only its kind, where it may be a secret."""
    return _kind(value) if any(_CONFIDENTIAL.search(str(part)) for part in path) else shown(value)


def _kind(value: Any) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return "a number"
    return "a text" if isinstance(value, str) else shown(value)


def _for_example(path: Path, example: Any) -> str:
    return "" if example is None else f", for example `{path[-1]}: {example}`"


def _like(example: Any) -> str:
    return "" if example is None else f" like {example}"


def _bounds(nodes: list[dict[str, Any]]) -> str:
    low = next((node["minimum"] for node in nodes if "minimum" in node), None)
    high = next((node["maximum"] for node in nodes if "maximum" in node), None)
    return f"{low:.9g}..{high:.9g}" if high is not None and low is not None else f"{low or 0:.9g} or more"


def _words(node: dict[str, Any]) -> str:
    if "x-kind" in node:
        return _UNITS[node["x-kind"]]
    if node.get("title") == "Secret":
        return "{credential: NAME}, {env: NAME} or {file: PATH}"
    if "enum" in node:
        return f"one of {', '.join(str(choice) for choice in node['enum'])}"
    if "const" in node:
        return f"{node['const']}"
    words = _NOUNS.get(str(node.get("type")), "a value")
    return f"{words} in {_bounds([node])}" if "maximum" in node else words


def _child(node: dict[str, Any], part: str | int) -> dict[str, Any] | None:
    if isinstance(part, int) and node.get("type") == "array":
        items = node.get("items")
        return items if isinstance(items, dict) else None
    if part in node.get("properties", {}):
        child = node["properties"][part]
        return child if isinstance(child, dict) else None
    by_name = [child for pattern, child in node.get("patternProperties", {}).items() if pattern != "^x-"]
    values = by_name[0] if by_name else node.get("additionalProperties")
    return values if isinstance(values, dict) else None


def _fits(node: dict[str, Any], data: Any) -> bool:
    """Whether an alternative is the one that was begun: a mapping for a mapping, of the kind that it names."""
    if isinstance(data, list):
        return node.get("type") == "array"
    if not isinstance(data, dict):
        return node.get("type") not in ("object", "array")
    kinds = {key: child["const"] for key, child in node.get("properties", {}).items() if "const" in child}
    return node.get("type") == "object" and all(data.get(key, kind) == kind for key, kind in kinds.items())


def _item(data: Any, part: str | int) -> Any:
    if isinstance(data, dict):
        return data.get(part)
    return data[part] if isinstance(data, list) and isinstance(part, int) and part < len(data) else None


def _at(data: Any, path: Path) -> Any:
    for part in path:
        data = _item(data, part)
    return data
