"""Work in a process of its own, for what takes memory or holds the interpreter in a way that no daemon can bear."""

from __future__ import annotations

import asyncio
import sys


class ApartError(Exception):
    """The process could not be begun, took too long, or ended with an error; says what it said."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


async def output_of(module: str, *arguments: str, seconds: float) -> bytes:
    """What a module of ours writes to its standard output. Raises ApartError; does not outlive its caller."""
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", module, *arguments,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
    except OSError as error:
        raise ApartError(f"no process can be begun: {error}") from None
    try:
        async with asyncio.timeout(seconds):
            output, said = await process.communicate()
    except TimeoutError:
        raise ApartError(f"it took longer than {seconds:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise ApartError(said.decode(errors="replace").strip() or f"it ended with {process.returncode}")
    return output
