"""A buffer for a command, while no daemon has it: opened, its store task running, and left as it was found."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.config.model import BufferConfig, UplinkSettings
from gateway.outbox.outbox import Outbox


@asynccontextmanager
async def buffer(path: Path, config: BufferConfig, uplinks: Mapping[str, UplinkSettings]) -> AsyncIterator[Outbox]:
    """The buffer at `path`, locked. An unclean stop stays one for the next daemon. Raises what `Outbox.open` does."""
    outbox = await Outbox.open(path, config, uplinks)
    async with asyncio.TaskGroup() as group:
        group.create_task(outbox.run(), name="store")
        try:
            yield outbox
        finally:
            await outbox.close(clean=outbox.previous is None or outbox.previous.clean)
