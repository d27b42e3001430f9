"""Recognises machines by OPC UA's companion specifications: PackML (OPC 30050) and Machinery (OPC 40001-1)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from protocols.discovery import FoundSignal, ProposedMachine, plain_name
from protocols.opcua.browse import Node, Tree
from protocols.recognise import counter, ideal_note, machine_name, parts_of

SignalsOf: TypeAlias = Callable[[Node | None], list[FoundSignal]]
"""What was found of a variable."""
StateTexts: TypeAlias = Mapping[Any, Sequence[str]]
"""Names of the states of each type of state machine, as the server shows them."""

_UA = "http://opcfoundation.org/UA/"
_PACKML, _MACHINERY = f"{_UA}PackML/", f"{_UA}Machinery/"
_NAMEPLATE = ("Manufacturer", "Model", "ProductInstanceUri", "SerialNumber", "YearOfConstruction")
_PACKML_STATES = (
    ("Aborted", "Aborting"),
    ("Clearing", "Stopped", "Stopping"),
    ("Idle", "Starting", "Execute", "Completing", "Complete", "Resetting", "Holding", "Held", "Unholding",
     "Suspending", "Suspended", "Unsuspending"),
)  # fmt: skip
"""Of the base, machine and execute state machine, outermost first: each is inactive unless the one before runs."""
_ALL_STATES = tuple(name for names in _PACKML_STATES for name in names)
_QUOTABLE = re.compile(r"[A-Za-z _-]{1,40}")
_MACHINERY_STATES = {
    "Executing": "execute",
    "NotExecuting": "idle",
    "OutOfService": "stopped",
    "NotAvailable": "stopped",
}


@dataclass(frozen=True, slots=True)
class Site:
    """An object that is a machine, and the variables that say something of it."""

    node: Node
    standard: str
    states: tuple[Node, ...]
    """CurrentState of each state machine, outermost first."""
    machines: tuple[Node, ...]
    """Those state machines."""
    roles: Mapping[str, Node]

    @property
    def needed(self) -> set[Node]:
        """What a proposal cannot do without."""
        return set(self.states)

    @property
    def useful(self) -> set[Node]:
        """Everything of it."""
        return {*self.states, *self.roles.values()}


def sites(tree: Tree) -> list[Site]:
    """The machines of a tree."""
    known = {uri: tree.namespaces.index(uri) for uri in (_PACKML, _MACHINERY) if uri in tree.namespaces}
    found: list[Site] = []
    for node in tree.root.below():
        if node.is_variable:
            continue
        if node.name == "BaseStateMachine" and node.namespace == known.get(_PACKML) and node.parent is not None:
            found += _packml_site(node.parent, node)
        elif node.name == "MachineryItemState" and node.namespace == known.get(_MACHINERY) and node.parent is not None:
            blocks = node.parent
            is_folder = blocks.name == "MachineryBuildingBlocks" and blocks.parent is not None
            found += _machinery_site(blocks.parent if is_folder else blocks, node)
    packml = {one.node for one in found if one.standard == "packml"}
    return [one for one in found if one.standard == "packml" or one.node not in packml]


def nameplates(tree: Tree) -> dict[Node, dict[str, Node]]:
    """Properties of Identification, by the machine that has it."""
    return {
        node.parent: plate
        for node in tree.root.below()
        if node.name == "Identification" and node.parent is not None and not node.is_variable
        if (plate := {name: one for name in _NAMEPLATE if (one := node.child(name)) is not None})
    }


def propose(site: Site, signals_of: SignalsOf, texts: StateTexts, device: str) -> ProposedMachine | None:
    """The machine of a site; None where the variables that would say its state are not there."""
    states = [(machine, one[0]) for machine, node in zip(site.machines, site.states, strict=True)
              if (one := signals_of(node))]  # fmt: skip
    if len(states) < len(site.states):
        return None
    name = machine_name(site.node.path, device)
    rules = list(
        (_packml_rules if site.standard == "packml" else _machinery_rules)(site, states, signals_of, texts, device)
    )
    if site.standard != "packml":
        words = "OutOfService and NotAvailable are taken for stopped: see what they mean here"
        notes = [words, *_foreign(states, texts), ideal_note(None)]
        by = "MachineryItemState of OPC UA for Machinery (OPC 40001-1)"
        return ProposedMachine(name, site.node.path, by, {"states": rules}, tuple(notes))
    total, scrap = (counter(signals_of(site.roles.get(tag))) for tag in ("ProdProcessedCount", "ProdDefectiveCount"))
    design = signals_of(site.roles.get("MachDesignSpeed"))
    notes = [*_foreign(states, texts), ideal_note(design[0] if design else None)]
    by = "PackMLBaseObjectType of OPC UA for PackML (OPC 30050)"
    return ProposedMachine(name, site.node.path, by, {"states": rules, **parts_of(total, scrap, device)}, tuple(notes))


def _packml_site(machine: Node, base: Node) -> Iterator[Site]:
    machines = [base]
    for name in ("MachineState", "ExecuteState"):
        inner = machines[-1].child(name)
        if inner is None:
            break
        machines.append(inner)
    states = [one for each in machines if (one := each.child("CurrentState")) is not None]
    roles: dict[str, Node] = {}
    for folder in ("Status", "Admin"):
        inner = machine.child(folder)
        roles |= {one.name: one for one in (inner.children if inner is not None else []) if one.is_variable}
    if len(states) == len(machines) == len(_PACKML_STATES):
        yield Site(machine, "packml", tuple(states), tuple(machines), roles)


def _machinery_site(machine: Node | None, item: Node) -> Iterator[Site]:
    state = item.child("CurrentState")
    if state is not None and machine is not None:
        yield Site(machine, "machinery", (state,), (item,), {})


def _packml_rules(
    site: Site, states: Sequence[tuple[Node, FoundSignal]], signals_of: SignalsOf, texts: StateTexts, device: str
) -> Iterator[dict[str, str]]:
    """States of the outer machines first: the inner ones mean nothing then."""
    for (machine, signal), known in zip(states, _PACKML_STATES, strict=True):
        shown = {plain_name(text).replace("_", ""): text for text in texts.get(machine.kind) or known}
        for name in _ALL_STATES:
            text = shown.get(name.lower())
            if text is None or not _QUOTABLE.fullmatch(text):
                continue
            when = f'{device}.{signal.name} == "{text}"'
            if name in ("Suspended", "Suspending", "Unsuspending"):
                for cause, tag in (("starved", "EquipmentStarved"), ("blocked", "EquipmentBlocked")):
                    why = [one for one in signals_of(site.roles.get(tag)) if one.type == "bool"]
                    if why and name == "Suspended":
                        yield {"state": "suspended", "cause": cause, "when": f"{when} and {device}.{why[0].name}"}
            yield {"state": name.lower(), "when": when}


def _machinery_rules(
    site: Site, states: Sequence[tuple[Node, FoundSignal]], signals_of: SignalsOf, texts: StateTexts, device: str
) -> Iterator[dict[str, str]]:
    ((_, signal),) = states
    for text, state in _MACHINERY_STATES.items():
        yield {"state": state, "when": f'{device}.{signal.name} == "{text}"'}


def _foreign(states: Sequence[tuple[Node, FoundSignal]], texts: StateTexts) -> Iterator[str]:
    """States that are shown now in words that no rule knows."""
    standard = {"cleared", "running", *(name.lower() for names in _PACKML_STATES for name in names)}
    standard |= {name.lower() for name in _MACHINERY_STATES}
    for machine, signal in states:
        known = standard | {text.lower() for text in texts.get(machine.kind, ())}
        if signal.value.lower() not in known and not signal.value.startswith("bad now"):
            words = (
                f'{signal.name} is "{signal.value}" now, which no rule knows: write the rules in the server\'s words'
            )
            yield words
