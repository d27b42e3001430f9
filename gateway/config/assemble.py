"""One configuration from several files and templates, on YAML's nodes: each keeps the place at which it was written.

`include` brings the sections of other files; `templates` are machines with holes, which `use` and `with` fill.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from gateway.config.compose import Misread, Path, Place, compose, place_of
from gateway.config.nearest import did_you_mean, nearest

MOST_FILES = 100
_HOLE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Filled(ScalarNode):
    """A text of a template whose holes are filled: its characters are not where the file has them."""


@dataclass(slots=True)
class Assembled:
    """The root of a configuration, the texts of its files by name, and what is wrong with how they are put together."""

    root: Node | None = None
    texts: dict[str, str] = field(default_factory=dict)
    misread: list[Misread] = field(default_factory=list)


def assemble(file: str, text: str, read: Callable[[str], str | Misread]) -> Assembled:
    """Put a configuration together; `read` gives an included file's text, or why that cannot be had."""
    made = Assembled(texts={file: text})
    root = compose(text, file)
    if isinstance(root, Misread):
        made.misread.append(root)
        return made
    made.root = root
    if isinstance(root, MappingNode):
        for name in _names(root, made):
            _include(root, name, file, read, made)
        _fill_templates(root, made)
    return made


def _take(mapping: MappingNode, key: str) -> tuple[Node, Node] | None:
    """Remove an entry; its key and value."""
    for index, (key_node, value_node) in enumerate(mapping.value):
        if isinstance(key_node, ScalarNode) and key_node.value == key:
            del mapping.value[index]
            return key_node, value_node
    return None


def _entry(mapping: Node | None, key: str) -> Node | None:
    for key_node, value_node in mapping.value if isinstance(mapping, MappingNode) else ():
        if isinstance(key_node, ScalarNode) and key_node.value == key:
            found: Node = value_node
            return found
    return None


def _names(root: MappingNode, made: Assembled) -> Iterator[ScalarNode]:
    """The files to include, each once."""
    taken = _take(root, "include")
    if taken is None:
        return
    given = taken[1]
    names = given.value if isinstance(given, SequenceNode) else []
    if not names or not all(isinstance(name, ScalarNode) and name.value for name in names):
        words = "expected a list of files like [reasons.yaml], relative to this one"
        made.misread.append(Misread(place_of(given), ("include",), words))
        return
    if len(names) > MOST_FILES:
        words = f"{len(names)} files; at most {MOST_FILES} are possible"
        made.misread.append(Misread(place_of(given), ("include",), words))
        return
    yield from names


def _include(
    root: MappingNode, name: ScalarNode, file: str, read: Callable[[str], str | Misread], made: Assembled
) -> None:
    path = os.path.join(os.path.dirname(file), str(name.value))
    if path in made.texts:
        made.misread.append(Misread(place_of(name), ("include",), f"{path} is included already; name it once"))
        return
    text = read(path)
    if isinstance(text, Misread):
        made.misread.append(Misread(place_of(name), ("include",), f"{path}: {text.message}"))
        return
    made.texts[path] = text
    included = compose(text, path)
    if isinstance(included, Misread):
        made.misread.append(included)
    elif isinstance(included, MappingNode):
        if (further := _take(included, "include")) is not None:
            words = f"an included file includes nothing itself; name these files in {file}"
            made.misread.append(Misread(place_of(further[0]), ("include",), words))
        _merge(root, included, made)
    else:
        words = "is empty" if included is None else "is not a mapping of sections"
        made.misread.append(
            Misread(Place(1, 1, path), (), f"the file {words}; leave it out, or write sections into it")
        )


def _merge(root: MappingNode, included: MappingNode, made: Assembled) -> None:
    """Section by section; a name that both files give is found where their values are read."""
    for key_node, value_node in included.value:
        mine = _entry(root, str(key_node.value)) if isinstance(key_node, ScalarNode) else None
        if isinstance(mine, MappingNode) and isinstance(value_node, MappingNode):
            mine.value = [*mine.value, *value_node.value]
        elif mine is None:
            root.value.append((key_node, value_node))
        else:
            begun = place_of(mine)
            words = f"is given in line {begun.line} of {begun.file} already, and only mappings are merged"
            made.misread.append(Misread(place_of(key_node), (str(key_node.value),), words))


