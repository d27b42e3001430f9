"""Blocking calls in a daemon thread: they hold neither the loop nor, should a disk or a name server hang, the exit."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

_Job = Callable[[], None]


class DaemonWorker:
    """One thread that makes calls in order. It begins with the first call and ends some time after `stop`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def call(self, function: Callable[[], T], discard: Callable[[T], Any] | None = None) -> T:
        """What `function` returns or raises.

        A caller that is cancelled does not stop the call: its result goes to `discard` (a socket is closed).
        """
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put(lambda: _run(loop, future, function, discard))
        try:
            return await future
        except asyncio.CancelledError:
            # the result may have come in the same turn of the loop as the cancellation
            if future.done() and not future.cancelled() and future.exception() is None and discard is not None:
                discard(future.result())
            raise

    def post(self, function: Callable[[], Any]) -> None:
        """Make a call after those before it, whose outcome nobody waits for; it must not raise."""
        if self._thread is not None:
            self._jobs.put(function)

    def stop(self) -> None:
        """End the thread after the calls that it has; does not wait for it."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


async def in_daemon_thread(name: str, function: Callable[[], T], discard: Callable[[T], Any] | None = None) -> T:
    """One call in a thread of its own; see `DaemonWorker.call`."""
    worker = DaemonWorker(name)
    try:
        return await worker.call(function, discard)
    finally:
        worker.stop()


def _run(
    loop: asyncio.AbstractEventLoop,
    future: asyncio.Future[T],
    function: Callable[[], T],
    discard: Callable[[T], Any] | None,
) -> None:
    try:
        result = function()
    except BaseException as error:  # noqa: BLE001 - raised again where the caller waits
        failure = error
    else:
        if not _tell(loop, lambda: _deliver(future, result, discard)) and discard is not None:
            discard(result)
        return
    _tell(loop, lambda: None if future.done() else future.set_exception(failure))


def _deliver(future: asyncio.Future[T], result: T, discard: Callable[[T], Any] | None) -> None:
    if not future.done():
        future.set_result(result)
    elif discard is not None:
        discard(result)


def _tell(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> bool:
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:  # the loop is closed: nobody waits any more
        return False
    return True
