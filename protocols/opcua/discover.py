"""Looks at an OPC UA server: what it offers, its variables as signals, and the machines that it describes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from asyncua import ua

from protocols.discovery import (
    Discovery,
    FoundSignal,
    Pace,
    Say,
    Wishes,
    device_name,
    names_of,
    plain_name,
)
from protocols.driver import ConfigError
from protocols.opcua.address import parse_node
from protocols.opcua.browse import MOST_NODES, MOST_REFERENCES, Browser, GentleSession, Node, Tree
from protocols.opcua.config import OpcuaDevice
from protocols.opcua.found import Finder
from protocols.opcua.limits import Limits
from protocols.opcua.machines import nameplates, propose, sites
from protocols.opcua.refusals import explain
from protocols.opcua.resolve import Unresolved, read_attributes, read_namespaces, resolve
from protocols.opcua.security import endpoints, offer
from protocols.opcua.session import Session
from protocols.recognise import is_of_machine, recognise
from protocols.settings import counted

OBJECTS = "i=85"
ENDPOINTS_S = 5.0
_BUILD = {
    "product": ua.ObjectIds.Server_ServerStatus_BuildInfo_ProductName,
    "made by": ua.ObjectIds.Server_ServerStatus_BuildInfo_ManufacturerName,
    "version": ua.ObjectIds.Server_ServerStatus_BuildInfo_SoftwareVersion,
}
_TOKENS = {
    ua.UserTokenType.Anonymous: "anonymous",
    ua.UserTokenType.UserName: "a user name",
    ua.UserTokenType.Certificate: "a user's certificate",
    ua.UserTokenType.IssuedToken: "an issued token",
}


@dataclass(frozen=True, slots=True)
class OpcuaTarget:
    """The server, and how it is entered: `section` is the device's without its signals."""

    section: dict[str, Any]
    root: str = OBJECTS
    state_dir: Path | None = None
    references: int = MOST_REFERENCES
    """That one answer is asked to hold."""

    @property
    def url(self) -> str:
        """The endpoint."""
        return str(self.section["endpoint"])

    @property
    def device(self) -> OpcuaDevice:
        """The device, for a session. Raises pydantic's ValidationError."""
        return OpcuaDevice.model_validate({**self.section, "signals": {"state": {"node": "i=2259"}}})


async def discover_opcua(target: OpcuaTarget, wishes: Wishes, pace: Pace, say: Say) -> Discovery:
    """Browse a server. Raises ConnectFailed, NotConnected or ConfigError."""
    offered = await endpoints(target.url, ENDPOINTS_S)
    pace.due()
    found = Discovery(target.url, _device_name(wishes, offered, target.url), settings=target.section)
    found.facts += _offers(offered)
    _check_offered(offered, target)
    session = GentleSession(target.device, target.state_dir, pace)
    try:
        await session.open()
        await _look(session, target, wishes, found, say)
    except ua.UaError as error:
        raise explain(error, target.url) from error
    finally:
        await session.close()
    found.asked = pace.asked
    return found


async def _look(session: Session, target: OpcuaTarget, wishes: Wishes, found: Discovery, say: Say) -> None:
    found.facts += await _build_info(session)
    browser = Browser(session, say, target.references)
    tree = await browser.tree(await _root(session, target.root), wishes.depth)
    variables = [one for one in tree.root.below() if one.is_variable and not one.is_property]
    wanted = [one for one in variables if wishes.wants(one.path)]
    known = sites(tree)
    needed: set[Node] = set().union(*(one.needed for one in known))
    useful: set[Node] = set().union(*(one.useful for one in known))
    wanted.sort(key=lambda one: one not in useful and not is_of_machine(one.path))  # stable: else the tree's order
    finder = Finder(session, tree, wishes, say)
    signals = await finder.find(wanted, needed)
    order = {one: number for number, one in enumerate(variables)}
    signals.sort(key=lambda pair: order[pair[0]])
    named = _named(signals, variables)
    found.signals += [signal for _, signal in named]
    found.left_out += finder.left_out
    found.notes += _notes(tree, wishes, finder, len(variables) - len(wanted))
    texts = await browser.names_below(tree, list(dict.fromkeys(m.kind for site in known for m in site.machines)))
    plates = await _nameplates(finder, tree)
    by_node: dict[Node, list[FoundSignal]] = {}
    for node, signal in named:
        by_node.setdefault(node, []).append(signal)

    def signals_of(node: Node | None) -> list[FoundSignal]:
        return [] if node is None else by_node.get(node, [])

    machines = [one for site in known if (one := propose(site, signals_of, texts, found.name)) is not None]
    machines += recognise(found.signals, found.name, plain_name(urlsplit(target.url).path))
    names = names_of([(found.name,), *((*one.place[:-1], one.name) for one in machines)])[1:]
    found.machines += [
        replace(one, name=name, notes=(*plates.get(one.place, ()), *one.notes))
        for one, name in zip(machines, names, strict=True)
    ]