def _fill_templates(root: MappingNode, made: Assembled) -> None:
    taken = _take(root, "templates")
    templates: dict[str, Node] = {}
    if taken is not None:
        if isinstance(taken[1], MappingNode):
            templates = {str(key.value): value for key, value in taken[1].value if isinstance(key, ScalarNode)}
        else:
            words = "expected a mapping of names to machines with holes like {x}"
            made.misread.append(Misread(place_of(taken[1]), ("templates",), words))
    machines = _entry(root, "machines")
    if not isinstance(machines, MappingNode):
        return
    # a machine without its template is left out: what else it lacks has been said by that
    machines.value = [
        (key_node, machine)
        for key_node, machine in machines.value
        if not isinstance(machine, MappingNode)
        or not isinstance(key_node, ScalarNode)
        or _fill(machine, ("machines", str(key_node.value)), templates, made)
    ]


def _fill(machine: MappingNode, path: Path, templates: dict[str, Node], made: Assembled) -> bool:
    """A machine's own keys, and behind them those of the template that it uses; False where there is none."""
    use, with_ = _take(machine, "use"), _take(machine, "with")
    if use is None:
        if with_ is not None:
            words = "fills the holes of a template; name that with `use: TEMPLATE`, or leave this out"
            made.misread.append(Misread(place_of(with_[0]), (*path, "with"), words))
        return True
    name = str(use[1].value) if isinstance(use[1], ScalarNode) else ""
    template = templates.get(name)
    if not isinstance(template, MappingNode):
        hint = did_you_mean(nearest(name, list(templates))) if templates else "; the file has no `templates:`"
        words = (
            f"{name or 'this'} is not a template{hint}" if template is None else f"the template {name} is no mapping"
        )
        made.misread.append(Misread(place_of(use[1]), (*path, "use"), words))
        return False
    filler = _Filler(_fillings(with_, path, made))
    copied = filler.copy(template)
    assert isinstance(copied, MappingNode)
    for hole in sorted(filler.lacking):
        words = f"the template {name} has a hole {{{hole}}}; fill it with `with: {{{hole}: ...}}`"
        made.misread.append(Misread(place_of(use[1]), (*path, "use"), words))
    for unused in sorted(filler.fillings.keys() - filler.used):
        words = f"the template {name} has no hole {{{unused}}}; leave it out"
        made.misread.append(Misread(place_of(filler.fillings[unused]), (*path, "with", unused), words))
    if filler.lacking:
        return False
    own = {str(key.value) for key, _ in machine.value if isinstance(key, ScalarNode)} - {"<<"}
    machine.value += [
        (key, value) for key, value in copied.value if not (isinstance(key, ScalarNode) and str(key.value) in own)
    ]
    return True


def _fillings(with_: tuple[Node, Node] | None, path: Path, made: Assembled) -> dict[str, ScalarNode]:
    if with_ is None:
        return {}
    given = with_[1]
    if isinstance(given, MappingNode) and all(isinstance(value, ScalarNode) for _, value in given.value):
        return {str(key.value): value for key, value in given.value if isinstance(key, ScalarNode)}
    words = "expected a mapping of holes to texts or numbers, like {x: a}"
    made.misread.append(Misread(place_of(given), (*path, "with"), words))
    return {}


class _Filler:
    """Copies a template's nodes with its holes filled; what an alias shares stays shared."""

    def __init__(self, fillings: dict[str, ScalarNode]) -> None:
        self.fillings = fillings
        self.used: set[str] = set()
        self.lacking: set[str] = set()
        self._copies: dict[int, Node] = {}

    def copy(self, node: Node) -> Node:
        """The node, and all below it."""
        if (known := self._copies.get(id(node))) is not None:
            return known
        marks = (node.start_mark, node.end_mark)
        if isinstance(node, ScalarNode):
            self._copies[id(node)] = copied = self._scalar(node)
            return copied
        made: Node
        if isinstance(node, MappingNode):
            made = self._copies[id(node)] = MappingNode(node.tag, [], *marks, flow_style=node.flow_style)
            made.value = [(key, self.copy(value)) for key, value in node.value]
        else:
            assert isinstance(node, SequenceNode)  # the composer knows three kinds of node
            made = self._copies[id(node)] = SequenceNode(node.tag, [], *marks, flow_style=node.flow_style)
            made.value = [self.copy(value) for value in node.value]
        return made

    def _scalar(self, node: ScalarNode) -> ScalarNode:
        text = str(node.value)
        holes = set(_HOLE.findall(text))
        if not holes:
            return node
        self.used |= holes & self.fillings.keys()
        self.lacking |= holes - self.fillings.keys()
        whole = _HOLE.fullmatch(text)
        if whole is not None and whole[1] in self.fillings:
            filling = self.fillings[whole[1]]  # a number stays one
            return Filled(filling.tag, filling.value, node.start_mark, node.end_mark, style=filling.style)
        filled = _HOLE.sub(
            lambda hole: str(self.fillings[hole[1]].value) if hole[1] in self.fillings else hole[0], text
        )
        return Filled(node.tag, filled, node.start_mark, node.end_mark, style=node.style)
