"""What all tests share: the guard against blocking calls in the event loop, and configurations to begin from."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import structlog
from blockbuster import BlockBuster, blockbuster_ctx

from gateway.config.model import Config
from gateway.events import Event
from gateway.inputs import Input
from gateway.pipeline import Pipeline
from tests.patience import PatientPolicy
from tests.schemas import hold

# Where a change is to land, the same examples every time; everywhere else Hypothesis looks for new ones. How long one
# takes says more of the computer than of what is tested.
UNHURRIED = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("here", UNHURRIED)
hypothesis.settings.register_profile("ci", UNHURRIED, derandomize=True, database=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")

asyncio.set_event_loop_policy(PatientPolicy())

LONGEST = (
    "tests/page",
    "tests/torture",
    "tests/test_package",
    "tests/test_survival",
    "tests/soak",
    "tests/gateway/backup",
    "tests/faults",
)
"""What takes longest begins first, so that at the end no worker waits for another one."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keeps the order otherwise."""
    items.sort(key=lambda item: next((at for at, name in enumerate(LONGEST) if item.nodeid.startswith(name)), 99))


@pytest.fixture(autouse=True)
def no_blocking_calls(request: pytest.FixtureRequest) -> Iterator[BlockBuster | None]:
    """Any blocking call (sleep, files, sockets, SQLite) that product code makes on the event loop's thread raises."""
    with blockbuster_ctx(["gateway", "protocols", "ext"]) as guard:
        yield guard


@pytest.fixture(autouse=True, scope="session")
def loggers_are_made_anew() -> Iterator[None]:
    """A command that a test runs in this process sets up the log; no logger may keep what it was made with."""
    configure = structlog.configure
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(structlog, "configure", lambda **given: configure(**given | {"cache_logger_on_first_use": False}))
        yield


@pytest.fixture(autouse=True)
def log_is_as_it_was() -> Iterator[None]:
    """For the next test."""
    yield
    if structlog.is_configured():
        structlog.reset_defaults()


@pytest.fixture(autouse=True, scope="session")
def every_event_is_as_its_schema_says() -> Iterator[None]:
    """Whatever a test has the engine decide in this process; `Daemon.events` holds those of a real one."""
    process, finish = Pipeline.process, Pipeline.finish

    def processed(pipeline: Pipeline, one: Input) -> tuple[list[Event], int | None]:
        events, due = process(pipeline, one)
        for event in events:
            hold(event.type, event.data)
        return events, due

    def finished(pipeline: Pipeline) -> list[Event]:
        events = finish(pipeline)
        for event in events:
            hold(event.type, event.data)
        return events

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pipeline, "process", processed)
        patch.setattr(Pipeline, "finish", finished)
        yield


FILLER_SIGNALS: dict[str, Any] = {
    "running": {"address": "coil:0"},
    "infeed_ready": {"address": "discrete:4"},
    "estop": {"address": "holding:20.0"},
    "fault": {"address": "holding:21", "type": "uint16"},
    "speed": {"address": "holding:100", "type": "float32", "unit": "1/min", "deadband": 0.5},
    "level": {"address": "input:7", "type": "int16", "scale": 0.1, "offset": -40, "unit": "mm", "deadband": 0.2},
    "bottles": {"address": "holding:102", "type": "uint32"},
    "rejects": {"address": "holding:104", "type": "uint16"},
    "recipe": {"address": "holding:200", "type": "string", "length": 16},
}

FILLER_MACHINE: dict[str, Any] = {
    "ideal": "500ms",
    "settle": "500ms",
    "parts": {"total": "filler_plc.bottles", "scrap": "filler_plc.rejects"},
    "states": [
        {"state": "aborted", "when": "filler_plc.estop", "reason": "emergency stop"},
        {"state": "held", "when": "filler_plc.fault != 0", "reason": {"signal": "filler_plc.fault"}},
        {"state": "suspended", "when": "not filler_plc.infeed_ready", "cause": "starved"},
        {"state": "execute", "when": "filler_plc.running and filler_plc.speed > 5"},
        {"state": "idle"},
    ],
    "reasons": {17: "cap jam", 23: "low product pressure"},
}


def line_document(**sections: Any) -> dict[str, Any]:
    """The filler's configuration as plain values; sections given replace its own."""
    document: dict[str, Any] = {
        "line": {
            "enterprise": "acme", "site": "berlin", "area": "filling", "name": "line-3", "time_zone": "Europe/Berlin",
        },
        "devices": {
            "filler_plc": {
                "protocol": "modbus_tcp", "host": "127.0.0.1", "port": 15020, "scan_interval": "250ms",
                "signals": FILLER_SIGNALS,
            }
        },
        "machines": {"filler": FILLER_MACHINE},
        "buffer": {"path": "line-3.db"},
        "uplinks": {"journal": {"type": "file", "path": "events.ndjson"}},
        "health": {"listen": "off"},
    }  # fmt: skip
    return {**document, **sections}


@pytest.fixture
def line_config() -> Config:
    """The filler's line."""
    return Config.model_validate(line_document())
