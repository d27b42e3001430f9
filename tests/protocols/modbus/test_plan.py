"""Planning: each signal in one request, requests within the device's limits, gaps read only where they save one."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ext.table import SignalTable
from protocols.modbus.config import ModbusTcpDevice
from protocols.modbus.plan import Planner, plan_requests
from protocols.modbus.request import Request


def planned(signals: dict[str, Any], **device: Any) -> list[Request]:
    config = ModbusTcpDevice.model_validate({"protocol": "modbus_tcp", "host": "plc", "signals": signals, **device})
    return plan_requests(config, SignalTable(signals))


def words(requests: list[Request]) -> list[str]:
    return [str(request) for request in requests]


def test_neighbours_share_a_request() -> None:
    signals = {"a": {"address": "holding:100", "type": "float32"}, "b": {"address": "holding:102", "type": "uint16"}}
    assert words(planned(signals)) == ["holding:100..102"]


def test_gap_is_read_up_to_max_gap() -> None:
    signals = {"a": {"address": "holding:0", "type": "uint16"}, "b": {"address": "holding:17", "type": "uint16"}}
    assert words(planned(signals, max_gap=16)) == ["holding:0..17"]
    assert words(planned(signals, max_gap=15)) == ["holding:0..0", "holding:17..17"]


def test_coalesce_off_reads_each_signal_alone() -> None:
    signals = {"a": {"address": "holding:0", "type": "uint16"}, "b": {"address": "holding:1", "type": "uint16"}}
    assert words(planned(signals, coalesce="off")) == ["holding:0..0", "holding:1..1"]


def test_scan_classes_are_read_apart() -> None:
    signals = {
        "slow": {"address": "holding:0", "type": "uint16", "scan_interval": "5s"},
        "fast": {"address": "holding:1", "type": "uint16"},
    }
    assert [(str(request), request.scan) for request in planned(signals)] == [("holding:1..1", 0), ("holding:0..0", 1)]


def test_halves_of_a_refused_request_read_its_signals() -> None:
    signals = {f"s{n}": {"address": f"holding:{10 * n}", "type": "uint16"} for n in range(5)}
    config = ModbusTcpDevice.model_validate({"protocol": "modbus_tcp", "host": "plc", "signals": signals})
    planner = Planner(config, SignalTable(signals))
    (whole,) = planner.requests()
    assert words(planner.halves(whole)) == ["holding:0..10", "holding:20..40"]


def test_tables_are_read_apart() -> None:
    signals = {
        "c": {"address": "coil:3"},
        "d": {"address": "discrete:3"},
        "h": {"address": "holding:3.1"},
        "i": {"address": "input:3.15"},
    }
    assert words(planned(signals)) == ["coil:3..3", "discrete:3..3", "holding:3..3", "input:3..3"]


def test_addresses_that_count_from_one() -> None:
    assert words(planned({"a": {"address": "holding:1", "type": "uint16"}}, address_base=1)) == ["holding:0..0"]


def test_several_bits_of_one_register() -> None:
    assert words(planned({"a": {"address": "holding:20.0"}, "b": {"address": "holding:20.15"}})) == ["holding:20..20"]


@given(
    st.lists(
        st.tuples(st.integers(0, 400), st.sampled_from(["uint16", "uint32", "float64", "string"])),
        min_size=1,
        max_size=60,
    ),
    st.integers(0, 60),
    st.integers(20, 125),
)
def test_every_signal_lies_whole_in_one_request(placed: list[tuple[int, str]], max_gap: int, most: int) -> None:
    signals = {
        f"s{n}": {"address": f"holding:{address}", "type": kind, **({"length": 33} if kind == "string" else {})}
        for n, (address, kind) in enumerate(placed)
    }
    requests = planned(signals, max_gap=max_gap, max_registers=most)
    assert sorted(number for request in requests for number in request.decode.signals) == list(range(len(placed)))
    size = {"uint16": 1, "uint32": 2, "float64": 4, "string": 17}
    for request in requests:
        assert request.count <= most
        for number in request.decode.signals:
            address, kind = placed[number]
            assert request.address <= address
            assert address + size[kind] <= request.address + request.count
    for before, after in itertools.pairwise(requests):
        mergeable = after.address + after.count - before.address <= most
        assert (
            not mergeable
            or after.address - (before.address + before.count) > max_gap
            or before.address == after.address
        )
