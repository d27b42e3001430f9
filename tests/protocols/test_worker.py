"""Blocking calls in a daemon thread."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from protocols.worker import DaemonWorker, in_daemon_thread


async def test_results_and_errors_come_back_in_order() -> None:
    worker = DaemonWorker("test")
    names = [await worker.call(lambda: threading.current_thread().name) for _ in range(2)]
    assert names == ["test", "test"]
    with pytest.raises(ZeroDivisionError):
        await worker.call(lambda: 1 // 0)
    worker.stop()


async def test_the_loop_goes_on_meanwhile() -> None:
    release = threading.Event()
    waiting = asyncio.ensure_future(in_daemon_thread("test", lambda: release.wait(5)))
    await asyncio.sleep(0)
    release.set()
    assert await waiting


async def test_a_result_that_nobody_waits_for_is_discarded() -> None:
    release, discarded = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    waiting = asyncio.ensure_future(
        in_daemon_thread("test", lambda: release.wait(5), lambda _: loop.call_soon_threadsafe(discarded.set))
    )
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    release.set()
    async with asyncio.timeout(5):
        await discarded.wait()


def test_a_hung_call_does_not_hold_the_exit() -> None:
    script = (
        "import asyncio, time; from protocols.worker import in_daemon_thread\n"
        "async def main():\n"
        "    async with asyncio.timeout(0.1): await in_daemon_thread('hung', lambda: time.sleep(60))\n"
        "try: asyncio.run(main())\n"
        "except TimeoutError: print('left')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("left\n", "")
