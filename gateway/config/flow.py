"""`flow:` as it is written, and the line that it describes: which machine feeds which, stage by stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

from pydantic import Field, model_validator

from protocols.settings import Name, Settings, misplaced

Machines = Annotated[tuple[Name, ...], Field(strict=False, min_length=1)]


class LinkConfig(Settings):
    """Machines that feed others, and what lies between them."""

    from_: Machines = Field(alias="from", examples=["[filler]"])
    """Those whose good parts go in; several are joined."""
    to: Machines = Field(examples=["[labeler_a, labeler_b]"])
    """Those that take them; between several they are split."""
    capacity: Annotated[int, Field(ge=1)] | None = None
    """Most parts that fit between them, in the line's unit; more than that is a fault of a counter."""

    @model_validator(mode="after")
    def _check(self) -> LinkConfig:
        for key, names in (("from", self.from_), ("to", self.to)):
            for index, name in enumerate(names):
                if name in names[:index]:
                    raise misplaced(f"{name} is named already; leave one out", key, index)
        return self


@dataclass(frozen=True, slots=True)
class Link:
    """Machines that feed others; `capacity` in the line's unit, None where nothing says it."""

    feeders: tuple[str, ...]
    fed: tuple[str, ...]
    capacity: int | None = None


@dataclass(frozen=True, slots=True)
class Topology:
    """How product flows through a line."""

    links: tuple[Link, ...]
    stages: tuple[tuple[str, ...], ...]
    """Machines side by side, in the order of the flow; parallel machines' rates add."""
    out: tuple[str, ...]
    """Where good parts leave the line."""

    @property
    def is_line(self) -> bool:
        """Whether machines feed each other; independent ones are summed."""
        return bool(self.links)


def topology(machines: Sequence[str], flow: Sequence[LinkConfig] | None, out: Sequence[str] | None) -> Topology:
    """Without `flow` the machines' order is the flow; an empty one says that they are independent.

    A machine that no link names is no part of the line. The stages of a loop are in the machines' order.
    """
    if flow is None:
        links = tuple(Link((one,), (other,)) for one, other in pairwise(machines))
    else:
        links = tuple(Link(one.from_, one.to, one.capacity) for one in flow)
    feeds = {name: link.fed for link in links for name in link.feeders}
    named = [name for name in machines if any(name in (*link.feeders, *link.fed) for link in links)] or list(machines)
    stages = tuple(tuple(stage) for stage in _by_depth(named, feeds))
    last = tuple(name for name in named if name not in feeds)
    return Topology(links, stages, last if out is None else tuple(out))


def loop(flow: Mapping[int, LinkConfig]) -> int | None:
    """The position of a link that leads back to where its parts come from, None where none does."""
    feeds = {name: link.to for link in flow.values() for name in link.from_}
    for position, link in flow.items():
        reached, ahead = set(), list(link.to)
        while ahead:
            name = ahead.pop()
            if name not in reached:
                reached.add(name)
                ahead += feeds.get(name, ())
        if reached.intersection(link.from_):
            return position
    return None


def _by_depth(names: Sequence[str], feeds: Mapping[str, Sequence[str]]) -> Iterator[list[str]]:
    """Machines by the longest way that leads to them."""
    depth = dict.fromkeys(names, 0)
    for _ in names:  # as long as any way can be, so that a loop ends too
        for name in names:
            for other in feeds.get(name, ()):
                if other in depth:
                    depth[other] = max(depth[other], min(depth[name] + 1, len(names)))
    for level in sorted(set(depth.values())):
        yield [name for name in names if depth[name] == level]
