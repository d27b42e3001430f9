"""The demo ends with 0 exactly where the daemon counted what the machine made, and leaves no process behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.demo import run as demo_run
from gateway.demo import run_demo
from gateway.demo.children import ChildError, Simulator
from gateway.demo.configuration import Places


class FakeDaemon:
    """In place of the daemon: publishes, when it ends, what the simulator's truth file says, give or take `error`.

    `generation` says at which end it publishes: the second is after it was started again.
    """

    error = 0
    publishes_at = 1
    dies = False
    foreign_until = 0
    """Up to this generation another daemon answers in its place."""
    started: list[FakeDaemon] = []  # noqa: RUF012 - of the class, emptied by the fixture

    def __init__(self, places: Places) -> None:
        self.places = places
        self.started.append(self)
        self.generation = len(self.started)
        self.ended = False
        if self.generation >= self.publishes_at > 1:
            self._publish()

    def check(self) -> None:
        if self.dies:
            raise ChildError("the daemon has ended with exit code 1")

    def is_ready(self) -> bool:
        return True

    def line(self) -> dict[str, Any]:
        total, rejects = self._made()
        machine = {"state": "idle", "category": "idle", "since": None, "parts": {"total": total, "scrap": rejects}}
        foreign = self.generation <= self.foreign_until
        plc = {"connected": True, "endpoint": "127.0.0.1:1" if foreign else self.places.plc}
        return {"machines": {"filler": machine}, "devices": {"filler_plc": plc}}

    def end(self) -> int:
        if not self.ended and self.publishes_at == 1:
            self._publish()
        self.ended = True
        return 0

    def last_lines(self) -> list[str]:
        return []

    def _made(self) -> tuple[int, int]:
        lines = [json.loads(line) for line in self.places.truth.read_text().splitlines()]
        parts = [line for line in lines if "part" in line]
        return (parts[-1]["total"], parts[-1]["rejects"]) if parts else (0, 0)

    def _publish(self) -> None:
        total, rejects = self._made()
        data = {"total": total + self.error, "scrap": rejects}
        event = {
            "type": "linegate.machine.production.v1",
            "stream": "a",
            "seq": str(self.generation),
            "subject": "filler",
        }
        with self.places.events.open("a") as file:
            file.write(json.dumps({**event, "time": "2026-11-22T06:00:00.250Z", "data": data}) + "\n")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeDaemon]:
    class Fake(FakeDaemon):
        started: list[FakeDaemon] = []  # noqa: RUF012

    monkeypatch.setattr(demo_run, "Daemon", Fake)
    return Fake


def test_a_daemon_that_counts_right(fake: type[FakeDaemon], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_demo(1.5, 20, 1, tmp_path / "kept") == 0
    out = capsys.readouterr().out
    made, counted = (line.split()[-2:] for line in out.splitlines()[-3:-1])
    assert made == counted
    assert int(made[0]) > 10
    assert out.splitlines()[-1] == "They agree."
    assert [daemon.ended for daemon in fake.started] == [True]


def test_a_daemon_that_keeps_its_minute_is_started_again(fake: type[FakeDaemon], tmp_path: Path) -> None:
    fake.publishes_at = 2
    assert run_demo(1, 20, 1, tmp_path / "kept") == 0
    assert [daemon.ended for daemon in fake.started] == [True, True]


def test_another_daemon_on_its_port_is_not_taken_for_it(
    fake: type[FakeDaemon], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.foreign_until = 1
    assert run_demo(1, 20, 1, tmp_path / "kept") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "They agree."
    first, second = fake.started
    assert first.ended
    assert first.places.url != second.places.url


def test_a_port_that_stays_somebody_elses(fake: type[FakeDaemon], capsys: pytest.CaptureFixture[str]) -> None:
    fake.foreign_until = 2
    assert run_demo(1, 20, 1, None) == 1
    assert "another daemon answers on http://127.0.0.1:" in capsys.readouterr().err


def test_a_daemon_that_counts_wrong(
    fake: type[FakeDaemon], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.error = 1
    monkeypatch.setattr(demo_run, "MINUTE_S", 0.1)
    assert run_demo(1, 20, 1, None) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "They differ."


def test_a_daemon_that_writes_to_the_plc(fake: type[FakeDaemon], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_run, "_VIOLATED", 0)  # as if the simulator had ended so
    assert run_demo(0.5, 20, 1, None) == 1


def test_a_daemon_that_dies(fake: type[FakeDaemon], capsys: pytest.CaptureFixture[str]) -> None:
    fake.dies = True
    assert run_demo(60, 20, 1, None) == 1
    assert "the daemon has ended with exit code 1" in capsys.readouterr().err


def test_a_directory_in_use_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "something").touch()
    assert run_demo(1, 10, 1, tmp_path) == 2
    assert "is not an empty directory" in capsys.readouterr().err


def test_a_simulator_that_ended_is_said(tmp_path: Path) -> None:
    simulator = Simulator(1, 10, tmp_path / "truth.ndjson")
    simulator.ready()
    assert simulator.tell("thaw")["total"] == 0
    assert simulator.end() == 0
    other = Simulator(1, 10, tmp_path / "nowhere" / "truth.ndjson")
    with pytest.raises(ChildError, match="ended with exit code 2"):
        other.ready()
    assert other.end() == 2
