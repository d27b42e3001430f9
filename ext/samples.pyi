from collections.abc import Iterable, Mapping
from typing import Self, TypeAlias

from typing_extensions import disjoint_base

from ext.table import SignalTable

_Value: TypeAlias = bool | int | float | str | None
_Change: TypeAlias = tuple[int, _Value, int, str | None, int | None]

BLOCK: int
LONGEST_TEXT: int
MOST_TEXT: int

@disjoint_base
class Log:
    names: tuple[str, ...]
    began: int
    def __new__(cls, names: tuple[str, ...], began: int) -> Self: ...
    @property
    def ended(self) -> int: ...
    @property
    def samples(self) -> int: ...
    def packed(self, blocks: Iterable[int] | None = None) -> list[tuple[int, bytes]]: ...

@disjoint_base
class Sampler:
    log: Log
    dropped: int
    def __new__(cls, tables: Mapping[str, SignalTable], began: int, before: Sampler | None = None) -> Self: ...
    @property
    def period_ms(self) -> int: ...
    @property
    def is_full(self) -> bool: ...
    def became(self, device: str, number: int) -> int | None: ...
    def turn(self, ended: int, began: int) -> Log: ...
    def feed(self, device: str, changes: list[_Change], at: int) -> None: ...
    def sample(self, at: int) -> None: ...
