"""What is sent to the service manager's socket."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from gateway.systemd import Notifier


@pytest.mark.parametrize("abstract", [False, True])
def test_sends_assignments(tmp_path: Path, abstract: bool) -> None:
    address = f"@linegate-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + address[1:] if abstract else address)
        notifier = Notifier({"NOTIFY_SOCKET": address})
        notifier.send(READY=1, STATUS="running")
        assert manager.recv(1000) == b"READY=1\nSTATUS=running"
        notifier.close()


def test_no_socket_no_message_no_error(tmp_path: Path) -> None:
    Notifier({}).send(READY=1)
    gone = Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")})
    gone.send(READY=1)
    gone.close()


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_watchdog_interval(environment: dict[str, str], seconds: float | None) -> None:
    assert Notifier(environment).watchdog_s == seconds
