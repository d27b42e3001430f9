"""The tasks of a daemon by name: each is begun, ended and replaced alone."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

CANCEL_AGAIN_S = 0.5


class Crew:
    """Tasks of one task group, which ends with the first that raises."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def begin(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Have one more task, whose name no other has."""
        assert name not in self._tasks, name
        self._tasks[name] = self._group.create_task(work, name=name)

    async def end(self, names: Iterable[str]) -> None:
        """Cancel these and wait until they are gone; names that there are not cost nothing."""
        await end([self._tasks.pop(name) for name in list(names) if name in self._tasks])

    async def end_all(self) -> None:
        """Cancel them all."""
        await self.end(list(self._tasks))


async def end(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait until they are gone; one in which a library swallowed that is cancelled again."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)
