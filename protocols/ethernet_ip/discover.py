"""Looks at a Logix controller: who it is, how it is, its tags as signals, and the machines that their names tell."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from pydantic import ValidationError

from ext.table import DecodeError, SignalTable
from protocols.discovery import Discovery, FoundSignal, LeftOut, Pace, Say, Wishes, device_name, names_of
from protocols.driver import ConfigError, ConnectFailed, LinkStats, NotConnected
from protocols.ethernet_ip.address import parse_tag
from protocols.ethernet_ip.allowed import Service, read_request
from protocols.ethernet_ip.config import EthernetIpDevice
from protocols.ethernet_ip.controller import STATUS_REQUEST, Identity, identify
from protocols.ethernet_ip.driver import ROUNDS
from protocols.ethernet_ip.epath import CLASS, INSTANCE, logical
from protocols.ethernet_ip.identity import PIECES, PREFIX
from protocols.ethernet_ip.link import EipLink, Exchange
from protocols.ethernet_ip.list_identity import list_identity
from protocols.ethernet_ip.plan import Limits
from protocols.ethernet_ip.project import Project
from protocols.ethernet_ip.reply import Reader
from protocols.ethernet_ip.resolve import Resolver, Unresolved
from protocols.ethernet_ip.status import SUCCESS
from protocols.ethernet_ip.symbols import Entry, list_scope
from protocols.ethernet_ip.tagtree import MOST_LEAVES, Leaf, leaves
from protocols.ethernet_ip.templates import STRUCTURE, Templates, elementary
from protocols.ethernet_ip.types import Symbol
from protocols.ethernet_ip.unit import Unit, Verdict
from protocols.recognise import is_of_machine, recognise
from protocols.settings import counted
from protocols.typed import TEXT_LENGTH

ANSWER_S = 5.0
MOST_REQUESTS = 20_000
"""A controller whose lists have no end is left alone after so many."""
_PROGRAM_NAME = read_request(Service.GET_ATTRIBUTES_ALL, logical(CLASS, 0x64) + logical(INSTANCE, 1))
_PROGRAM = "Program:"
_MODES = {1: "firmware update", 3: "?", 4: "bad flash memory", 5: "faulted", 6: "run", 7: "program"}
_KEYS = {1: "run", 2: "program", 3: "remote"}
_MEANINGS = {
    "mode": "6 run, 7 program, 5 faulted",
    "keyswitch": "1 run, 2 program, 3 remote",
}


class GentleLink(EipLink):
    """A link that keeps its requests apart."""

    def __init__(self, device: EthernetIpDevice, pace: Pace) -> None:
        super().__init__(device.path, ANSWER_S, LinkStats())
        self._pace = pace

    async def ask(self, exchanges: Sequence[Exchange]) -> None:
        """As `EipLink.ask`, each once it is due."""
        for one in exchanges:
            if self._pace.asked >= MOST_REQUESTS:
                words = f"the controller was asked {self._pace.asked:,} times, and there was still more"
                raise NotConnected(words, "narrow what is looked at with --match, or report it")
            await asyncio.sleep(self._pace.due())
            await super().ask([one])


@dataclass(slots=True)
class _Found:
    """Values of the tags, before they are read."""

    symbols: list[Symbol]
    leaves: list[Leaf]
    left_out: list[LeftOut]
    hidden: int = 0


async def discover_ethernet_ip(section: dict[str, Any], wishes: Wishes, pace: Pace, say: Say) -> Discovery:
    """Look at the controller that a device's section names. Raises ConnectFailed, NotConnected or ConfigError."""
    device = _device(section, {"mode": {"tag": f"{PREFIX}mode"}})
    found = Discovery(f"{device.host}:{device.port}", "", settings=section)
    await asyncio.sleep(pace.due())
    listed = await list_identity(device.host, device.port)
    if listed is not None:
        found.facts.append(("listens", f"{listed}"))
    link = GentleLink(device, pace)
    try:
        await link.open(device.host, device.port)
        await link.open_connection()
        identity = await identify(link)
        found.facts += await _facts(link, identity)
        project = [text for what, text in found.facts if what == "project"]
        found.name = wishes.name or device_name(*project, identity.name)
        await _look(link, identity, section, wishes, found, say)
    except DecodeError as error:
        words = f"what it says of its tags cannot be read: {error}"
        raise ConnectFailed(words, "report it, with the firmware's revision") from error
    finally:
        await link.close()
    found.asked = pace.asked
    return found


