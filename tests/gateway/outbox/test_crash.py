"""kill -9 in the middle of the work: what was committed is there, without a gap, and agrees with the checkpoint."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING

import orjson

from gateway.checkpoint import pack, unpack

if TYPE_CHECKING:
    from tests.gateway.outbox.conftest import Bench

WRITER = """
import asyncio, sys
from pathlib import Path
from gateway.checkpoint import pack
from gateway.config.model import BufferConfig
from gateway.uplinks.file.config import FileUplink
from gateway.events import Event
from gateway.outbox.outbox import Outbox

async def main():
    config = BufferConfig.model_validate({"path": "x", "commit_interval": "10ms"})
    uplink = FileUplink.model_validate({"type": "file", "path": "x", "from": "oldest"})
    outbox = await Outbox.open(Path(sys.argv[1]), config, {"mes": uplink})
    made = outbox.last_seq
    outbox.checkpoint = lambda subjects: {"filler": pack({"n": made})}
    store = asyncio.get_running_loop().create_task(outbox.run())
    while True:
        for _ in range(7):
            made += 1
            outbox.append([Event("machine.state", "filler", made, {"n": made})])
        events = await outbox.read("mes", 100)
        outbox.acknowledge("mes", events[-1])
        print(events[-1].seq, flush=True)

asyncio.run(main())
"""


async def test_kill_9_loses_nothing_that_was_committed(bench: Bench) -> None:
    last = 0
    for _ in range(3):
        writer = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WRITER, str(bench.path), stdout=asyncio.subprocess.PIPE
        )
        assert writer.stdout is not None
        try:
            async with asyncio.timeout(20):
                for _ in range(20):
                    seen = int(await writer.stdout.readline())
        finally:
            writer.send_signal(signal.SIGKILL)
            rest = await writer.stdout.read()
            await writer.wait()
        seen = max([seen, *map(int, rest.split()[:-1])])
        assert seen > last
        outbox = await bench.open("mes", begin="oldest")
        assert outbox.previous is not None
        assert not outbox.previous.clean
        assert outbox.last_seq >= seen
        events = await outbox.recent(0, 1_000_000)
        assert [event.seq for event in events] == list(range(1, outbox.last_seq + 1))
        assert [orjson.loads(event.data)["n"] for event in events] == list(range(1, outbox.last_seq + 1))
        assert unpack(await outbox.load_checkpoint())["filler"]["n"] == outbox.last_seq
        last = outbox.last_seq
        await outbox.close(clean=False)


async def test_any_moment_on_disk_is_a_whole_commit(bench: Bench) -> None:
    """Copies of the files taken while commits are under way open as an earlier moment, never as half of one."""
    outbox = await bench.open("mes")
    made = 0
    outbox.checkpoint = lambda _subjects: {"filler": pack({"n": made})}
    for turn in range(12):
        made += 50
        outbox.append(bench.events(*range(made - 50, made)))
        for _ in range(turn):
            await asyncio.sleep(0)
        committed = outbox.last_seq
        frozen = await bench.open("mes", path=bench.freeze(f"moment-{turn}"))
        assert frozen.last_seq >= committed
        assert frozen.last_seq % 50 == 0
        assert (await frozen.load_checkpoint()).get("filler", pack({"n": 0})) == pack({"n": frozen.last_seq})
        await bench.crash(frozen)