def _named(signals: Sequence[tuple[Node, FoundSignal]], variables: Sequence[Node]) -> list[tuple[Node, FoundSignal]]:
    """Signals with names that tell them from all variables of the server, so that a filter changes no name."""
    taken = {node for node, _ in signals}
    places = [_place(node, signal) for node, signal in signals] + [one.path for one in variables if one not in taken]
    names = names_of(places)
    return [(node, replace(signal, name=name)) for (node, signal), name in zip(signals, names, strict=False)]


def _place(node: Node, signal: FoundSignal) -> tuple[str, ...]:
    """A member's name begins with its structure's; that it is of an array's first element is not said."""
    depth = max(len(node.path), 1) - 1
    return (*signal.place[:depth], "_".join((node.name, *signal.place[depth + 1 :])))


def _device_name(wishes: Wishes, offered: Sequence[Any], url: str) -> str:
    if wishes.name:
        return wishes.name
    texts = [one.Server.ApplicationName.Text or "" for one in offered if one.Server is not None]
    return device_name(*texts, urlsplit(url).path)


def _offers(offered: Sequence[Any]) -> list[tuple[str, str]]:
    """What the server is and how it may be entered; nothing of it is proven."""
    lines = [("server", one.Server.ApplicationName.Text or "without a name") for one in offered[:1]]
    lines += [("calls itself", one.Server.ApplicationUri or "nothing") for one in offered[:1]]
    for one in offered:
        tokens = ", ".join(dict.fromkeys(_TOKENS.get(t.TokenType, "?") for t in one.UserIdentityTokens or ()))
        if str(one.EndpointUrl).startswith("opc.tcp:"):
            lines.append(("offers", f"{offer(one)}; log-in by {tokens or 'nothing'}"))
    return list(dict.fromkeys(lines))


def _check_offered(offered: Sequence[Any], target: OpcuaTarget) -> None:
    """Without a policy a server that wants one would only close the connection."""
    open_ = [one for one in offered if one.SecurityMode == ua.MessageSecurityMode.None_]
    if offered and not open_ and target.section["security"]["policy"] == "none":
        lists = ", ".join(dict.fromkeys(offer(one) for one in offered))
        remedy = "pin its certificate with --trust, then choose one with --policy"
        raise ConfigError(f"the server takes nobody without a security policy; it offers {lists}", remedy)


async def _build_info(session: Session) -> list[tuple[str, str]]:
    nodes = [(ua.NodeId(number), ua.AttributeIds.Value) for number in _BUILD.values()]
    try:
        values = await read_attributes(session, Limits(read=1), nodes)
    except ua.UaStatusCodeError:
        return []
    texts = [None if one.Value is None else one.Value.Value for one in values]
    return [(what, text) for what, text in zip(_BUILD, texts, strict=True) if isinstance(text, str) and text]


async def _root(session: Session, written: str) -> Any:
    """The node that a person wants browsed. Raises ConfigError."""
    namespaces = await read_namespaces(session)
    (node,) = await resolve(session, Limits(), namespaces, [parse_node(written)])
    if isinstance(node, Unresolved):
        raise ConfigError(f"--root {written}: {node}", "without --root everything below Objects is browsed")
    return node


async def _nameplates(finder: Finder, tree: Tree) -> dict[tuple[str, ...], tuple[str, ...]]:
    """What the nameplates say, by the machine's place."""
    plates = nameplates(tree)
    nodes = [(machine.path, name, one) for machine, plate in plates.items() for name, one in plate.items()]
    values = await finder.values([one.node_id for _, _, one in nodes]) if nodes else []
    lines: dict[tuple[str, ...], tuple[str, ...]] = {}
    for (place, name, _), value in zip(nodes, values, strict=True):
        held = None if value.Value is None else value.Value.Value
        text = held.Text if isinstance(held, ua.LocalizedText) else held
        if isinstance(text, (str, int)) and text:
            lines[place] = (*lines.get(place, ()), f"{name}: {text}")
    return lines


def _notes(tree: Tree, wishes: Wishes, finder: Finder, unmatched: int) -> list[str]:
    """What a person does not see here, and how to see it."""
    notes = []
    if finder.unread:
        words = f"beyond --limit {wishes.limit}: raise it, or name what you want with --match or --root"
        notes.append(f"{counted(finder.unread, 'more variable')} {words}")
    if unmatched:
        notes.append(f"{counted(unmatched, 'variable')} not asked for by --match")
    if tree.too_deep:
        notes.append(f"{counted(tree.too_deep, 'object')} deeper than --depth {wishes.depth}")
    if tree.refused:
        notes.append(f"{counted(tree.refused, 'node')} that the server does not let us browse")
    if tree.is_cut:
        notes.append(f"the server has more than {MOST_NODES:,} nodes: begin further down with --root")
    return notes
