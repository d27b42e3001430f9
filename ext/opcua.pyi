from collections.abc import Callable, Iterable
from typing import Self, TypeAlias

from typing_extensions import Buffer, disjoint_base

from ext.table import SignalTable

_LeftOver: TypeAlias = tuple[int, int, int, str | None, int | None]

@disjoint_base
class ValuePlan:
    def __new__(
        cls,
        table: SignalTable,
        name_of: Callable[[int], str],
        *,
        timestamps: str = "source",
        max_skew_ms: int = 3_600_000,
    ) -> Self: ...
    @property
    def skewed(self) -> int: ...
    @property
    def strange(self) -> int: ...
    def bind(
        self,
        handle: int,
        signal: int,
        *,
        scale: float = 1.0,
        offset: float = 0.0,
        element: int | None = None,
        bits: tuple[int, int] | None = None,
        invalid: Iterable[int | float] = (),
        by_caller: bool = False,
    ) -> None: ...
    def fail(self, why: str, handle: int | None = None) -> None: ...
    def why(self, status: int) -> str: ...
    def read(self, body: Buffer, handles: Buffer, now_ms: int, start: int = 0) -> tuple[int, list[_LeftOver]]: ...
    def publish(self, body: Buffer, now_ms: int, start: int = 0) -> Publication: ...

@disjoint_base
class Publication:
    status: int
    subscription_id: int
    sequence_number: int
    more_notifications: bool
    keep_alive: bool
    available: list[int]
    results: list[int]
    others: list[tuple[int, int, int]]
    def decode(self) -> list[_LeftOver]: ...
    @property
    def done(self) -> bool: ...
    @property
    def values(self) -> int: ...
    @property
    def overflows(self) -> int: ...
