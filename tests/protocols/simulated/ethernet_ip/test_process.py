"""The labeler's controller as a process: its ready line, its commands, its exit code."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from pycomm3 import CommError, LogixDriver
from pycomm3.exceptions import BufferEmptyError

from protocols.simulated.ethernet_ip.control import COMMANDS
from protocols.simulated.ethernet_ip.extra import extra_tag_value, name_of
from tests.protocols.simulated.ethernet_ip.process import Process

TAGS = "Labeler_Count", "Labeler_Temp", "Labeler.Rejects"


@pytest.fixture(scope="module")
def shared() -> Iterator[Process]:
    process = Process("--chaos", "off", "--frozen", "--extra-tags", "50", "--showcase")
    yield process
    assert process.tell("quit")["done"] == "quit"
    assert process.end() == (0, "")


@pytest.fixture
def driver(shared: Process) -> Iterator[LogixDriver]:
    driver = LogixDriver(f"127.0.0.1:{shared.port}/0")
    driver.open()  # type: ignore[no-untyped-call]
    yield driver
    with suppress(CommError):  # a connection that the test broke
        driver.close()  # type: ignore[no-untyped-call]


def wait_at_most(driver: LogixDriver, seconds: float) -> None:
    assert driver._sock is not None
    driver._sock.sock.settimeout(seconds)


def values(driver: LogixDriver, *tags: str) -> list[Any]:
    return [tag.value for tag in driver.read(*tags)]


def test_every_command_is_known_by_its_name(shared: Process) -> None:
    error = shared.tell("fly")["error"]
    assert all(name in error for name in COMMANDS)
    for action, wrong in (("delay", {}), ("reject", {"services": ["read_tag"]}), ("state", {"mode": "asleep"})):
        assert "error" in shared.tell(action, **wrong)


def test_time_stands_still_and_goes_on(shared: Process, driver: LogixDriver) -> None:
    first = shared.tell("truth")["truth"]["ms"]
    names = [name_of(index) for index in range(50)]
    assert values(driver, *names) == [extra_tag_value(index, first) for index in range(50)]
    shared.tell("thaw")
    while shared.tell("truth")["truth"]["ms"] < first + 100:
        pass
    later = shared.tell("freeze")["truth"]["ms"]
    assert values(driver, *names) == [extra_tag_value(index, later) for index in range(50)]


def test_counts_are_those_of_the_wire(shared: Process, driver: LogixDriver) -> None:
    shared.tell("reset_counts")
    driver.read(*TAGS)
    assert shared.tell("truth")["counts"] == {"frames": 1, "multiple_service_packet": 1, "read_tag": 3}


def test_a_late_reply_answers_the_wrong_question(shared: Process, driver: LogixDriver) -> None:
    """What pycomm3 does after a timeout, which the gateway has to prevent."""
    shared.tell("delay", ms=800, replies=1)
    wait_at_most(driver, 0.3)
    with pytest.raises(CommError):
        driver.read("Dints[3]")
    wait_at_most(driver, 5)
    assert driver.read("Dints[4]").value == -41


def test_dropped_sessions_and_connections(shared: Process, driver: LogixDriver) -> None:
    shared.tell("drop_sessions")
    assert driver.read("Labeler_Count").error is not None
    shared.tell("drop")
    with pytest.raises(CommError):
        driver.read("Labeler_Count")


def test_dropped_after_a_request(shared: Process, driver: LogixDriver) -> None:
    shared.tell("drop_after", frames=1)
    assert driver.read("Dints[3]").value == -41
    with pytest.raises(CommError):
        driver.read("Dints[3]")


def test_connections_that_are_silent(shared: Process, driver: LogixDriver) -> None:
    shared.tell("drop_connections")
    wait_at_most(driver, 0.3)
    with pytest.raises(CommError):
        driver.read("Dints[3]")


def test_rejected_services_and_limits(shared: Process) -> None:
    def size() -> int:
        with LogixDriver(f"127.0.0.1:{shared.port}/0", init_tags=False) as one:
            return int(one.connection_size)

    assert size() == 4_000
    shared.tell("reject", services=["large_forward_open"])
    assert size() == 500
    shared.tell("reject", services=[])
    shared.tell("limit", size=700)
    assert size() == 500
    shared.tell("limit", size=4_002)
    assert size() == 4_000


def test_a_refused_multiple_service_packet(shared: Process, driver: LogixDriver) -> None:
    shared.tell("reject", services=["multiple_service_packet"])
    assert driver.read("Dints[3]").value == -41
    with pytest.raises(BufferEmptyError):
        driver.read(*TAGS)
    shared.tell("reject", services=[])
    assert None not in values(driver, *TAGS)


def test_mode_and_faults(shared: Process, driver: LogixDriver) -> None:
    shared.tell("state", mode="remote_program", faults=["major_recoverable"])
    assert driver.get_plc_info()["status"] == b"\x70\x34"
    shared.tell("state", mode="remote_run")
    assert driver.get_plc_info()["keyswitch"] == "REMOTE RUN"


def test_a_failing_tag(shared: Process, driver: LogixDriver) -> None:
    shared.tell("fail", tag="Labeler_Temp", status=0x10)
    assert [tag.error is None for tag in driver.read(*TAGS)] == [True, False, True]
    shared.tell("fail", tag="Labeler_Temp", status=0)
    assert [tag.error is None for tag in driver.read(*TAGS)] == [True, True, True]


def test_a_download_changes_tags_and_types(shared: Process) -> None:
    before = shared.tell("truth")["edition"]
    answer = shared.tell("download", without=["Labeler_Jam"], retyped={"Labeler_Temp": "LREAL"})
    assert answer["edition"] == before + 1
    with LogixDriver(f"127.0.0.1:{shared.port}/0") as one:
        assert "Labeler_Jam" not in one.tags
        temperature = 150 + (300_000 - answer["truth"]["ms"]) / 30_000
        assert (one.tags["Labeler_Temp"]["data_type"], one.read("Labeler_Temp").value) == ("LREAL", temperature)
        assert "Lane" in one.tags["Labeler"]["data_type"]["internal_tags"]
    shared.tell("download")
    with LogixDriver(f"127.0.0.1:{shared.port}/0") as one:
        assert one.tags["Labeler_Temp"]["data_type"] == "REAL"
        assert "Lane" not in one.tags["Labeler"]["data_type"]["internal_tags"]


def test_routes_and_firmware() -> None:
    process = Process("--route", "1/3", "--firmware", "20", "--quit-on-eof")
    try:
        with LogixDriver(f"127.0.0.1:{process.port}/3") as one:
            assert one.info["revision"]["major"] == 20
            assert one.read("Labeler_Count").error is None
        stranger = LogixDriver(f"127.0.0.1:{process.port}/0")
        with pytest.raises(Exception, match="Failed to get PLC info"):
            stranger.open()  # type: ignore[no-untyped-call]
        stranger.close()  # type: ignore[no-untyped-call]
    finally:
        assert process.end() == (0, "")


def test_a_write_ends_in_exit_code_3() -> None:
    process = Process()
    with LogixDriver(f"127.0.0.1:{process.port}/0") as one:
        assert one.write("Labeler_Count", 0).error == "Service not supported"
    process.process.terminate()
    code, errors = process.end()
    assert code == 3
    assert "outside the allow-list: service 4d" in errors


def test_a_taken_port_ends_in_exit_code_2(shared: Process) -> None:
    command = [sys.executable, "-m", "protocols.simulated.ethernet_ip", "--port", str(shared.port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    assert "in use" in done.stderr
