"""From a real outbox through the runner to a real broker, over a connection that is cut again and again."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiomqtt
import orjson
import pytest

from gateway.config.model import BufferConfig
from gateway.events import Envelope, Event
from gateway.outbox.outbox import Outbox
from gateway.runner.backoff import Backoff
from gateway.runner.uplink import UplinkRunner
from gateway.uplinks.mqtt.config import MqttUplink
from gateway.uplinks.registry import uplink_class
from gateway.uplinks.uplink import UplinkContext

if TYPE_CHECKING:
    from tests.gateway.uplinks.conftest import Broker


class Relay:
    """Passes bytes on to the broker, and cuts each connection after some of them, in the middle of whatever it is."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._server: asyncio.Server | None = None
        self.connections = 0
        self.is_cutting = True

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        out_reader, out_writer = await asyncio.open_connection("127.0.0.1", self._target)
        # requests are cut in one connection, and answers in the next: then the broker has what nobody knows of
        limits = [997 * self.connections, 10**9] if self.connections % 2 else [10**9, 41 * self.connections]
        if not self.is_cutting:
            limits = [10**9, 10**9]
        async with asyncio.TaskGroup() as group:
            group.create_task(_pass_on(reader, out_writer, limits[0]))
            group.create_task(_pass_on(out_reader, writer, limits[1]))
        for end in (writer, out_writer):
            end.transport.abort()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: int) -> None:
    with contextlib.suppress(ConnectionError):
        while limit > 0 and (data := await reader.read(min(limit, 4096))):
            writer.write(data)
            await writer.drain()
            limit -= len(data)
    writer.close()


async def test_the_chain_is_whole_over_cut_connections(
    broker: Broker, context: UplinkContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Backoff, "next", lambda _self: 0.005)
    await broker.start("max_queued_messages 0")
    relay = Relay(broker.port)
    url = f"mqtt://127.0.0.1:{await relay.start()}"
    section = MqttUplink.model_validate({"type": "mqtt", "url": url, "from": "oldest", "state_topic": "off"})
    buffer = BufferConfig.model_validate({"path": "x", "commit_interval": "10ms"})
    total = 0
    async with broker.listener() as client:
        for turn in range(3):
            relay.is_cutting = turn < 2
            outbox = await Outbox.open(tmp_path / "buffer.db", buffer, {"mes": section})
            told = UplinkContext("mes", context.line, Envelope("/acme", outbox.stream), tmp_path, context.view)

            def make_uplink(told: UplinkContext = told) -> Any:
                return uplink_class(section)(section, told)

            runner = UplinkRunner("mes", section, make_uplink, outbox)
            loop = asyncio.get_running_loop()
            tasks = [loop.create_task(outbox.run()), loop.create_task(runner.run())]
            for _ in range(20):
                outbox.append([Event("machine.state", "filler", total, {"n": total + n}) for n in range(20)])
                total += 20
                await outbox.flush()
            wanted = relay.connections + 10 if relay.is_cutting else 0
            async with asyncio.timeout(20):
                while outbox.backlog("mes") and (not relay.is_cutting or relay.connections < wanted):
                    await outbox.recent(outbox.last_seq, 1)
            tasks[1].cancel()  # in the middle of the work, but for the last time
            with contextlib.suppress(asyncio.CancelledError):
                await tasks[1]
            await outbox.close()
            await tasks[0]
        events = await _collect(client, total)
    await relay.stop()
    assert relay.connections > 10
    _check(events, total)


async def _collect(client: aiomqtt.Client, last: int) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    async with asyncio.timeout(20):
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            events.append(orjson.loads(message.payload))
            if events[-1]["seq"] == str(last):
                break
    return events


def _check(events: list[dict[str, Any]], total: int) -> None:
    first: dict[str, dict[str, Any]] = {}
    for event in events:
        assert first.setdefault(event["seq"], event) == event, "a repetition says the same"
    assert len(events) > total, "the cuts made some come twice, or nothing was tested"
    assert [int(seq) for seq in first] == list(range(1, total + 1)), "in order of first delivery"
    assert [int(event["prevseq"]) for event in first.values()] == list(range(total))
