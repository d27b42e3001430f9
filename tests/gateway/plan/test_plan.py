"""The plan: exact bytes and times, what overloads a line, and how it is shown."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.pdu import bit_message as bits
from pymodbus.pdu import register_message as registers

from gateway.cli import main
from gateway.config.model import Config
from gateway.plan.command import plan_file
from gateway.plan.plan import LinePlan, RequestPlan, plan_line
from gateway.plan.show import show
from tests.conftest import line_document

ROOT = Path(__file__).parents[3]
TCP = {"protocol": "modbus_tcp", "host": "plc"}
RTU = {"protocol": "modbus_rtu", "serial": {"path": "/dev/ttyS0"}}
WORD = {"type": "uint16"}


def words(*numbers: int, **more: Any) -> dict[str, Any]:
    return {f"w{number}": {"address": f"holding:{number}", **WORD, **more} for number in numbers}


def plan(*devices: dict[str, Any], machines: dict[str, Any] | None = None) -> LinePlan:
    """The plan of some devices, `d0`, `d1` and so on."""
    named = {f"d{number}": device for number, device in enumerate(devices)}
    return plan_line(Config.model_validate(line_document(devices=named, machines=machines or {})))


def scans(found: LinePlan) -> list[tuple[int, int, int]]:
    """Interval, signals and requests of each scan."""
    return [(scan.interval_ms, scan.signals, len(scan.requests)) for one in found.devices for scan in one.scans]


EXCHANGES: dict[str, tuple[type[ModbusPDU], type[ModbusPDU]]] = {
    "coil": (bits.ReadCoilsRequest, bits.ReadCoilsResponse),
    "discrete": (bits.ReadDiscreteInputsRequest, bits.ReadDiscreteInputsResponse),
    "holding": (registers.ReadHoldingRegistersRequest, registers.ReadHoldingRegistersResponse),
    "input": (registers.ReadInputRegistersRequest, registers.ReadInputRegistersResponse),
}


def on_the_wire(framer: type[FramerRTU | FramerSocket], one: RequestPlan) -> int:
    """Bytes of the same request and reply, as another implementation frames them."""
    ask, answer = EXCHANGES[one.table]
    data = {"bits": [False] * one.count} if one.table in ("coil", "discrete") else {"registers": [0] * one.count}
    frames = (ask(address=one.first, count=one.count, dev_id=1), answer(dev_id=1, **data))
    return sum(len(framer(DecodePDU(False)).buildFrame(frame)) for frame in frames)


@pytest.mark.parametrize(("device", "framer"), [(TCP, FramerSocket), (RTU, FramerRTU)], ids=["tcp", "rtu"])
def test_bytes_are_those_on_the_wire(device: dict[str, Any], framer: type[FramerRTU | FramerSocket]) -> None:
    signals = {
        **words(1, 2, 40, 400),
        "text": {"address": "input:5", "type": "string", "length": 15},
        **{f"c{number}": {"address": f"coil:{number}"} for number in range(0, 60, 3)},
        "d": {"address": "discrete:9"},
    }
    requests = plan({**device, "signals": signals}).devices[0].scans[0].requests
    assert {one.table for one in requests} == set(EXCHANGES)
    assert [one.bytes for one in requests] == [on_the_wire(framer, one) for one in requests]


def test_needless_registers_are_those_that_no_signal_covers() -> None:
    signals = {
        **words(0, 1, 10),
        "twice": {"address": "holding:0", "type": "uint32"},
        "bit": {"address": "holding:10.3"},
        "double": {"address": "holding:12", "type": "float64"},
    }
    (request,) = plan({**TCP, "signals": signals}).devices[0].scans[0].requests
    assert (request.first, request.last, request.count, request.needless) == (0, 15, 16, 9)
    assert sorted(request.signals) == sorted(signals)
    several = plan({**TCP, "signals": words(0, 1, 10), "max_gap": 0}).devices[0].scans[0].requests
    assert [(one.first, one.needless) for one in several] == [(0, 0), (10, 0)]


def test_each_scan_class_has_its_own_requests() -> None:
    found = plan({**TCP, "scan_interval": "250ms", "signals": {**words(0, 2), **words(1, scan_interval="2s")}})
    assert scans(found) == [(250, 2, 1), (2000, 1, 1)]
    (endpoint,) = found.endpoints
    assert (endpoint.scans_per_s, endpoint.requests_per_s, endpoint.signals_per_s) == (4.5, 4.5, 8.5)
    assert endpoint.bytes_per_s == 4 * 27 + 0.5 * 23
    off = plan({**TCP, "coalesce": "off", "signals": words(0, 1, 2)})
    assert scans(off) == [(1000, 3, 3)]


@pytest.mark.parametrize(
    ("serial", "milliseconds"),
    [
        ({}, 15 * 11 / 9.6 + 2 * 3.5 * 11 / 9.6),
        ({"baud": 19200}, 15 * 11 / 19.2 + 2 * 3.5 * 11 / 19.2),
        ({"baud": 115200}, 15 * 11 / 115.2 + 2 * 1.75),
        ({"parity": "none"}, 15 * 10 / 9.6 + 2 * 3.5 * 10 / 9.6),
    ],
)
def test_a_serial_line_s_time_is_characters_and_silences(serial: dict[str, Any], milliseconds: float) -> None:
    device = {**RTU, "serial": {"path": "/dev/ttyS0", **serial}, "signals": words(0)}
    (scan,) = plan(device).devices[0].scans
    assert scan.line_ms == pytest.approx(milliseconds, abs=0.001)
    (paused,) = plan({**device, "pause": "20ms"}).devices[0].scans
    assert paused.line_ms == pytest.approx(milliseconds + 20, abs=0.001)


def test_duty_is_of_all_devices_on_the_line() -> None:
    one, two = ({**RTU, "unit_id": unit, "scan_interval": "100ms", "signals": words(0)} for unit in (1, 2))
    (alone,) = plan(one).endpoints
    (both,) = plan(one, two).endpoints
    assert alone.duty == pytest.approx((15 + 7) * 11 / 9.6, abs=0.01)
    assert both.duty == pytest.approx(2 * alone.duty, abs=0.01)
    assert (both.devices, both.budget_ms) == (["d0", "d1"], None)


def test_an_overloaded_line_is_a_warning() -> None:
    devices = [{**RTU, "unit_id": unit, "scan_interval": "100ms", "signals": words(0)} for unit in range(1, 6)]
    assert plan(*devices[:3]).warnings == []
    (warning,) = plan(*devices).warnings
    assert warning.startswith("/dev/ttyS0: its frames and pauses take 126 % of the time, so scans are skipped; ")
    (warning,) = plan({**TCP, "pause": "2s", "signals": words(0)}).warnings
    assert warning.startswith("plc:502: the pauses between its requests take 200 % of the time")


def test_a_reply_longer_than_its_timeout_is_a_warning() -> None:
    serial = {"path": "/dev/ttyS0", "baud": 1200}
    device = {**RTU, "serial": serial, "scan_interval": "1min", "signals": words(*range(125))}
    (warning,) = plan(device).warnings
    assert warning.startswith("d0: holding:0..124 takes 2,475 ms at 1200 baud and its timeout is 1s")
    assert plan({**device, "max_registers": 40}).warnings == []
    assert plan({**device, "timeout": "3s"}).warnings == []


def test_over_tcp_time_depends_on_the_device() -> None:
    for protocol in ("modbus_tcp", "modbus_tls", "modbus_rtu_over_tcp"):
        found = plan({**TCP, "protocol": protocol, "pause": "10ms", "signals": words(0, 100)})
        (scan,) = found.devices[0].scans
        assert (scan.line_ms, scan.pause_ms) == (None, 20)
        assert (found.endpoints[0].duty, found.endpoints[0].budget_ms) == (2.0, 490.0)


def test_parts_that_a_scan_cannot_tell_apart_are_a_note() -> None:
    machine = {
        "states": [{"state": "execute"}],
        "ideal": "500ms",
        "parts": {"total": "d0.w0", "scrap": "d0.fast"},
    }
    signals = {**words(0), "fast": {"address": "holding:9", **WORD, "scan_interval": "500ms"}}
    found = plan({**TCP, "signals": signals}, machines={"filler": machine})
    (note,) = found.notes
    assert note.startswith("filler: d0.w0 is read every 1s and a part takes 500ms: all are counted, but no cycle")
    assert found.warnings == []
    assert plan({**TCP, "signals": signals}, machines={"filler": {**machine, "ideal": None}}).notes == []


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


def test_it_is_shown_aligned_in_a_pipe_and_coloured_on_a_terminal() -> None:
    devices = [{**RTU, "unit_id": unit, "scan_interval": "100ms", "signals": words(0, 5)} for unit in range(1, 6)]
    found = plan(*devices)
    pipe, screen = io.StringIO(), Screen()
    show(found, pipe)
    show(found, screen)
    text = pipe.getvalue()
    assert "\x1b" not in text
    assert "  d0      100ms  holding:0..5      6         4        2     25\n" in text
    assert "warning: /dev/ttyS0: " in text
    assert "holding:0..5" in screen.getvalue()
    assert all(line == line.rstrip() for line in text.splitlines())


def test_what_only_the_device_can_say_is_said_in_words() -> None:
    opcua = {
        "protocol": "opcua", "endpoint": "opc.tcp://plc", "signals": {"a": {"node": "nsu=u;s=A"}, "b": {"node": "i=1"}},
    }  # fmt: skip
    poll = {**opcua, "endpoint": "opc.tcp://other", "mode": "poll"}
    logix = {"protocol": "ethernet_ip", "host": "plc", "signals": {"a": {"tag": "A"}}}
    found = plan({**TCP, "signals": words(0)}, opcua, poll, logix)
    assert [scan.asks for one in found.devices for scan in one.scans] == [
        "",
        "a subscription to 2 nodes, sampled every 1s, told every 1s",
        "2 registered nodes read at once, or as many at a time as the server takes",
        "1 tag, packed into as few packets as the connection's size allows",
    ]
    assert [one.requests_per_s for one in found.endpoints] == [1.0, None, None, None]
    assert [one.signals_per_s for one in found.endpoints] == [1.0, 2.0, 2.0, 1.0]
    out = io.StringIO()
    show(found, out)
    assert "A scan of devices that know their own types" in out.getvalue()


def test_the_command(tmp_path: Path) -> None:
    example = ROOT / "config" / "line.yaml"
    done = CliRunner().invoke(main, ["plan", str(example), "--json"])
    assert done.exit_code == 0
    found = orjson.loads(done.stdout)
    names = [device["name"] for device in found["devices"]]
    assert names == ["filler_plc", "cutter_plc", "scale", "dryer", "capper_plc"]
    assert {"endpoint": "/dev/ttyS0", "protocol": "modbus_rtu", "budget_ms": None}.items() <= found["endpoints"][
        2
    ].items()
    assert CliRunner().invoke(main, ["plan", str(tmp_path / "none.yaml")]).exit_code == 2
    slow = tmp_path / "slow.yaml"
    slow.write_text(example.read_text().replace("    unit_id: 7", "    scan_interval: 10ms\n    unit_id: 7"))
    out = io.StringIO()
    assert plan_file(slow, False, out) == 1
    assert "warning: /dev/ttyS0: " in out.getvalue()
