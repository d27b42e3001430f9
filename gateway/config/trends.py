"""What is sent of signals besides states and parts: the `trends:` section."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field, field_validator, model_validator

from protocols.settings import Duration, Settings, between, misplaced

Figure = Literal["mean", "min", "max", "first", "last"]


class TrendConfig(Settings):
    """How one signal is condensed: exactly one of `every`, `on_change` and `swinging_door`."""

    every: Annotated[Duration, between("1s", "1d")] | None = Field(default=None, examples=["1min"])
    """Windows of this length, from multiples of it in UTC; each gives figures of what was known in it."""
    aggregates: Annotated[tuple[Figure, ...], Field(min_length=1, strict=False)] | None = Field(
        default=None, examples=["[mean, min, max]"]
    )
    """Figures of a window; all where it is left out. The mean is weighted by time."""
    on_change: Literal[True] | None = None
    """Every change of at least the signal's deadband."""
    swinging_door: float | None = Field(default=None, allow_inf_nan=False, examples=[0.1])
    """The fewest points between which straight lines stay so close to every sample, in the value's unit."""
    at_least_every: Annotated[Duration, between("1s", "7d")] | None = Field(default=None, examples=["10min"])
    """Longest silence of `on_change` and `swinging_door`, changed or not; the signal's where it is left out."""

    @field_validator("on_change", mode="before")
    @classmethod
    def _check_on_change(cls, written: object) -> object:
        if written is False:
            raise ValueError("expected true; to send nothing of the signal, leave its trend out")
        return written

    @field_validator("swinging_door")
    @classmethod
    def _check_deviation(cls, deviation: float | None) -> float | None:
        if deviation is not None and deviation <= 0:
            raise ValueError(
                f"a deviation is more than 0, and {deviation:g} is not; `on_change: true` says every change"
            )
        return deviation

    @model_validator(mode="after")
    def _check(self) -> TrendConfig:
        ways = [way for way in ("every", "on_change", "swinging_door") if getattr(self, way) is not None]
        if len(ways) != 1:
            words = f"has {' and '.join(ways)}" if ways else "says not how"
            raise misplaced(f"{words}; give exactly one of `every: 1min`, `on_change: true`, `swinging_door: 0.1`")
        for key in ("aggregates",) if self.every is None else ("at_least_every",):
            if getattr(self, key) is not None:
                raise misplaced(f"has no meaning beside {ways[0]}; leave it out", key)
        return self

    @property
    def figures(self) -> tuple[str, ...]:
        """The figures of a window."""
        return get_args(Figure) if self.aggregates is None else self.aggregates