async def _look(
    link: GentleLink, identity: Identity, section: dict[str, Any], wishes: Wishes, found: Discovery, say: Say
) -> None:
    tags = _Found([], [], [])
    if identity.is_logix:
        tags = await _tags(link, identity, wishes, say)
    elif identity.name:
        found.notes.append("it is no Logix controller, and lists no tags: its objects are in its manual (`object:`)")
    if not identity.name and not identity.is_logix:
        words = "nobody answers at the end of the route, or it does not say who it is"
        raise ConfigError(words, "check slot and route: eip://HOST/SLOT, eip://HOST/backplane/2/ip/10.1.1.5/SLOT")
    wanted = [one for one in tags.leaves if wishes.wants(one.place)]
    chosen = sorted(wanted, key=lambda one: not is_of_machine(one.place))[: wishes.limit]
    kept = {one.tag for one in chosen}
    names = names_of([*(("controller", piece) for piece in PIECES), *(_place(one) for one in tags.leaves)])
    pieces = [one for one in PIECES if one != "status"] if identity.is_logix else ["status"]
    signals = [
        FoundSignal(f"controller_{one}", ("controller itself", one), {"tag": f"{PREFIX}{one}"},
                    "bool" if PIECES[one].any_of else "uint16", "", None, {}, (_MEANINGS.get(one, ""),))
        for one in pieces
    ]  # fmt: skip
    resolver = Resolver(tags.symbols)
    found.left_out += tags.left_out
    for leaf, name in zip(tags.leaves, names[len(PIECES) :], strict=True):
        if leaf.tag in kept:
            signal = _signal(leaf, name, resolver)
            (signals if isinstance(signal, FoundSignal) else found.left_out).append(signal)  # type: ignore[arg-type]
    found.signals += await _with_values(link, section, tags.symbols, signals, found, say)
    found.machines += recognise(found.signals, found.name, found.name)
    names = names_of([(found.name,), *((*one.place[:-1], one.name) for one in found.machines)])[1:]
    found.machines = [replace(one, name=name) for one, name in zip(found.machines, names, strict=True)]
    found.notes += _notes(wishes, tags, len(wanted))


async def _facts(link: EipLink, identity: Identity) -> list[tuple[str, str]]:
    """Who the controller is, and how it is."""
    facts = []
    if identity.name:
        who = f"{identity.name}, revision {identity.major}.{identity.minor:03}, serial {identity.serial:08X}"
        facts.append(("controller" if identity.is_logix else "device", who))
    status = await link.call(STATUS_REQUEST)
    if status.status == SUCCESS and identity.is_logix and len(status.data) >= 2:
        word = int.from_bytes(status.data[:2], "little")
        mode, key = word >> 4 & 15, word >> 12 & 3
        faults = [what for what, bits in (("minor", 0x0300), ("major", 0x0C00)) if word & bits]
        words = f"mode {_MODES.get(mode, mode)}, keyswitch {_KEYS.get(key, key)}"
        facts.append(("state", f"{words}, {' and '.join(faults) or 'no'} fault{'s' if len(faults) > 1 else ''}"))
    reply = await link.call(_PROGRAM_NAME) if identity.is_logix else None
    if reply is not None and reply.status == SUCCESS:
        facts.append(("project", Reader(reply.data).text(2)))
    facts.append(("connection", f"{link.size:,} bytes"))
    return facts


async def _tags(link: GentleLink, identity: Identity, wishes: Wishes, say: Say) -> _Found:
    """All tags of the controller and its programs, with the types of those that are shown."""
    entries = await list_scope(link, identity, None, with_aliases=True)
    if entries is None:
        raise ConfigError("the controller does not list its tags", "wait until a download is over, then try again")
    programs = [one.name.removeprefix(_PROGRAM) for one in entries if one.name.startswith(_PROGRAM)]
    for number, program in enumerate(programs, 1):
        entries += await list_scope(link, identity, program, with_aliases=True) or []
        say(f"listed the tags of {number} of {len(programs)} programs")
    entries.sort(key=lambda one: (one.name.startswith(_PROGRAM), one.name.lower()))
    wants_modules = any(":" in pattern for pattern in wishes.match)
    templates = Templates(link)
    found = _Found([], [], [])
    for number, entry in enumerate(entries, 1):
        if entry.is_system or (":" in entry.name.removeprefix(_PROGRAM) and not wants_modules):
            found.hidden += not entry.is_system
            continue
        symbol = await _symbol(entry, templates, found)
        if symbol is not None:
            found.symbols.append(symbol)
            inside = leaves(symbol, wishes.depth, arrays=wishes.arrays, is_alias=entry.is_alias)
            for one in islice(inside, MOST_LEAVES - len(found.leaves) - len(found.left_out)):
                if isinstance(one, LeftOut):
                    found.left_out.append(one)
                else:
                    found.leaves.append(one)
        say(f"looked at {number:,} of {len(entries):,} tags")
    return found


