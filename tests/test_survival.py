"""The whole path as processes: simulated PLC, daemon, broker. Whatever is killed, the book stays complete and right."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt

from tests.conftest import FILLER_MACHINE, line_document
from tests.mangler import Mangler
from tests.processes import Daemon, broker, daemon, free_port, simulator, until
from tests.schemas import hold_cloud_event

BOTTLES, REJECTS = 1_000_000, 20_000
"""Where the PLC's counters begin: too high to have been reset unseen, however long a busy computer takes to start."""
SPEED = 5
"""Times real time at which the simulated filler lives; its ideal is fitted to it."""


def document(plc: int, mqtt: int | None = None, **sections: Any) -> dict[str, Any]:
    """The filler's line against a simulated PLC."""
    one = line_document(**sections)
    one["devices"]["filler_plc"] |= {"port": plc, "scan_interval": "50ms", "timeout": "500ms"}
    one["machines"] = {"filler": {**FILLER_MACHINE, "ideal": f"{500 // SPEED}ms", "settle": "100ms"}}
    one["health"] = {"listen": f"127.0.0.1:{free_port()}"}
    if mqtt is not None:
        one["uplinks"]["plant"] = {"type": "mqtt", "url": f"mqtt://127.0.0.1:{mqtt}"}
    return one


