"""Where an OPC UA signal lies: a node by identifier or browse path, an element of an array, a member of a structure."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Literal, TypeAlias
from uuid import UUID

from protocols.settings import shown

EXAMPLE = '"nsu=urn:acme:capper;s=Status.StateCurrent", "i=2258" or "/Objects/2:Line/2:Speed"'
MAX_IDENTIFIER = 4096
"""Characters of a String identifier (OPC 10000-3, 8.2.4)."""

_NODE = re.compile(r"(?:(nsu|ns|svr|svu)=([^;]*);)?([a-z])=(.*)", re.DOTALL)
_INDEX = re.compile(r"[0-9]{1,9}(?::[0-9]{1,9})?(?:,[0-9]{1,9}(?::[0-9]{1,9})?){0,7}")
_MEMBER = re.compile(r"[^.\[\]]+(?:\[[0-9]{1,9}\])*")

Namespace: TypeAlias = str | int
"""Its URI, or its index in the server's table."""


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """A NodeId (OPC 10000-6, 5.3.1.10); its index is looked up in the server's table where the URI is given."""

    namespace: Namespace
    kind: Literal["i", "s", "g", "b"]
    identifier: int | str | UUID | bytes


@dataclass(frozen=True, slots=True)
class PathAddress:
    """BrowseNames from the Root folder on, along hierarchical references (OPC 10000-4, A.2)."""

    names: tuple[tuple[Namespace, str], ...]


Address: TypeAlias = NodeAddress | PathAddress
Ranges: TypeAlias = tuple[tuple[int, int], ...]
"""First and last element of each dimension, both inclusive, counted from 0 (NumericRange: OPC 10000-4, 7.27)."""
Member: TypeAlias = tuple[str | int, ...]
"""Names of fields and positions in arrays, from the structure inwards."""


def parse_node(text: str) -> Address:
    """Where a text leads. Raises ValueError in words, with the remedy."""
    return _path(text) if text.startswith("/") else _node(text)


def _node(text: str) -> NodeAddress:
    match = _NODE.fullmatch(text)
    if match is None:
        raise ValueError(f"{shown(text)} is not a node; write it like {EXAMPLE}")
    scheme, where, kind, written = match.groups()
    if scheme in ("svr", "svu"):
        raise ValueError(f"{shown(text)} is a node of another server; make that server a device of its own")
    namespace = 0 if scheme is None else _uri(text, where) if scheme == "nsu" else _number(text, "ns", where, 65535)
    if not written:
        raise ValueError(f"{shown(text)} ends before its identifier; write it like {EXAMPLE}")
    if kind == "i":
        return NodeAddress(namespace, "i", _number(text, "i", written, 2**32 - 1))
    if kind == "s":
        if len(written) > MAX_IDENTIFIER:
            raise ValueError(f"an identifier has at most {MAX_IDENTIFIER} characters, this one {len(written)}")
        return NodeAddress(namespace, "s", written)
    if kind == "g":
        try:
            return NodeAddress(namespace, "g", UUID(written))
        except ValueError:
            example = "g=09087e75-8e5e-499b-954f-f2a9603db28a"
            raise ValueError(f"{shown(text)}: {shown(written)} is not a GUID; write it like {example}") from None
    if kind == "b":
        try:
            return NodeAddress(namespace, "b", base64.b64decode(written, validate=True))
        except binascii.Error:
            example = "b=M/RbKBsRVkePCePcx24oRA=="
            raise ValueError(f"{shown(text)}: {shown(written)} is not base64; write it like {example}") from None
    raise ValueError(f"{shown(text)}: an identifier is i= (number), s= (text), g= (GUID) or b= (base64), not {kind}=")


def _number(text: str, key: str, written: str, highest: int) -> int:
    if re.fullmatch("[0-9]{1,10}", written) and int(written) <= highest:
        return int(written)
    hint = "; a namespace's URI is written nsu=" if key == "ns" and not written.isdigit() else ""
    raise ValueError(f"{shown(text)}: {key}= takes a number of 0..{highest}, not {shown(written)}{hint}")


def _uri(text: str, written: str) -> str:
    if not written or written.isdigit():
        raise ValueError(f"{shown(text)}: nsu= takes a namespace's URI like urn:acme:capper; an index is written ns=")
    return written.replace("%3B", ";").replace("%3b", ";").replace("%25", "%")


def _path(text: str) -> PathAddress:
    names: list[tuple[Namespace, str]] = []
    at = 1
    while at <= len(text):
        namespace: Namespace = 0
        if text.startswith("nsu=", at):
            namespace, at = _path_uri(text, at + 4)
        elif match := re.compile(r"([0-9]{1,5}):").match(text, at):
            namespace, at = _number(text, "the index before ':'", match[1], 65535), match.end()
        name, at = _name(text, at)
        if not name:
            raise ValueError(f"{shown(text)} has a step without a name; write it like {EXAMPLE}")
        names.append((namespace, name))
    if names[0] not in ((0, "Objects"), (0, "Types"), (0, "Views")):
        raise ValueError(f"{shown(text)}: a path begins at the root: /Objects/..., /Types/... or /Views/...")
    return PathAddress(tuple(names))


def _path_uri(text: str, at: int) -> tuple[str, int]:
    """The URI of a step and where its name begins: behind `;`, or behind the last `:` where the URI has no slash."""
    end, step = text.find(";", at), text.find("/", at)
    if end >= 0 and (step < 0 or end < step or "://" in text[at:end]):
        return _uri(text, text[at:end]), end + 1
    colon = text.rfind(":", at, len(text) if step < 0 else step)
    if colon > at and not text.startswith("//", colon + 1):
        return _uri(text, text[at:colon]), colon + 1
    example = "/Objects/nsu=http://acme.com/capper;Line"
    raise ValueError(f"{shown(text)}: put a semicolon between a namespace's URI and the name: {example}")


def _name(text: str, at: int) -> tuple[str, int]:
    """A name up to the next `/` and where the one behind begins; `&` takes a reserved character as it is."""
    name = ""
    while at < len(text) and text[at] != "/":
        at += text[at] == "&"
        name += text[at : at + 1]
        at += 1
    return name, at + 1


def parse_index(written: object) -> str:
    """An element (`3`), a range (`2:5`) or one of each dimension (`1,2`) as its text. Raises ValueError."""
    text = f"{written}" if isinstance(written, int) and not isinstance(written, bool) else written
    if not isinstance(text, str) or not _INDEX.fullmatch(text):
        words = 'is no place in an array; write 3 (counted from 0), "2:5", or "1,2" for two dimensions'
        raise ValueError(f"{shown(written)} {words}")
    for first, last in ranges(text):
        if first > last:
            raise ValueError(f'{shown(text)} ends before it begins; write "{last}:{first}"')
    return text


def ranges(index: str) -> Ranges:
    """First and last of each dimension of an index that `parse_index` has passed."""
    pairs = [part.split(":") for part in index.split(",")]
    return tuple((int(pair[0]), int(pair[-1])) for pair in pairs)


def is_element(index: str) -> bool:
    """Whether an index names one element and not several."""
    return all(first == last for first, last in ranges(index))


def parse_member(text: str) -> Member:
    """The steps to a member of a structure: `Axes[2].Position`. Raises ValueError."""
    steps: list[str | int] = []
    for part in text.split("."):
        if not _MEMBER.fullmatch(part):
            raise ValueError(f"{shown(text)} is not a member of a structure; write it like Speed or Axes[2].Position")
        name, *positions = part.replace("]", "").split("[")
        steps += [name, *(int(position) for position in positions)]
    return tuple(steps)
