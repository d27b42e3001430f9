"""Runs `linegate discover`: says what it will ask, looks, and prints the proposal."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
from collections.abc import Callable
from typing import TextIO

import click

from gateway.discover.targets import PASSWORD_ENV, Options, Target, WrongUse, asks, target_of
from gateway.discover.yaml import document
from gateway.log import configure_logging
from gateway.progress import Progress
from protocols.discovery import Discovery, Pace, Say, Wishes
from protocols.driver import LinkError

GOOD = 0
TROUBLE = 1
WRONG = 2


def discover(url: str, wishes: Wishes, options: Options, *, as_json: bool, out: TextIO | None = None) -> int:
    """Look at a device and print what is proposed for it; the exit code."""
    out = sys.stdout if out is None else out
    try:
        target = target_of(url, options)
    except WrongUse as why:
        sys.stderr.write(f"{why}\n")
        return WRONG
    sys.stderr.write(f"{asks(target, options)}\n")
    sys.stderr.flush()
    configure_logging("WARNING")  # standard output is for the proposal
    progress = Progress(sys.stderr)
    try:
        found = asyncio.run(_look(target, wishes, Pace(options.rate), progress))
    except LinkError as error:
        progress.done()
        sys.stderr.write(f"{url}: {error.why}{'; ' if error.remedy else ''}{error.remedy}\n")
        return TROUBLE
    progress.done()
    hide_typed_password(found, options)
    out.write(as_object(found) if as_json else _styled(document(found), out))
    signals = sum(len(one.signals) for one in (found, *found.neighbours))
    machines = f", {len(found.machines)} machines recognised" if found.machines else ""
    sys.stderr.write(f"{signals:,} signals proposed{machines}; {found.asked:,} requests\n")
    return GOOD if signals else TROUBLE


def as_object(found: Discovery) -> str:
    """Everything as one JSON object, in which nothing moves a terminal's cursor."""
    text = json.dumps(dataclasses.asdict(found), indent=2, ensure_ascii=True)
    return text.replace("\x7f", "\\u007f") + "\n"


def _styled(proposal: str, out: TextIO) -> str:
    """On a terminal, what is a comment steps back."""
    if not out.isatty():
        return proposal
    lines = (click.style(line, dim=True) if line.lstrip().startswith("#") else line for line in proposal.splitlines())
    return "\n".join(lines) + "\n"


def hide_typed_password(found: Discovery, options: Options) -> None:
    """A password that was typed is in no variable that the daemon would find: a credential's name takes its place."""
    if options.security.password_env == PASSWORD_ENV:
        user = {**found.settings["user"], "password": {"credential": f"{found.name}_password"}}
        found.settings = {**found.settings, "user": user}


def trust(url: str, options: Options, ask: Callable[[str], bool] | None) -> int:
    """Show an OPC UA server's certificate and pin it if a person says so; the exit code."""
    try:
        target_of(url, dataclasses.replace(options, root=None))
    except WrongUse as why:
        sys.stderr.write(f"{why}\n")
        return WRONG
    if not url.startswith("opc.tcp:"):
        sys.stderr.write("--trust is for OPC UA servers: no other protocol here has certificates of its own\n")
        return WRONG
    from gateway.opcua_trust import trust_server

    configure_logging("WARNING")
    return asyncio.run(trust_server(url, options.state_dir, ask))


async def _look(target: Target, wishes: Wishes, pace: Pace, say: Say) -> Discovery:
    if target.is_opcua:
        from protocols.opcua.discover import OBJECTS, OpcuaTarget, discover_opcua

        where = OpcuaTarget(target.section, target.root or OBJECTS, target.state_dir)
        return await discover_opcua(where, wishes, pace, say)
    if target.modbus is not None:
        from protocols.modbus.discover import discover_modbus

        return await discover_modbus(target.modbus, wishes, pace, say)
    from protocols.ethernet_ip.discover import discover_ethernet_ip

    return await discover_ethernet_ip(target.section, wishes, pace, say)
