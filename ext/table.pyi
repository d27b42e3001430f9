from collections.abc import Iterable
from enum import IntEnum
from typing import Self, TypeAlias

from typing_extensions import disjoint_base

_Value: TypeAlias = bool | int | float | str | None
_Change: TypeAlias = tuple[int, _Value, int, str | None, int | None]

class Kind(IntEnum):
    NONE = 0
    BOOL = 1
    INT = 2
    UINT = 3
    FLOAT = 4
    TEXT = 5

class DecodeError(ValueError):
    offset: int
    def __init__(self, message: str, offset: int) -> None: ...

@disjoint_base
class SignalTable:
    names: tuple[str, ...]
    good: int
    def __new__(cls, names: Iterable[str]) -> Self: ...
    def __len__(self) -> int: ...
    def define(self, signal: int, kind: int, *, length: int = 0, encoding: str = "latin-1") -> None: ...
    def forward(self, signal: int, *, deadband: float = 0.0, exact: bool = False) -> None: ...
    def put(
        self,
        signal: int,
        value: _Value,
        source_time: int | None = None,
        *,
        uncertain: str | None = None,
        whole: bool = False,
    ) -> None: ...
    def fail(self, signal: int, why: str) -> None: ...
    def fail_all(self, why: str) -> None: ...
    def touch_all(self) -> None: ...
    def take(self) -> list[_Change]: ...
    def read(self, signal: int) -> _Change: ...
