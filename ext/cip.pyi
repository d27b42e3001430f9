from collections.abc import Iterable
from enum import IntEnum
from typing import Self

from typing_extensions import Buffer, disjoint_base

from ext.table import DecodeError, SignalTable

class Packing(IntEnum):
    SINGLE = 0
    MULTIPLE = 1
    FRAGMENTS = 2

PACKET: int
WRONG_SIZE: int

class TypeChanged(DecodeError):
    service: int
    def __init__(self, message: str, offset: int, service: int) -> None: ...

@disjoint_base
class CipPlan:
    packing: int
    received: int
    def __new__(cls, table: SignalTable, packing: int = 0) -> Self: ...
    def tag(self, type: int, size: int) -> int: ...
    def structure(self, handle: int, size: int) -> int: ...
    def attribute(self, size: int = 0, *, prefix: int = 0) -> int: ...
    def edition(self, expected: bytes) -> int: ...
    def add(
        self,
        signal: int,
        service: int,
        at: int,
        type: str,
        *,
        bit: int = 0,
        width: int = 0,
        any_of: int = 0,
        scale: float = 1.0,
        offset: float = 0.0,
        capacity: int = 0,
        prefix: int = 4,
        skip: int = 4,
        most: int = 250,
        invalid: Iterable[int | float] = (),
    ) -> None: ...
    def decode(self, reply: Buffer, start: int = 0, size: int = -1) -> tuple[tuple[int, int, int], ...]: ...
    def begin(self) -> None: ...
    def fail(self, why: str, service: int = -1) -> None: ...
    def signals(self, service: int = -1) -> list[int]: ...