def check_book(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without duplicates: seq 1 to the last without a gap, every prevseq in its chain, every event to its schema."""
    by_seq: dict[int, dict[str, Any]] = {}
    for event in events:
        seq = int(event["seq"])
        assert by_seq.setdefault(seq, event) == event, "the same number tells two things"
        hold_cloud_event(event)
    assert len({event["stream"] for event in events}) == 1
    assert sorted(by_seq) == list(range(1, len(by_seq) + 1))
    assert all(int(by_seq[seq]["prevseq"]) == seq - 1 for seq in by_seq)
    return [by_seq[seq] for seq in sorted(by_seq)]


def produced(events: list[dict[str, Any]]) -> tuple[int, int]:
    """Total and scrap of all production."""
    made = [event["data"] for event in events if event["type"] == "linegate.machine.production.v1"]
    assert all(one["ambiguous"] is None for one in made)
    return sum(one["total"] for one in made), sum(one["scrap"] for one in made)


class Subscriber:
    """An MQTT client that is not ours, which keeps every message."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.topics: set[str] = set()


@asynccontextmanager
async def subscribed(port: int) -> AsyncIterator[Subscriber]:
    subscriber = Subscriber()

    async def listen(client: aiomqtt.Client) -> None:
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            subscriber.topics.add(message.topic.value)
            if not message.topic.value.endswith("/gateway/state"):
                subscriber.events.append(json.loads(message.payload))

    async with aiomqtt.Client("127.0.0.1", port) as client:
        await client.subscribe("#", qos=1)
        task = asyncio.create_task(listen(client))
        try:
            yield subscriber
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_broker_down_all_day_and_five_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    mqtt = free_port()
    counters = ("--bottles", str(BOTTLES), "--rejects", str(REJECTS))
    async with simulator("--seed", "7", "--speed", str(SPEED), "--frozen", *counters) as plc, Mangler(mqtt) as proxy:
        proxy.mangle = lambda _reply: None  # nothing is delivered before somebody listens
        async with daemon(tmp_path, document(plc.port, proxy.port)) as one:
            await until(lambda: knows_the_machine(one))
            await plc.tell(action="thaw")
            for number, seconds in enumerate((1.3, 0.4, 2.1, 0.9, 1.7), 1):
                await asyncio.sleep(seconds)  # production goes on; when the power fails is what varies
                await one.kill()
                await asyncio.sleep(0.3)
                await one.start()
                await until(lambda: knows_the_machine(one))
                await until(lambda number=number: times_off(one.events()) >= number)  # type: ignore[misc]
            await until(lambda: plc.has_made(60))
            truth = await plc.tell(action="freeze")
            await until(lambda: no_part_is_on_its_way(one, truth, BOTTLES, REJECTS))
            async with broker(tmp_path / "broker", mqtt), subscribed(mqtt) as subscriber:
                proxy.mangle = lambda reply: reply
                await until(lambda: all_delivered(one), 60)
                assert await one.stop() == 0
                await until(lambda: len(subscriber.events) >= len(check_book(one.events())))
            book = check_book(subscriber.events)
            assert check_book(one.events()) == book
            assert produced(book) == (truth["total"], truth["rejects"])
            assert "acme/berlin/filling/line-3/filler/machine.state" in subscriber.topics
            check_states(book)


async def knows_the_machine(one: Daemon) -> bool:
    return bool((await one.line())["devices"]["filler_plc"]["connected"])


async def no_part_is_on_its_way(one: Daemon, truth: dict[str, Any], bottles: int = 0, rejects: int = 0) -> bool:
    """The counters' last readings are the PLC's."""
    line = json.loads((await one.get("/api/line?signals"))[1])
    signals = line["devices"]["filler_plc"]["signals"]
    readings = (signals["bottles"]["value"], signals["rejects"]["value"])
    return bool(readings == ((bottles + truth["total"]) % 2**32, (rejects + truth["rejects"]) % 2**16))


async def all_delivered(one: Daemon) -> bool:
    line = await one.line()
    return all(uplink["backlog"] == 0 for uplink in line["uplinks"].values())


def check_states(book: list[dict[str, Any]]) -> None:
    """Final intervals tile the filler's time from the first to the last, restarts included."""
    ordered = sorted(intervals(book).values(), key=lambda state: str(state["began"]))
    for before, after in itertools.pairwise(ordered):
        assert before["final"]
        assert before["ended"] == after["began"]
    assert times_off(book) >= 5


def intervals(book: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The latest of each."""
    latest: dict[str, dict[str, Any]] = {}
    for state in (event["data"] for event in book if event["type"] == "linegate.machine.state.v1"):
        if state["rev"] >= latest.get(state["interval"], {"rev": -1})["rev"]:
            latest[state["interval"]] = state
    return latest


def times_off(book: list[dict[str, Any]]) -> int:
    """How often the gateway was off, and is known to be on again."""
    states = intervals(book).values()
    return sum((state["reason"] or {}).get("code") == "gateway_off" and state["final"] for state in states)


async def test_plc_that_vanishes_and_returns(tmp_path: Path) -> None:
    async with simulator("--seed", "3", "--speed", str(SPEED), "--chaos", "off") as plc:
        async with daemon(tmp_path, document(plc.port)) as one:
            await until(lambda: running(one))
            await plc.tell(action="refuse")
            await plc.tell(action="drop")
            await until(lambda: state_is(one, "unknown"))
            status, text = await one.get("/health")
            health = json.loads(text)
            assert (status, health["status"]) == (200, "warn")
            assert health["checks"]["device:filler_plc"][0]["remedy"]
            assert (await one.get("/readyz"))[0] == 200
            made = (await plc.tell(action="truth"))["total"]
            await until(lambda: plc.has_made(made + 3))  # which nobody reads
            await plc.tell(action="accept")
            await until(lambda: running(one))
            truth = await plc.tell(action="freeze")
            await until(lambda: no_part_is_on_its_way(one, truth))
            assert await one.stop() == 0
            book = check_book(one.events())
            kinds = [event["type"].split(".", 1)[1].removesuffix(".v1") for event in book]
            assert kinds.count("device.lost") == kinds.count("device.restored") == 1
            recovered = [event["data"] for event in book if event["data"].get("recovered")]
            assert sum(one["recovered"] for one in recovered) > 0
            log = [json.loads(line) for line in one.log.read_text().splitlines()]
            assert [entry["event"] for entry in log if entry["logger"] == "device"] == [
                "device_connected", "device_lost", "device_restored",
            ]  # fmt: skip


async def state_is(one: Daemon, state: str) -> bool:
    return bool((await one.line())["machines"]["filler"]["state"] == state)


async def running(one: Daemon) -> bool:
    return await state_is(one, "execute")


async def test_fault_is_told_with_its_reason_and_proof(tmp_path: Path) -> None:
    async with simulator("--speed", str(SPEED), "--chaos", "off") as plc, daemon(tmp_path, document(plc.port)) as one:
        await until(lambda: running(one))
        await plc.tell(action="fault", code=17)
        await until(lambda: state_is(one, "held"))
        await plc.tell(action="clear")
        await until(lambda: running(one))
        assert await one.stop() == 0
        held = [e["data"] for e in check_book(one.events()) if e["data"].get("state") == "held"]
        assert [state["final"] for state in held] == [False, True]
        assert held[0]["reason"] == {"code": "17", "text": "cap jam", "source": "signal"}
        assert held[0]["rule"] == {"index": 1, "text": "filler_plc.fault != 0"}
        assert held[0]["because"]["filler_plc.fault"]["value"] == 17
        assert held[0]["uncertainty_s"] < 5
        assert held[1]["duration_s"] > 0


async def test_second_daemon_on_the_same_buffer_is_refused(tmp_path: Path) -> None:
    async with simulator("--chaos", "off") as plc, daemon(tmp_path, document(plc.port)) as one:
        assert one.process is not None
        other = Daemon(tmp_path, document(plc.port))
        await other.start(ready=False)
        assert other.process is not None
        assert await asyncio.wait_for(other.process.wait(), 60) == 1
        assert f"{one.process.pid}" in other.log.read_text()
        assert await one.is_ready()


async def test_the_tables_own_configuration_of_time_runs_out(tmp_path: Path) -> None:
    async with simulator("--chaos", "off") as plc, daemon(tmp_path, document(plc.port), "--for", "2s") as one:
        assert one.process is not None
        assert await asyncio.wait_for(one.process.wait(), 60) == 0
        events = check_book(one.events())
        assert events[0]["type"] == "linegate.gateway.started.v1"
        assert events[-1]["data"] == {"why": "ran for 2 s"}
