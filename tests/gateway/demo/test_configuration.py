"""The shipped demo configuration loads as it stands, and fitted to any speed."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from gateway.config.model import Config
from gateway.demo.configuration import MACHINES, free_port, write_configuration

PORTS = {"filler": 15020, "capper": 14840, "labeler": 44818}
SHIPPED = Path(__file__).parents[3] / "config" / "demo.yaml"


def load(path: Path) -> Config:
    return Config.model_validate(YAML(typ="safe").load(path.read_text(encoding="utf-8")))


def test_the_shipped_file_loads() -> None:
    config = load(SHIPPED)
    assert config.machines["filler"].ideal == 500
    assert config.health.listen == "127.0.0.1:8480"


@pytest.mark.parametrize(
    ("speed", "ideal_ms", "scan_ms", "settle_ms"),
    [(1, 500, 250, 500), (10, 50, 50, 50), (2.5, 200, 100, 200), (0.5, 1000, 500, 1000), (100, 5, 50, 50)],
)
def test_times_follow_the_speed(tmp_path: Path, speed: float, ideal_ms: float, scan_ms: int, settle_ms: int) -> None:
    ports = {name: port + 1 for name, port in PORTS.items()}
    places = write_configuration(tmp_path, ports, speed)
    config = load(places.configuration)
    for name, device in MACHINES.items():
        assert config.machines[name].ideal == pytest.approx(ideal_ms)
        assert (config.devices[device].scan_interval, config.machines[name].settle) == (scan_ms, settle_ms)
        assert places.plcs[device] == config.devices[device].endpoint
    assert list(places.plcs.values()) == [
        "127.0.0.1:15021", "opc.tcp://127.0.0.1:14841/plant", "127.0.0.1:44819/backplane/0",
    ]  # fmt: skip


def test_nothing_else_is_changed(tmp_path: Path) -> None:
    fitted, shipped = load(write_configuration(tmp_path, PORTS, 1).configuration), load(SHIPPED)
    assert fitted.model_copy(update={"health": shipped.health}) == shipped


def test_the_copy_keeps_its_comments_and_says_where_the_events_are(tmp_path: Path) -> None:
    places = write_configuration(tmp_path, PORTS, 10)
    assert "# first rule that holds wins" in places.configuration.read_text(encoding="utf-8")
    assert places.events == tmp_path / "events.ndjson"
    assert ("/health", f"{places.url}/health") in places.lines()


def test_a_taken_health_port_is_replaced(tmp_path: Path) -> None:
    wanted = free_port(8480)
    with socket.create_server(("127.0.0.1", wanted)):
        other = free_port(wanted)
        assert other != wanted
        places = write_configuration(tmp_path, PORTS, 10)
        assert places.url == f"http://{load(places.configuration).health.listen}"
        assert places.url != f"http://127.0.0.1:{wanted}"
