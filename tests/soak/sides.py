"""The sides of a daemon, and what goes wrong on each: entering a fault injects it, leaving it heals it."""

from __future__ import annotations

import asyncio
import copy
import errno
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

from tests.mangler import Mangle, Mangler
from tests.peers.collector import Answer, Collector, Post, say
from tests.peers.receivers import MqttReceiver
from tests.peers.witness import NAME
from tests.processes import Daemon, Simulator, reload
from tests.torture.book import Broken

Fault: TypeAlias = Callable[[], AbstractAsyncContextManager[None]]

SMALL_BATCH = 3
"""Events a request that a server takes which calls larger ones too large."""


@dataclass(frozen=True, slots=True)
class Side:
    """One side; of its faults there is one at a time."""

    name: str
    faults: Mapping[str, Fault]


def _link(proxy: Mangler, chance: Random) -> dict[str, Fault]:
    """What happens to connections, whatever they carry."""

    @asynccontextmanager
    async def spoilt(mangle: Mangle) -> AsyncIterator[None]:
        proxy.mangle = mangle
        try:
            yield
        finally:
            proxy.mangle = lambda reply: reply
            proxy.drop()  # TCP never goes on behind bytes that it lost

    @asynccontextmanager
    async def slow() -> AsyncIterator[None]:
        proxy.delay_s = chance.uniform(0.05, 0.8)
        try:
            yield
        finally:
            proxy.delay_s = 0.0

    @asynccontextmanager
    async def cut() -> AsyncIterator[None]:
        proxy.drop()
        yield

    def half(reply: bytes) -> bytes | None:
        proxy.mangle = lambda _: None
        return reply[: len(reply) // 2]

    return {
        "half open": partial(spoilt, lambda _: b""),
        "garbage": partial(spoilt, lambda reply: chance.randbytes(len(reply))),
        "cut within a reply": partial(spoilt, half),
        "cut again and again": partial(spoilt, lambda reply: reply if chance.random() < 0.9 else None),
        "slow": slow,
        "cut": cut,
    }


def plc_side(machine: str, plc: Simulator, proxy: Mangler, lock: asyncio.Lock, chance: Random) -> Side:
    """A simulated PLC, which `proxy` stands before; `lock` is of the simulator's standard input."""

    async def tell(action: str) -> None:
        async with lock:
            await plc.ask(action=action, machine=machine)

    @asynccontextmanager
    async def told(begin: tuple[str, ...], end: str) -> AsyncIterator[None]:
        for action in begin:
            await tell(action)
        try:
            yield
        finally:
            await tell(end)

    faults: dict[str, Fault] = {
        "mute": partial(told, ("mute",), "unmute"),
        "gone": partial(told, ("refuse", "drop"), "accept"),
    }
    return Side(machine, _link(proxy, chance) | faults)


def mqtt_side(plant: MqttReceiver, proxy: Mangler, chance: Random) -> Side:
    """A broker."""

    @asynccontextmanager
    async def killed() -> AsyncIterator[None]:
        proxy.mangle = lambda _: None  # until someone listens, nothing may be acknowledged
        proxy.drop()
        await plant.kill()
        try:
            yield
        finally:
            await plant.start()
            proxy.mangle = lambda reply: reply

    return Side("mqtt", _link(proxy, chance) | {"killed": killed})


def http_side(collector: Collector, proxy: Mangler, chance: Random) -> Side:
    """A server that takes events."""
    take = collector.answer

    @asynccontextmanager
    async def answering(answer: Answer) -> AsyncIterator[None]:
        collector.answer = answer
        try:
            yield
        finally:
            collector.answer = take

    async def too_large(post: Post) -> Any:
        return await (take if len(post.events) <= SMALL_BATCH else say(413))(post)

    async def late(post: Post) -> Any:
        await asyncio.sleep(chance.uniform(0.1, 1.0))
        return await take(post)

    @asynccontextmanager
    async def stopped() -> AsyncIterator[None]:
        await collector.stop()
        try:
            yield
        finally:
            await collector.start()

    answers = {"500": say(500), "503": say(503, **{"Retry-After": "1"}), "413": too_large, "late": late}
    faults: dict[str, Fault] = {name: partial(answering, answer) for name, answer in answers.items()}
    return Side("http", _link(proxy, chance) | faults | {"stopped": stopped})


def disk_side(trouble: Path) -> Side:
    """The disk, by way of the layer that reads in `trouble` which calls it is to refuse."""

    @asynccontextmanager
    async def refuses(what: str, number: int) -> AsyncIterator[None]:
        trouble.write_text(f"{what} {number}")
        try:
            yield
        finally:
            trouble.unlink()

    return Side("disk", {
        "buffer full": partial(refuses, "wal.write", errno.ENOSPC),
        "buffer does not sync": partial(refuses, "wal.sync", errno.EIO),
        "journal full": partial(refuses, "journal.write", errno.ENOSPC),
        "journal does not sync": partial(refuses, "journal.sync", errno.EIO),
    })  # fmt: skip


def configuration_side(one: Daemon, document: Mapping[str, Any], chance: Random) -> Side:
    """The configuration, which somebody edits; what was edited stays until the next edit."""
    tormented = tuple(name for name in document["devices"] if name != NAME)

    def edited(what: str) -> dict[str, Any]:
        new: dict[str, Any] = copy.deepcopy(dict(document))
        match what:
            case "device":
                new["devices"][chance.choice(tormented)]["timeout"] = f"{chance.randrange(500, 1500)}ms"
            case "machine":
                new["machines"][chance.choice(list(new["machines"]))]["short_stop"] = f"{chance.randrange(10, 300)}s"
            case "uplink":
                new["uplinks"]["passing"] = {"type": "file", "path": "passing.ndjson", "events": ["machine.*"]}
            case "shifts":
                shift = {"days": ["mon", "sun"], "from": f"0{chance.randrange(10)}:00", "to": "14:00"}
                new["calendar"] = {"shifts": {"early": shift}}
        return new

    @asynccontextmanager
    async def edit(what: str) -> AsyncIterator[None]:
        code, _, said = await reload(one, edited(what))
        if code != 0:
            raise Broken(f"`linegate reload` ended with exit code {code} after an edit of a {what}: {said}")
        yield

    kinds = ("device", "machine", "uplink", "shifts", "nothing")
    return Side("configuration", {what: partial(edit, what) for what in kinds})
