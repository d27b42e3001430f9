"""Uploads templates: how structures are laid out (1756-PM020, "Template object")."""

from __future__ import annotations

import struct
import time

from ext.table import DecodeError
from protocols.ethernet_ip.allowed import Service, read_request
from protocols.ethernet_ip.epath import CLASS, INSTANCE, TEMPLATE_CLASS, logical
from protocols.ethernet_ip.link import EipLink
from protocols.ethernet_ip.reply import Reader, Reply
from protocols.ethernet_ip.status import PARTIAL_TRANSFER, SUCCESS
from protocols.ethernet_ip.types import BOOL, BY_CODE, Elementary, Member, Template

STRUCTURE = 0x8000
"""Of a symbol's or member's type: a structure, whose template the lower 12 bits name."""
_INSTANCE, _CODE = 0x0FFF, 0x00FF
_HANDLE, _MEMBERS, _WORDS, _SIZE = 1, 2, 4, 5
_ATTRIBUTES = {_WORDS: 4, _SIZE: 4, _MEMBERS: 2, _HANDLE: 2}
"""What is asked of a template, and its bytes."""
_BESIDE = 21
"""Bytes of a definition's size that are not read; the manual says 23, by which the last name can lack its end."""
_MOST_A_READ = 0xFFFF
_DEEPEST = 32
_LONGEST_NAME = 255
_MOST_BYTES = 0x100000
_MOST_IN_ALL = 0x1000000
_MOST_SIZE = 0xFFFFFF
"""Bytes of one structure."""
_INTERNAL_NAMES = {"ASCIISTRING82": "STRING"}


def elementary(kind: int) -> Elementary | None:
    """The elementary type of a symbol or member; None for one that is not known. A BOOL's bit is no part of it."""
    return BY_CODE.get(kind & _CODE)


def is_name(text: str) -> bool:
    """Whether a name can be one; others are shown to nobody."""
    return len(text) <= _LONGEST_NAME and text.isprintable()


class NotTold(DecodeError):
    """A template that the controller refused to tell, with the status."""

    def __init__(self, instance: int, reply: Reply) -> None:
        super().__init__(f"template {instance} is not told: {reply.why}", 0)
        self.status = reply.status


class Unfinished(Exception):
    """There was no time for the whole of an upload: it goes on from here the next time."""


class Templates:
    """The templates of one upload, each uploaded once and when it is needed, until it is too late for more."""

    def __init__(self, link: EipLink) -> None:
        self.until = float("inf")
        """By the monotonic clock."""
        self._link = link
        self._left = _MOST_IN_ALL
        self._known: dict[int, Template] = {}

    async def get(self, kind: int, depth: int = 0) -> Template:
        """The structure that a type names, with those in it. Raises DecodeError for what is none, and Unfinished."""
        instance = kind & _INSTANCE
        if instance not in self._known:
            if depth > _DEEPEST:
                raise DecodeError("structures lie within each other without an end", 0)
            handle, count, words, size = await self._attributes(instance)
            if not 0 < size <= _MOST_SIZE:
                raise DecodeError(f"template {instance} claims to be of structures of {size} bytes", 0)
            definition = await self._definition(instance, 4 * words - _BESIDE)
            self._known[instance] = await self._parsed(definition, handle, count, size, depth)
            if time.monotonic() >= self.until:
                raise Unfinished
        return self._known[instance]

    async def _attributes(self, instance: int) -> tuple[int, int, int, int]:
        numbers = struct.pack(f"<{1 + len(_ATTRIBUTES)}H", len(_ATTRIBUTES), *_ATTRIBUTES)
        path = logical(CLASS, TEMPLATE_CLASS) + logical(INSTANCE, instance)
        reply = await self._link.call(read_request(Service.GET_ATTRIBUTE_LIST, path, numbers))
        if reply.status != SUCCESS:
            raise NotTold(instance, reply)
        read = Reader(reply.data)
        found: dict[int, int] = {}
        for _ in range(read.uint(2)):
            number, status = read.uint(2), read.uint(2)
            if status or number not in _ATTRIBUTES:
                raise DecodeError(f"template {instance} lacks attribute {number}", 0)
            found[number] = read.uint(_ATTRIBUTES[number])
        if len(found) != len(_ATTRIBUTES):
            raise DecodeError(f"template {instance} lacks an attribute", 0)
        return found[_HANDLE], found[_MEMBERS], found[_WORDS], found[_SIZE]

    async def _definition(self, instance: int, size: int) -> bytes:
        self._left -= max(size, 0)
        if size > _MOST_BYTES or self._left < 0:
            raise DecodeError(f"template {instance} claims to have {size} bytes", 0)
        path = logical(CLASS, TEMPLATE_CLASS) + logical(INSTANCE, instance)
        definition = b""
        while len(definition) < size:
            asked = struct.pack("<IH", len(definition), min(size - len(definition), _MOST_A_READ))
            reply = await self._link.call(read_request(Service.READ_TAG, path, asked))
            if reply.status not in (SUCCESS, PARTIAL_TRANSFER):
                raise NotTold(instance, reply)
            definition += reply.data
            if reply.status == SUCCESS:
                break
            if not reply.data:
                raise DecodeError(f"template {instance} has no end", len(definition))
        return definition

    async def _parsed(self, definition: bytes, handle: int, count: int, size: int, depth: int) -> Template:
        read = Reader(definition)
        infos = [(read.uint(2), read.uint(2), read.uint(4)) for _ in range(count)]
        texts = read.bytes(read.left).split(b"\0")
        name, *names = (text.decode("latin-1") for text in texts)
        name = name.partition(";")[0]
        name, *names = (one if is_name(one) else "" for one in (name, *names))
        members = []
        for place, (info, kind, offset) in enumerate(infos):
            member = names[place] if place < len(names) else ""
            if kind & STRUCTURE:
                members.append(Member(member, await self.get(kind, depth + 1), offset, info))
            elif (known := elementary(kind)) == BOOL:
                members.append(Member(member, BOOL, offset + info // 8, bit=info % 8))
            elif known is not None:
                members.append(Member(member, known, offset, info))
        inside = (one for one in members if one.offset + one.type.size * (one.count or 1) <= size)
        return Template(_INTERNAL_NAMES.get(name, name), handle, size, tuple(inside))
