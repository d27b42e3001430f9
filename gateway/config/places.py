"""A configuration as plain values, and where each of them was written.

YAML 1.2, composed to nodes by ruamel.yaml; the nodes are kept, for their marks are the places. Anchors, aliases
and merge keys (`<<`) are resolved here, so that a merged value's place is where it was written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from gateway.config.assemble import Filled
from gateway.config.compose import Misread, Path, Place, place_of

MAX_NODES = 1_000_000
"""Most values of a file, aliases and merges expanded: a small file of aliases to aliases can mean billions."""
MAX_DEPTH = 60
MAX_DIGITS = 1000

_Entries: TypeAlias = dict[str | int, tuple[Node, Node]]
"""A mapping's keys and values with its merges resolved, and without the user's own `x-` keys."""

_TAG = "tag:yaml.org,2002:"
_TAG_UNKNOWN = "a tag (!...) is not known here; leave it out, or put a text that begins with ! in quotes"
_FLOATS = {"inf": float("inf"), "nan": float("nan")}
_ESCAPE_LENGTH = {"x": 4, "u": 6, "U": 10}


class _TooMuch(Exception):
    """The file expands beyond all bounds."""


class Document:
    """The values of a configuration (`data`), what is wrong with its YAML (`misread`), and the place of each value."""

    def __init__(self, root: Node | None, texts: Mapping[str, str]) -> None:
        """`texts` are the files that the nodes were read from; the first is the one that the others belong to."""
        self._texts = texts
        self._begin = Place(1, 1, next(iter(texts)))
        self._tables: dict[int, _Entries] = {}
        self._left = MAX_NODES
        self._open: set[int] = set()
        self._reported: set[Place] = set()
        self.misread: list[Misread] = []
        self.data: Any = None
        self._root = root
        if root is not None:
            try:
                self.data = self._value(root, (), MAX_DEPTH)
            except _TooMuch:
                self.data = None

    def of_key(self, path: Path) -> Place:
        """Where the key at the end of `path` stands; of an entry of a list, the entry."""
        return self._key_place(path) or self.of_value(path)

    def of_value(self, path: Path) -> Place:
        """Where the value at `path` begins; where there is none, the key of the section that lacks it."""
        node, rest = self._follow(path)
        if node is None:
            return self._begin
        if rest:
            found = path[: len(path) - len(rest)]
            return self.of_key(found) if found else place_of(node)
        nothing = isinstance(node, ScalarNode) and not node.value and not node.style
        # where nothing is written, the parser's mark is at whatever follows
        return (self._key_place(path) if nothing else None) or place_of(node)

    def _key_place(self, path: Path) -> Place | None:
        parent, rest = self._follow(path[:-1])
        if rest or not path or not isinstance(parent, MappingNode):
            return None
        entry = self._tables.get(id(parent), {}).get(path[-1])
        return None if entry is None else place_of(entry[0])

    def within(self, path: Path, offset: int) -> Place:
        """Where a character of a text stands: exact on one line, else where the text begins."""
        node, rest = self._follow(path)
        if (
            rest
            or not isinstance(node, ScalarNode)
            or isinstance(node, Filled)
            or node.start_mark.line != node.end_mark.line
        ):
            return self.of_value(path)
        line, column, file = place_of(node)
        if node.style not in ("'", '"'):
            return Place(line, column + (0 if node.style else offset), file)
        text, begin = self._texts[file], node.start_mark.index + 1
        at = begin
        for _ in range(offset):
            at += _raw_length(text, at, node.style)
        return Place(line, column + 1 + at - begin, file)

    def _follow(self, path: Path) -> tuple[Node | None, Path]:
        """The deepest node on `path` that the file has, and what remains of the path."""
        node = self._root
        for index, part in enumerate(path):
            if isinstance(node, MappingNode) and id(node) in self._tables and part in self._tables[id(node)]:
                node = self._tables[id(node)][part][1]
            elif isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
            else:
                return node, path[index:]
        return node, ()

    def _misread(self, place: Place, path: Path, message: str) -> None:
        if place not in self._reported:  # an alias shows the same text at every place that uses it
            self._reported.add(place)
            self.misread.append(Misread(place, path, message))

    def _value(self, node: Node, path: Path, depth: int) -> Any:
        self._spend(node, path)
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        if depth == 0:
            self._misread(place_of(node), path, f"nested deeper than {MAX_DEPTH} levels")
            return None
        if id(node) in self._open:
            self._misread(place_of(node), path, "this value contains itself through its own alias")
            raise _TooMuch
        if node.tag not in (f"{_TAG}map", f"{_TAG}seq"):
            self._misread(place_of(node), path, _TAG_UNKNOWN)
        self._open.add(id(node))
        value: Any
        if isinstance(node, SequenceNode):
            value = [self._value(child, (*path, index), depth - 1) for index, child in enumerate(node.value)]
        else:
            assert isinstance(node, MappingNode)  # the composer knows three kinds of node
            entries = self._table(node, path, depth)
            value = {key: self._value(child, (*path, key), depth - 1) for key, (_, child) in entries.items()}
        self._open.discard(id(node))
        return value

    def _spend(self, node: Node, path: Path) -> None:
        self._left -= 1
        if self._left < 0:
            words = f"aliases expand the file to more than {MAX_NODES:,} values; write them out or use fewer"
            self._misread(place_of(node), path, words)
            raise _TooMuch

    def _table(self, node: MappingNode, path: Path, depth: int) -> _Entries:
        if (known := self._tables.get(id(node))) is not None:
            return known
        entries: _Entries = {}
        own: dict[str | int, Node] = {}
        for key_node, value_node in node.value:
            if key_node.tag == f"{_TAG}merge":
                for key, entry in self._merged(value_node, path, depth):
                    entries.setdefault(key, entry)  # what is written before wins, and so does what follows
                continue
            key_ = self._key(key_node, path)
            if key_ is None or (isinstance(key_, str) and key_.startswith("x-")):
                continue
            if key_ in own:
                here, other = place_of(key_node), place_of(own[key_])
                where = f"line {other.line}" + ("" if other.file == here.file else f" of {other.file}")
                words = f"is given twice, here and in {where}; keep one of them"
                self._misread(here, (*path, key_), words)
                continue
            own[key_] = key_node
            entries[key_] = (key_node, value_node)
        self._tables[id(node)] = entries
        return entries

    def _merged(self, node: Node, path: Path, depth: int) -> Iterator[tuple[str | int, tuple[Node, Node]]]:
        """The entries that `<<` brings; of several mappings, the first that has a key gives it."""
        for source in node.value if isinstance(node, SequenceNode) else [node]:
            if not isinstance(source, MappingNode) or id(source) in self._open or depth == 0:
                words = "a merge (<<) takes a mapping or a list of mappings, for example <<: *defaults"
                self._misread(place_of(node), (*path, "<<"), words)
                continue
            self._open.add(id(source))
            entries = self._table(source, path, depth - 1)
            self._open.discard(id(source))
            for key, entry in entries.items():
                self._spend(source, path)
                yield key, entry

    def _key(self, node: Node, path: Path) -> str | int | None:
        self._spend(node, path)
        if not isinstance(node, ScalarNode):
            words = "a key must be a name or a number; did you mean to quote a text with { or [ in it?"
            self._misread(place_of(node), path, words)
            return None
        value = self._scalar(node, path) if node.tag == f"{_TAG}int" else self._text_of(node, path)
        return value if isinstance(value, (int, str)) else None

    def _text_of(self, node: ScalarNode, path: Path) -> str | None:
        r"""A scalar as it is written; the two halves of a character, `"\ud83d\ude00"` as in JSON, are one."""
        text = str(node.value)
        try:
            return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError:
            words = r"half a character: a \uD800 to \uDFFF stands alone; write both halves, or the character itself"
            self._misread(place_of(node), path, words)
            return None

    def _scalar(self, node: ScalarNode, path: Path) -> Any:
        """The value of a scalar in YAML's core schema; dates stay texts."""
        text, kind = str(node.value), str(node.tag).removeprefix(_TAG)
        try:
            match kind:
                case "str" | "timestamp" | "value" | "merge":
                    return self._text_of(node, path)
                case "null":
                    return None
                case "bool":
                    return text.lower() == "true"
                case "int":
                    return _integer(text.replace("_", ""))
                case "float":
                    return _float(text.replace("_", "").lower())
        except ValueError:
            self._misread(place_of(node), path, "this cannot be read as a number; put it in quotes if it is a text")
            return None
        self._misread(place_of(node), path, _TAG_UNKNOWN)
        return None


def _integer(text: str) -> int:
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if len(digits) > MAX_DIGITS:
        raise ValueError("too many digits")  # as Python says of a decimal number, and not of a hexadecimal one
    return sign * (int(digits, 0) if digits[:2].lower() in ("0x", "0o", "0b") else int(digits))


def _float(text: str) -> float:
    sign, digits = (-1.0, text[1:]) if text.startswith("-") else (1.0, text.removeprefix("+"))
    return sign * (_FLOATS[digits[1:]] if digits[1:] in _FLOATS else float(digits))


def _raw_length(raw: str, at: int, style: str) -> int:
    """How many characters of the file make one character of a quoted text."""
    if style == "'":
        return 2 if raw[at : at + 2] == "''" else 1
    if raw[at : at + 1] != "\\":
        return 1
    return _ESCAPE_LENGTH.get(raw[at + 1 : at + 2], 2)
