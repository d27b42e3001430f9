from collections.abc import Iterable
from typing import Self

from typing_extensions import Buffer, disjoint_base

from ext.table import SignalTable

@disjoint_base
class RegisterPlan:
    count: int
    bits: bool
    size: int
    def __new__(cls, table: SignalTable, count: int, signals: int, *, bits: bool = False) -> Self: ...
    def add(
        self,
        signal: int,
        position: int,
        type: str,
        *,
        bit: int = 0,
        width: int = 0,
        words_little: bool = False,
        bytes_little: bool = False,
        scale: float = 1.0,
        offset: float = 0.0,
        length: int = 0,
        encoding: str = "latin-1",
        invalid: Iterable[int | float] = (),
    ) -> None: ...
    def decode(self, payload: Buffer, start: int = 0, size: int = -1) -> None: ...
    def fail(self, why: str) -> None: ...
    @property
    def signals(self) -> list[int]: ...
