"""What an EtherNet/IP signal may say in the configuration: a tag, or an attribute of a CIP object."""

from __future__ import annotations

from typing import Any, Literal, Self, TypeAlias

from pydantic import Field, ValidationInfo, field_validator, model_validator

from protocols.ethernet_ip.address import parse_tag
from protocols.ethernet_ip.identity import StatusPiece, is_identity, status_piece
from protocols.settings import Settings, misplaced, shown
from protocols.typed import TypedSignal
from protocols.types import WireType

ObjectType: TypeAlias = Literal[WireType, "short_string"]
"""What an attribute can be: `string` has a length of two bytes (CIP's STRING), `short_string` one of one."""


class ObjectAddress(Settings):
    """An attribute of a CIP object, read with Get_Attribute_Single: for drives and other devices without tags."""

    class_: int = Field(alias="class", ge=0, le=0xFFFF, examples=["0x93"])
    """Class code."""
    instance: int = Field(default=1, ge=0, le=0xFFFFFFFF)
    """Instance; 0 is the class itself."""
    attribute: int = Field(ge=0, le=0xFFFF, examples=[7])
    """Attribute."""
    type: ObjectType = Field(examples=["int16"])
    """What the attribute is; `string` has a length of two bytes, `short_string` one of one."""

    def __str__(self) -> str:
        return f"object {self.class_:#x}/{self.instance}/{self.attribute}"


class CipSignal(TypedSignal):
    """One signal of an EtherNet/IP device: `tag` or `object`."""

    tag: str | None = Field(
        default=None,
        min_length=1,
        max_length=400,
        examples=["Speed", "Program:Main.Line[3].Speed", "Word.5", "identity:mode"],
    )
    """The tag as the programming software writes it, with program, members, elements and bit; or what the controller
    says of itself: `identity:mode` (6 run, 7 program, 5 faulted), `identity:keyswitch` (1 run, 2 program, 3 remote),
    `identity:minor_fault` and `identity:major_fault` (truth values), `identity:status` (the whole word)."""
    object: ObjectAddress | None = Field(
        default=None, examples=["{class: 0x93, instance: 0, attribute: 7, type: int16}"]
    )
    """An attribute of a CIP object."""

    @model_validator(mode="before")
    @classmethod
    def _type_of_what_is_named(cls, data: Any) -> Any:
        """What the address alone tells: an attribute's type, a bit's, that of a piece of the status word."""
        return {**_implied(data), **data} if isinstance(data, dict) else data

    @field_validator("tag")
    @classmethod
    def _check_tag(cls, tag: str | None, info: ValidationInfo) -> str | None:
        if tag is None:
            return None
        type_, bits = info.data.get("type"), info.data.get("bits")
        if is_identity(tag):
            piece = status_piece(tag)
            expected = "bool" if piece.any_of else "uint16"
            if type_ not in (None, expected):
                raise ValueError(f"{tag} is a {expected}, not a {type_}; leave the type out")
            if piece.bits is not None and bits not in (None, piece.bits):
                raise ValueError(f"{tag} is some bits of a word already; leave bits out, or write identity:status")
        elif parse_tag(tag).bit is not None and type_ not in (None, "bool"):
            raise ValueError(f"{shown(tag)} is one bit, and a bool, not a {type_}; leave the type out")
        elif type_ == "bool" and bits is not None:
            raise ValueError(f"{shown(tag)} is one bit already; leave bits out")
        return tag

    @model_validator(mode="after")
    def _check_one_address(self) -> Self:
        if self.tag is None and self.object is None:
            words = "needs `tag`, or `object` for an attribute of a CIP object"
            raise misplaced(f"{words}; for example tag: Program:Main.Speed")
        if self.tag is not None and self.object is not None:
            raise misplaced("is a tag or an attribute of an object; leave `tag` or `object` out", "object")
        if self.object is not None:
            expected = "string" if self.object.type == "short_string" else self.object.type
            if self.type != expected:
                words = f"the attribute is a {self.object.type} by its own type, and a {self.type} by the signal's"
                raise misplaced(f"{words}; leave the signal's out", "type")
        return self

    @property
    def place(self) -> str:
        """The tag, or the attribute of an object."""
        return self.tag if self.tag is not None else str(self.object)

    @property
    def status_piece(self) -> StatusPiece | None:
        """The bits of the controller's status word that it is, where it is that."""
        return status_piece(self.tag) if self.tag is not None and is_identity(self.tag) else None


def _implied(data: dict[str, Any]) -> dict[str, Any]:
    """Keys that follow from the address; nothing where that is wrong, which its own check says."""
    tag, attribute = data.get("tag"), data.get("object")
    try:
        if isinstance(attribute, dict) and "type" in attribute:
            return {"type": "string" if attribute["type"] == "short_string" else attribute["type"]}
        if not isinstance(tag, str):
            return {}
        if is_identity(tag):
            piece = status_piece(tag)
            if piece.any_of:
                return {"type": "bool"}
            return {"type": "uint16"} if piece.bits is None else {"type": "uint16", "bits": list(piece.bits)}
        return {} if parse_tag(tag).bit is None else {"type": "bool"}
    except ValueError:
        return {}
