"""What other tasks ask of the store task: a message with a future, answered between two transactions."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from gateway.outbox.errors import BufferError, is_passing

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Request(Generic[T]):
    """One question. Who stops waiting cancels `future`; the store task then passes over it."""

    ready: Callable[[], bool]
    """Whether it can be answered yet."""
    work: Callable[[], Awaitable[T | None]]
    """None where it found nothing yet and is to look again."""
    future: asyncio.Future[T]

    async def answer(self) -> bool:
        """Do the work and say the result, or that the disk did not give it; False where there is none yet.

        Raises errors that cannot pass.
        """
        try:
            result = await self.work()
        except sqlite3.OperationalError as error:
            if not is_passing(error):
                raise
            self.refuse(f"the buffer cannot be read: {error}")
        else:
            if result is None:
                return False
            if not self.future.done():
                self.future.set_result(result)
        return True

    def refuse(self, why: str) -> None:
        """Let the asker fail."""
        if not self.future.done():
            self.future.set_exception(BufferError(why))