async def _symbol(entry: Entry, templates: Templates, found: _Found) -> Symbol | None:
    try:
        kind = await templates.get(entry.type) if entry.type & STRUCTURE else elementary(entry.type)
    except DecodeError as error:
        found.left_out.append(LeftOut((entry.name,), f"its type cannot be read: {error}"))
        return None
    if kind is None:
        found.left_out.append(LeftOut((entry.name,), f"its type {entry.type:#06x} is not known"))
        return None
    return Symbol(entry.name, entry.instance_id, kind, entry.dimensions, entry.readable)


def _place(leaf: Leaf) -> tuple[str, ...]:
    """A member's name begins with its tag's; that it is of an array's first element is not said."""
    scope = 1 if leaf.tag.startswith(_PROGRAM) else 0
    return (*leaf.place[:scope], "_".join(one.partition("[")[0] for one in leaf.place[scope:]))


def _signal(leaf: Leaf, name: str, resolver: Resolver) -> FoundSignal | LeftOut:
    try:
        place = resolver.find(parse_tag(leaf.tag))
    except (Unresolved, ValueError) as why:
        return LeftOut(leaf.place, f"{why}")
    longest = 2 * leaf.text_length  # each character takes two bytes at most, in UTF-8
    extra = {"length": min(longest, 65_535)} if longest > TEXT_LENGTH else {}
    return FoundSignal(name, leaf.place, {"tag": leaf.tag}, place.wire, "", None, extra, leaf.notes)


async def _with_values(
    link: GentleLink,
    section: dict[str, Any],
    symbols: Sequence[Symbol],
    signals: Sequence[FoundSignal],
    found: Discovery,
    say: Say,
) -> list[FoundSignal]:
    """Those that are good when they are read as the daemon reads them, with their values."""
    say(f"reads {len(signals):,} tags")
    device = _device(section, {one.name: {**one.address, **one.extra} for one in signals})
    table = SignalTable(tuple(device.signals))
    unit = Unit("found", device, table, LinkStats())
    unit.plan(Project(tuple(symbols), None, by_instance=False), Limits(link.size, True, False), link.framed)
    for _ in range(ROUNDS):
        asked = unit.begin(unit.all_scans)
        await link.ask(asked)
        if unit.settle(asked) is Verdict.DONE:
            break
    good = []
    for number, signal in enumerate(signals):
        _, value, quality, why, _ = table.read(number)
        if quality:
            good.append(replace(signal, value=_shown(value)))
        else:
            found.left_out.append(LeftOut(signal.place, why or "bad", signal.address))
    return good


def _device(section: dict[str, Any], signals: dict[str, Any]) -> EthernetIpDevice:
    try:
        return EthernetIpDevice.model_validate({**section, "signals": signals})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{where}: {first['msg']}", "check the URL") from None


def _notes(wishes: Wishes, tags: _Found, wanted: int) -> list[str]:
    """What a person does not see here, and how to see it."""
    notes = []
    if wanted > wishes.limit:
        words = f"beyond --limit {wishes.limit}: raise it, or name what you want with --match"
        notes.append(f"{counted(wanted - wishes.limit, 'more value')} {words}")
    if len(tags.leaves) > wanted:
        notes.append(f"{counted(len(tags.leaves) - wanted, 'value')} not asked for by --match")
    if tags.hidden:
        notes.append(f"{counted(tags.hidden, 'tag')} of modules; --match '*:*' shows them")
    if len(tags.leaves) + len(tags.left_out) >= MOST_LEAVES:
        notes.append(f"only the first {MOST_LEAVES:,} values were looked at")
    return notes


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value).lower() if isinstance(value, bool) else f"{value}"
