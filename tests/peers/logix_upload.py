"""Symbols and templates from what pycomm3's LogixDriver uploads: `from_upload(driver.tags)`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from protocols.ethernet_ip.types import BOOL, ELEMENTARY, DataType, Member, Symbol, Template

NO_ACCESS = "None"


class UploadError(ValueError):
    """An upload has a type that is not known; the tag and the type are named."""


def from_upload(tags: Mapping[str, Mapping[str, Any]]) -> list[Symbol]:
    """The symbols of `LogixDriver.tags` (pycomm3 1.2.16), of the controller and of programs.

    Of each tag these keys are used: tag_name, instance_id, dim, dimensions, external_access, tag_type, data_type and,
    of a structure's data_type, name, template (structure_handle, structure_size) and internal_tags (offset, tag_type,
    data_type, array, bit), in the order of the template. A tag of an unknown type is left out: nothing could be read.
    """
    templates: dict[int, Template] = {}
    return [symbol for tag in tags.values() if (symbol := _symbol(tag, templates)) is not None]


def _symbol(tag: Mapping[str, Any], templates: dict[int, Template]) -> Symbol | None:
    try:
        kind = _type(tag, templates)
    except UploadError:
        return None
    dimensions = tuple(tag["dimensions"][: tag["dim"]])
    return Symbol(tag["tag_name"], tag["instance_id"], kind, dimensions, tag.get("external_access") != NO_ACCESS)


def _type(described: Mapping[str, Any], templates: dict[int, Template]) -> DataType:
    kind = described["data_type"]
    if described["tag_type"] != "struct":
        if kind not in ELEMENTARY:
            raise UploadError(f"{kind} is not a type that can be read")
        return ELEMENTARY[kind]
    handle = kind["template"]["structure_handle"]
    known = templates.get(id(kind))
    if known is None:
        size = kind["template"]["structure_size"]
        members = tuple(one for one in _members(kind["internal_tags"], templates) if _end(one) <= size)
        known = Template(kind["name"], handle, size, members)
        templates[id(kind)] = known
    return known


def _end(member: Member) -> int:
    """Where it ends; one that ends beyond its structure was not understood, and nothing of it is offered."""
    return member.offset + member.type.size * (member.count or 1)


def _members(internal: Mapping[str, Mapping[str, Any]], templates: dict[int, Template]) -> Iterable[Member]:
    for name, described in internal.items():
        try:
            kind = _type(described, templates)
        except UploadError:
            continue  # a member that cannot be read hides nothing else of its structure
        bit = described.get("bit")
        if kind == BOOL and bit is not None:
            yield Member(name, kind, described["offset"] + bit // 8, bit=bit % 8)
        else:
            yield Member(name, kind, described["offset"], described.get("array") or 0)
