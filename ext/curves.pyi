from typing import Self, TypeAlias

from typing_extensions import disjoint_base

_Value: TypeAlias = bool | int | float | str | None
_Point: TypeAlias = tuple[int, _Value] | tuple[int, _Value, str]

LEAST_POINTS: int

@disjoint_base
class Curve:
    def __new__(cls, begin: int, end: int, points: int) -> Self: ...
    def add(self, packed: bytes, index: int, began: int, ended: int) -> None: ...
    def points(self) -> list[_Point]: ...
