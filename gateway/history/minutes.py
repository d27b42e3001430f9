"""Minutes of production of one machine, packed: 50 machines make 72,000 of them a day."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from struct import Struct
from typing import Any

from gateway.history.rows import milliseconds

COLUMNS = (
    "began_ms", "ended_ms", "total", "good", "scrap", "recovered", "n", "mean_s", "p50_s", "p95_s", "ideal_s",
    "product", "event",
)  # fmt: skip
"""What is where in a minute's JSON array."""
_PACKED = Struct("<qqqqqqqqddddH")
"""seq, began, ended, total, good, scrap, recovered, n, mean, p50, p95, ideal, product."""
SIZE = _PACKED.size
NONE = -1
"""Scrap, and number of cycles, where there are none; cycle times then are NaN."""
MOST_PRODUCTS = 1000
"""Names of products that are known of one machine; those beyond are told as none."""


class Minutes:
    """Rows in order of their seq."""

    def __init__(self) -> None:
        self._packed = bytearray()
        self._gone: int | None = None
        """Seq of the last that went for want of room."""
        self._products: list[str | None] = [None]
        self._numbers: dict[str | None, int] = {None: 0}

    def __len__(self) -> int:
        return len(self._packed) // SIZE

    @property
    def size(self) -> int:
        """Bytes of memory, about."""
        return len(self._packed)

    def add(self, seq: int, data: Mapping[str, Any]) -> None:
        """One event's data; of the same number twice the first stays.

        Raises KeyError, TypeError, ValueError, AttributeError, OverflowError or struct.error for what is none.
        """
        if self._gone is not None and seq <= self._gone:
            return
        cycle = data["cycle"] or {}
        scrap = data["scrap"]
        packed = _PACKED.pack(
            seq, milliseconds(data["began"]), milliseconds(data["ended"]), data["total"], data["good"],
            NONE if scrap is None else scrap, data["recovered"], cycle.get("n", NONE),
            *(_figure(cycle.get(name)) for name in ("mean_s", "p50_s", "p95_s", "ideal_s")),
            self._number(data["product"]),
        )  # fmt: skip
        if not self._packed or seq > self._seq(len(self) - 1):
            self._packed += packed
            return
        is_first = seq < self._seq(0)  # as in loading, which goes backwards
        place = 0 if is_first else bisect_left(range(len(self)), seq, key=self._seq)
        if self._seq(place) != seq:
            self._packed[place * SIZE : place * SIZE] = packed

    def drop(self, before: int) -> None:
        """Forget those that ended before a time, but for ones behind one that did not."""
        count = 0
        for row in _PACKED.iter_unpack(self._packed):
            if row[2] >= before:
                break
            count += 1
        del self._packed[: count * SIZE]

    def drop_oldest(self, count: int) -> int:
        """Forget so many, of which there is at least one; until when they lasted."""
        gone = list(_PACKED.iter_unpack(self._packed[: count * SIZE]))
        del self._packed[: count * SIZE]
        self._gone = gone[-1][0]
        return max(int(row[2]) for row in gone)

    def rows(self, from_ms: int, to_ms: int, after: int | None) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """Seq, and the columns but for the event, of those that overlap a time, with a seq above `after`."""
        first = 0 if after is None else bisect_left(range(len(self)), after + 1, key=self._seq)
        for row in _PACKED.iter_unpack(memoryview(bytes(self._packed[first * SIZE :]))):
            seq, began, ended, total, good, scrap, recovered, n, *cycle, product = row
            if began < to_ms and ended > from_ms:
                counts = total, good, None if scrap == NONE else scrap, recovered, None if n == NONE else n
                times = (None if math.isnan(one) else one for one in cycle)
                yield seq, (began, ended, *counts, *times, self._products[product])

    def _seq(self, index: int) -> int:
        return int.from_bytes(self._packed[index * SIZE : index * SIZE + 8], "little", signed=True)

    def _number(self, product: object) -> int:
        if product is not None and not isinstance(product, str):
            raise TypeError(f"{product!r} is no product")
        if product not in self._numbers:
            if len(self._products) > MOST_PRODUCTS:
                return 0
            self._numbers[product] = len(self._products)
            self._products.append(product)
        return self._numbers[product]


def _figure(value: float | None) -> float:
    return math.nan if value is None else value
