"""The options of `linegate discover` as they are meant, with the password from where it may come from."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import click

from gateway.discover.command import WRONG, discover, trust
from gateway.discover.targets import PASSWORD_ENV, Options, Security
from protocols.discovery import Wishes
from protocols.settings import NAME_PATTERN

_DEPTH = {"opc.tcp": 10, "eip": 3}
"""Levels of objects, or of members, that are looked into."""


def discover_with(url: str, given: dict[str, Any]) -> int:
    """Do what the options say; the exit code."""
    name = given["name"]
    if name is not None and (not re.fullmatch(NAME_PATTERN, name) or name in ("line", "gateway")):
        sys.stderr.write(f"--name {name}: a name is letters, digits and _, and neither line nor gateway\n")
        return WRONG
    if given["yes"] and not given["trust"]:
        sys.stderr.write("--yes answers --trust: give both or none\n")
        return WRONG
    if given["password_env"] is not None and given["user"] is None:
        sys.stderr.write("--password-env is the password of --user: give both or none\n")
        return WRONG
    state_dir = Path(given["state_dir"])
    if given["trust"]:
        ask = None if given["yes"] else lambda question: click.confirm(question, default=False)
        return trust(url, Options(given["rate"], state_dir), ask)
    options = Options(given["rate"], state_dir, given["root"], _security(given), given["units"], given["range"])
    depth = given["depth"] or _DEPTH.get(url.partition(":")[0], 1)
    wishes = Wishes(given["match"], given["limit"], depth, given["arrays"], name)
    return discover(url, wishes, options, as_json=given["as_json"])


def _security(given: dict[str, Any]) -> Security:
    env = given["password_env"]
    if given["user"] is not None and env is None:
        env = PASSWORD_ENV
        os.environ[env] = click.prompt(f"Password of {given['user']}", hide_input=True, err=True)
    return Security(
        given["policy"],
        given["mode"],
        given["server_certificate"],
        given["user"],
        env,
        given["allow_plain_password"],
    )
