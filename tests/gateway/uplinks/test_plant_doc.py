"""docs/plant.md: its table finds what is missing, and its consumer drops what comes twice, from a real stream."""

from __future__ import annotations

import asyncio
import re
import shutil
import sqlite3
import sys
from pathlib import Path

from gateway.events import StoredEvent
from gateway.uplinks.nats.config import NatsUplink
from gateway.uplinks.nats.publisher import NatsPublisher
from gateway.uplinks.uplink import UplinkContext
from tests.peers.nats import NatsServer, Reader

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "plant.md").read_text()
STREAM = "0192f0c4-0000-4000-8000-000000000000"


def block(language: str) -> str:
    """The page's one block in this language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def test_the_table_says_what_is_missing() -> None:
    create, insert, missing = (part for part in block("sql").split(";\n") if part.strip())
    database = sqlite3.connect(":memory:")
    database.execute(create)

    def arrive(seq: int, prevseq: int) -> None:
        row = dict.fromkeys(("source", "type", "subject", "time", "data"), "x")
        database.execute(insert, {**row, "stream": STREAM, "seq": seq, "prevseq": prevseq})

    def holes() -> list[int]:
        return [int(row[2]) for row in database.execute(missing)]

    for seq, prevseq in ((41, 40), (42, 41), (42, 41), (44, 43), (47, 44), (41, 40)):
        arrive(seq, prevseq)
    assert database.execute("select count(*) from event").fetchone() == (4,)
    assert holes() == [43]
    arrive(43, 42)
    assert holes() == []
    database.close()


async def test_the_consumer(tmp_path: Path, context: UplinkContext) -> None:
    """As it stands, as a program, with the file that it says to copy."""
    (tmp_path / "consumer.py").write_text(block("python"))
    shutil.copy(ROOT / "gateway" / "receive" / "follower.py", tmp_path)
    server, reader = NatsServer(tmp_path), Reader()
    await server.start()
    await reader.follow(server)

    async def deliver(*events: tuple[int, int]) -> None:
        url = f"nats://127.0.0.1:{server.port}"
        uplink = NatsPublisher(NatsUplink.model_validate({"type": "nats", "url": url}), context)
        await uplink.connect()
        told = [StoredEvent(seq, prev, "machine.state", "filler", 1_795_327_200_000, b"{}") for seq, prev in events]
        assert await uplink.write(told) == len(events)
        await uplink.close()

    consumer = await asyncio.create_subprocess_exec(
        sys.executable, "consumer.py", f"nats://127.0.0.1:{server.port}", cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    await deliver((1, 0), (2, 1), (3, 2))
    client = await server.client()
    await reader.until(3)
    for message in reader.messages[1:3]:  # as after the duplicate window: the stream has them twice
        await client.jetstream().publish(message.subject, message.data)
    await client.close()
    await deliver((5, 4))
    said, missing = await printed(consumer, 4)
    assert [line.split()[1] for line in said] == ["1", "2", "3", "5"]
    assert said[0].split() == ["/acme/berlin/filling/line-3", "1", "linegate.machine.state.v1", "filler"]
    assert "upto=4" in missing
    consumer.kill()
    await consumer.wait()
    await reader.finish()
    assert [event["seq"] for event in reader.events] == ["1", "2", "3", "2", "3", "5"]
    await server.end()


async def printed(consumer: asyncio.subprocess.Process, count: int) -> tuple[list[str], str]:
    """Its next lines, and what it says of the first hole."""
    assert consumer.stdout is not None
    assert consumer.stderr is not None
    async with asyncio.timeout(20):
        lines = [(await consumer.stdout.readline()).decode() for _ in range(count)]
        return lines, (await consumer.stderr.readline()).decode()


def test_its_figures_have_a_command() -> None:
    from tests.benchmarks import plant

    assert "python -m tests.benchmarks plant" in PAGE
    assert f"runs {plant.GATEWAYS:,} gateways" in PAGE
    assert f"{plant.EACH} events each" in PAGE
