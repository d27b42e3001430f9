"""The simulated line as a process: its ready line, its commands, its truth file, its exit code."""

from __future__ import annotations

import json
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

READ_RUNNING = b"\0\1\0\0\0\6\1\1\0\0\0\1"


class Process:
    """`python -m protocols.simulated`, spoken to."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "protocols.simulated", *arguments]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        self.ready = self._line()

    def _line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line: dict[str, Any] = json.loads(self.process.stdout.readline())
        return line

    def tell(self, **command: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return self._line()

    def request(self, pdu: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.ready["port"]), 5) as connection:
            connection.sendall(struct.pack(">HHHB", 1, 0, len(pdu) + 1, 1) + pdu)
            header = connection.recv(7, socket.MSG_WAITALL)
            return connection.recv(struct.unpack(">HHHB", header)[2] - 1, socket.MSG_WAITALL)

    def end(self) -> tuple[int, str]:
        _, errors = self.process.communicate(timeout=60)
        return self.process.returncode, errors


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    return tmp_path / "truth.ndjson"


@pytest.fixture
def simulated(truth: Path) -> Iterator[Process]:
    process = Process("--speed", "200", "--chaos", "off", "--truth", str(truth), "--rejects", "65530")
    yield process
    if process.process.poll() is None:
        process.process.kill()
    process.end()


def lines(truth: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in truth.read_text().splitlines()]


def parts_made(simulated: Process, least: int) -> None:
    while simulated.tell(action="truth")["truth"]["total"] < least:
        pass


def test_it_says_where_it_is(simulated: Process) -> None:
    assert simulated.ready["pid"] == simulated.process.pid
    assert simulated.request(b"\3\0\xc8\0\1") == b"\3\2co"


def test_frozen_counts_are_final_counts(simulated: Process, truth: Path) -> None:
    parts_made(simulated, 20)
    frozen = simulated.tell(action="freeze")["truth"]
    bottles, rejects = struct.unpack(">IH", simulated.request(b"\3\0\x66\0\3")[2:])
    assert (bottles, rejects) == (frozen["total"], (65_530 + frozen["rejects"]) & 0xFFFF)
    assert simulated.tell(action="truth")["truth"] == frozen
    simulated.tell(action="quit")
    assert simulated.end() == (0, "")
    assert lines(truth)[-1] == {"final": {"filler": {key: frozen[key] for key in ("total", "good", "rejects")}}}


@pytest.mark.parametrize("how", ["quit", "terminate", "interrupt"])
def test_its_truth_is_complete_whatever_ends_it(simulated: Process, truth: Path, how: str) -> None:
    parts_made(simulated, 10)
    if how == "quit":
        simulated.tell(action="quit")
    else:
        simulated.process.send_signal(signal.SIGTERM if how == "terminate" else signal.SIGINT)
    assert simulated.end()[0] == 0
    *written, last = lines(truth)
    parts = [line for line in written if "part" in line]
    states = [line for line in written if "state" in line]
    assert [part["part"] for part in parts] == list(range(1, len(parts) + 1))
    assert [(one["state"], one["reason"]) for one in states] == [("stopped", 0), ("execute", 0)]
    rejects = sum(not part["good"] for part in parts)
    assert last["final"] == {"filler": {"total": len(parts), "good": len(parts) - rejects, "rejects": rejects}}
    assert parts[-1]["rejects"] == rejects
    assert [line["ms"] for line in written] == sorted(line["ms"] for line in written)
    took = datetime.fromisoformat(parts[-1]["utc"]) - datetime.fromisoformat(parts[0]["utc"])
    assert took.total_seconds() * 1000 == pytest.approx((parts[-1]["ms"] - parts[0]["ms"]) / 200, abs=1)


def test_trouble_on_command(simulated: Process, truth: Path) -> None:
    parts_made(simulated, 1)
    seen = []
    script: list[dict[str, Any]] = [{"action": "fault", "code": 23}, {"action": "clear"}, {"action": "starve"}]
    script += [{"action": name} for name in ("feed", "estop", "release", "stop", "start")]
    for command in script:
        answer = simulated.tell(**command)
        seen.append((answer["done"], answer["truth"]["state"], answer["truth"]["reason"]))
    expected = ["faulted", "execute", "starved", "execute", "estopped", "execute", "stopped", "execute"]
    assert [state for _, state, _ in seen] == expected
    assert [done for done, _, _ in seen] == [command["action"] for command in script]
    assert seen[0][2] == 23
    simulated.tell(action="freeze")
    simulated.tell(action="reset_counters")
    assert simulated.request(b"\3\0\x66\0\3")[2:] == bytes(6)
    simulated.tell(action="quit")
    simulated.end()
    assert [line["state"] for line in lines(truth) if "state" in line] == ["stopped", "execute", *expected]


def test_its_plc_can_be_taken_away(simulated: Process) -> None:
    simulated.tell(action="refuse")
    with pytest.raises(ConnectionRefusedError):
        simulated.request(b"\1\0\0\0\1")
    simulated.tell(action="accept")
    with socket.create_connection(("127.0.0.1", simulated.ready["port"]), 5) as connection:
        connection.sendall(READ_RUNNING)
        assert connection.recv(10, socket.MSG_WAITALL)[:9] == b"\0\1\0\0\0\4\1\1\1"
        simulated.tell(action="mute")
        connection.sendall(READ_RUNNING)
        simulated.tell(action="drop")
        assert connection.recv(100) == b""
    simulated.tell(action="unmute")
    assert simulated.request(b"\1\0\0\0\1")[:2] == b"\1\1"


@pytest.mark.parametrize("command", [{"action": "explode"}, {"act": "fault"}, {"action": "fault", "code": 0}])
def test_what_it_does_not_understand_it_says(simulated: Process, command: dict[str, Any]) -> None:
    before = simulated.tell(action="freeze")["truth"]
    assert "error" in simulated.tell(**command)
    assert simulated.tell(action="truth")["truth"] == before


def test_a_write_makes_it_fail(simulated: Process) -> None:
    assert simulated.request(b"\6\0\x68\0\0") == b"\x86\1"
    simulated.tell(action="quit")
    code, errors = simulated.end()
    assert code == 3
    assert errors == "outside the allow-list: function code 6 to unit 1: 06 00 68 00 00\n"


def test_it_can_begin_frozen_and_end_with_its_parent() -> None:
    process = Process("--frozen", "--quit-on-eof", "--speed", "1000")
    assert process.tell(action="truth")["truth"]["ms"] == 0
    process.tell(action="thaw")
    parts_made(process, 1)
    assert process.process.stdin is not None
    process.process.stdin.close()
    assert process.process.wait(10) == 0
    for stream in (process.process.stdout, process.process.stderr):
        assert stream is not None
        stream.close()


def test_a_taken_port_and_a_wrong_number_are_wrong_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for wrong in (("--port", str(taken.getsockname()[1])), ("--speed", "0"), ("--units", "0")):
            command = [sys.executable, "-m", "protocols.simulated", *wrong]
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
            assert done.returncode == 2
            assert done.stderr
            assert b"Traceback" not in done.stderr


def test_it_imports_nothing_of_the_gateway() -> None:
    code = "import sys, protocols.simulated.__main__; sys.exit(any(m.split('.')[0] == 'gateway' for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def test_the_whole_line_has_one_clock_and_a_truth_for_each_machine(truth: Path) -> None:
    line = Process("--speed", "50", "--chaos", "off", "--capper", "0", "--labeler", "0", "--truth", str(truth))
    assert len({line.ready[name] for name in ("port", "capper", "labeler")}) == 3
    assert line.tell(action="fault", machine="capper")["truth"]["state"] == "faulted"
    assert line.tell(action="truth")["truth"]["state"] != "faulted"
    assert "filler, capper, labeler" in line.tell(action="truth", machine="packer")["error"]
    line.tell(action="freeze", machine="labeler")
    frozen = line.tell(action="truth")["machines"]
    assert len({machine["ms"] for machine in frozen.values()}) == 1
    assert line.tell(action="truth")["machines"] == frozen
    line.tell(action="quit", machine="capper")
    assert line.end() == (0, "")
    *written, last = lines(truth)
    assert {one["machine"] for one in written} == {"filler", "capper", "labeler"}
    assert {name: totals["total"] for name, totals in last["final"].items()} == {
        name: machine["total"] for name, machine in frozen.items()
    }
