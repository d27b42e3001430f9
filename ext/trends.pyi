from typing import TypeAlias

from typing_extensions import disjoint_base

_Value: TypeAlias = bool | int | float | str | None

@disjoint_base
class Sums:
    began: int
    n: int
    known_ms: int
    weighted: float
    low: int | float | None
    high: int | float | None
    first: _Value
    last: _Value
    def __init__(
        self,
        began: int,
        n: int = 0,
        known_ms: int = 0,
        weighted: float = 0.0,
        low: int | float | None = None,
        high: int | float | None = None,
        first: _Value = None,
        last: _Value = None,
    ) -> None: ...
    def take(self, value: _Value) -> None: ...
    def hold(self, value: _Value, milliseconds: int, scans: int) -> None: ...
    def saved(self) -> list[_Value]: ...

@disjoint_base
class Doors:
    def __init__(self, steepest: float | None = None, flattest: float | None = None) -> None: ...
    @property
    def steepest(self) -> float | None: ...
    @property
    def flattest(self) -> float | None: ...
    def passes(self, rise: float, deviation: float, span: float) -> bool: ...
