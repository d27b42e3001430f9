"""Devices and signals as event types: trends, what is lost and what is refused."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict

from gateway.schemas.common import Quality


class SignalTrend(TypedDict):
    """A signal, condensed: as it is at one instant (`value`), or over a window (`began`), its mean weighted by time."""

    signal: str
    unit: str | None
    value: NotRequired[bool | int | float | str | None]
    quality: NotRequired[Quality]
    source_time: NotRequired[str | None]
    began: NotRequired[str]
    ended: NotRequired[str]
    n: NotRequired[int]
    mean: NotRequired[float | None]
    min: NotRequired[float | int | None]
    max: NotRequired[float | int | None]
    first: NotRequired[bool | int | float | str | None]
    last: NotRequired[bool | int | float | str | None]
    bad_s: NotRequired[float]


class DeviceTransition(TypedDict):
    """A device was lost, or is back."""

    device: str
    endpoint: str
    why: str
    remedy: str
    since: str
    signals: int
    duration_s: float | None


class SignalTransition(TypedDict):
    """A signal's address is refused for good and left alone for a while, or can be read again."""

    signal: str
    address: str
    why: str
    retry_s: float | None
