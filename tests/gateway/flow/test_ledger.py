"""The ledger beside what truly lies between machines: splits, joins, rollovers, torn readings, outages, restarts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.model import Config
from gateway.events import Event
from gateway.inputs import DeviceState, Reload
from gateway.pipeline import Pipeline
from protocols.model import Batch, Change, Quality
from tests.conftest import line_document
from tests.gateway.stories import MONDAY

CAPACITY = 60
MACHINES = ("filler", "left", "right", "packer")
FLOW = [
    {"from": ["filler"], "to": ["left", "right"], "capacity": CAPACITY},
    {"from": ["left", "right"], "to": ["packer"], "capacity": CAPACITY},
]


def line(flow: Any = FLOW, uncounted: str = "") -> Config:
    """Four machines behind a device each; the packer packs sixes."""
    counters: dict[str, Any] = {name: {"total": f"{name}_plc.count"} for name in MACHINES}
    counters["filler"] = {"total": "filler_plc.count", "scrap": ["filler_plc.low", "filler_plc.high"]}
    counters["packer"] = {"good": {"signal": "packer_plc.count", "each": 6}}
    signals = {name: {"address": f"holding:{n}", "type": "uint16"} for n, name in enumerate(("count", "low", "high"))}
    document = line_document(
        devices={
            f"{name}_plc": {"protocol": "modbus_tcp", "host": f"10.0.0.{n}", "signals": signals}
            for n, name in enumerate(MACHINES)
        },
        machines={
            name: {"states": [{"state": "idle"}], "ideal": "500ms", "parts": counters[name]}
            | ({"parts": None} if name == uncounted else {})
            for name in MACHINES
        },
    )
    if flow is not None:
        document["flow"] = flow
    return Config.model_validate(document)


CONFIG = line()


class Plant:
    """Machines whose parts are known, read by a pipeline that only sees their counters."""

    def __init__(self, config: Config = CONFIG, first: int = 65_500) -> None:
        self.pipeline, self.config = Pipeline(config), config
        self.at, self.events = MONDAY, list[Event]()
        self.count = dict.fromkeys(MACHINES, first)
        self.scrap = [0, 0]
        self.stored: dict[str, bytes] = {}
        self.give(Reload(self.at, 0))
        for name in MACHINES:
            self.read(name)

    def give(self, one: Any) -> None:
        for event in self.pipeline.process(one)[0]:
            self.events.append(event)

    def read(self, name: str, wrong: int = 0) -> None:
        """The PLC is read, one value changed by `wrong`."""
        values = [(self.count[name] + wrong) % 2**16, *(self.scrap if name == "filler" else (0, 0))]
        changes: list[Change] = [(number, value, Quality.GOOD, None, None) for number, value in enumerate(values)]
        self.give(Batch(f"{name}_plc", 0, changes, self.at))

    def read_all(self) -> None:
        self.at += 1000
        for name in MACHINES:
            self.read(name)

    def lose(self, name: str) -> None:
        self.give(DeviceState(f"{name}_plc", False, self.at, why="no answer"))

    def restart(self) -> None:
        """The daemon ends between two checkpoints, and comes back a while later."""
        self.stored |= self.pipeline.checkpoint()
        self.at += 2000
        self.pipeline = Pipeline(self.config)
        self.pipeline.restore(self.stored)
        self.give(Reload(self.at, 0))

    @property
    def wip(self) -> list[int | None]:
        return [link["wip"] for link in self.pipeline.ledger.snapshot()]

    @property
    def bounds(self) -> list[tuple[int | None, int | None]]:
        return [(link["wip_low"], link["wip_high"]) for link in self.pipeline.ledger.snapshot()]

    @property
    def faults(self) -> list[dict[str, Any]]:
        return [event.data for event in self.events if event.type == "counter.fault"]


def test_a_split_and_a_join_in_the_lines_unit() -> None:
    plant = Plant()
    plant.count["filler"] += 3
    plant.scrap = [1, 0]
    plant.read_all()
    assert plant.wip == [2, 0]
    plant.scrap = [1, 1]
    plant.count["filler"] += 3
    plant.count["left"] += 2
    plant.count["right"] += 1
    plant.read_all()
    assert plant.wip == [1, 3]
    for _ in range(3):
        plant.count["filler"] += 2
        plant.count["left"] += 1
        plant.count["right"] += 1
        plant.read_all()
    plant.count["packer"] += 1
    plant.read_all()
    ledger = plant.pipeline.ledger
    assert plant.wip == [1, 3]
    assert (ledger.used_up_at("packer"), ledger.input_of("packer"), ledger.input_of("right")) == (9, 6, 9)
    assert (ledger.used_up_at("filler"), ledger.input_of("filler"), ledger.balance) == (None, None, 4)


def test_without_a_flow_each_machine_feeds_the_next() -> None:
    plant = Plant(line(flow=None))
    assert [link["from"] for link in plant.pipeline.ledger.snapshot()] == [("filler",), ("left",), ("right",)]
    plant.count["filler"] += 3
    plant.read_all()
    assert plant.wip == [3, 0, 0]


def test_empty_is_the_lowest_that_it_has_been() -> None:
    """Ten bottles lay there when counting began."""
    plant = Plant()
    for taken in range(1, 11):
        plant.count["left"] += 1
        plant.read_all()
        assert plant.wip[0] == 0, taken
    plant.count["filler"] += 2
    plant.read_all()
    assert plant.wip[0] == 2


def test_a_machine_without_a_counter_makes_no_number() -> None:
    plant = Plant(line(uncounted="right"))
    plant.read_all()
    assert plant.wip == [None, None]
    assert plant.pipeline.ledger.balance is None


def test_nothing_is_judged_while_a_counter_cannot_be_read() -> None:
    """A hundred parts go through; the labeler's are seen late."""
    plant = Plant()
    plant.lose("left")
    for made in range(100):
        plant.count["filler"] += 1
        plant.count["left"] += 1
        plant.at += 500
        plant.read("filler")
        plant.count["packer"] += made % 6 == 5
        plant.read("packer")
        assert plant.wip == [None, None]
    plant.read_all()
    assert plant.bounds[0] == (0, 36), "its counter shows 64, which a reset may have left it to count"
    assert plant.faults == []


@pytest.mark.parametrize("gone", ["filler", "left"])
def test_a_range_that_cannot_be_true_is_a_fault_and_no_number(gone: str) -> None:
    """A counter that stands still while parts go through."""
    plant = Plant()
    for _ in range(200):
        for name in ("filler", "left"):
            plant.count[name] += name != gone
        plant.read_all()
    first, *more = [one for one in plant.faults if one["signal"].startswith("filler")]
    assert (first["signal"], first["before"], first["after"], first["counted"]) == ("filler > left + right", 60, 62, 0)
    assert len(more) == 2, "it is said again with every further capacity"
    assert plant.wip[0] is None
    (event, *_) = [event for event in plant.events if event.type == "counter.fault"]
    assert event.subject == "line"


def test_after_a_fault_there_is_a_number_again_when_the_sum_comes_back() -> None:
    plant = Plant()
    for _ in range(62):
        plant.count["filler"] += 1
        plant.read_all()
    assert (len(plant.faults), plant.wip[0]) == (1, None)
    plant.count["left"] += 1
    plant.read_all()
    assert plant.wip[0] == 0
    plant.count["filler"] += 1
    plant.read_all()
    assert plant.wip[0] == 1


def test_what_an_outage_hid_is_between_bounds_that_narrow_again() -> None:
    """The labeler's counter was reset meanwhile: five parts are certain, and all that lay there may be gone."""
    plant = Plant()
    for _ in range(30):
        plant.count["filler"] += 1
        plant.read_all()
    plant.lose("left")
    plant.at += 600_000
    plant.count["left"] = 5
    plant.read_all()
    plant.read_all()
    assert (plant.wip[0], plant.bounds[0], plant.faults) == (None, (0, 25), [])
    ledger = plant.pipeline.ledger
    assert (ledger.used_up_at("left"), ledger.input_of("left")) == (30, 5), "what is counted lies there"
    for _ in range(40):
        plant.count["filler"] += 1
        plant.read_all()
    assert plant.bounds[0] == (40, 61), "nothing fits in but 60, and one of each machine"
    for _ in range(61):
        plant.count["right"] += 1
        plant.read_all()
    assert plant.wip[0] == 0


@pytest.mark.parametrize(("machine", "bounds"), [("filler", (3, 63)), ("right", (0, 3))])
def test_a_jump_leaves_any_number_that_fits(machine: str, bounds: tuple[int, int]) -> None:
    """What a feeding machine did not count came beside what is there; what a fed one did not is gone from there."""
    plant = Plant()
    plant.count["filler"] += 3
    plant.read_all()
    plant.count[machine] += 30_000
    plant.read_all()
    plant.read_all()
    assert [fault["signal"] for fault in plant.faults] == [f"{machine}_plc.count"]
    assert plant.bounds[0] == bounds
    assert plant.wip[0] is None


def test_parts_that_were_not_counted_may_leave_again_without_a_fault() -> None:
    """Of 60 that fit in, 50 came and 40 went; 35 more go, of which at least 25 came uncounted."""
    plant = Plant()
    for name, parts in (("filler", 50), ("left", 20), ("right", 20)):
        for _ in range(parts):
            plant.count[name] += 1
            plant.read_all()
    plant.count["filler"] += 30_000
    plant.read_all()
    for _ in range(35):
        plant.count["left"] += 1
        plant.read_all()
    assert [fault["signal"] for fault in plant.faults if not fault["signal"].startswith("left")] == ["filler_plc.count"]


def test_without_a_capacity_nothing_bounds_what_was_not_counted() -> None:
    plant = Plant(line(flow=None))
    plant.count["filler"] += 30_000
    plant.read_all()
    plant.read_all()
    assert plant.bounds[0] == (0, None)


steps = st.lists(
    st.tuples(
        st.sampled_from(["make"] * 12 + ["torn", "reset", "restart", "filler", "left", "right", "packer"]),
        *(st.integers(0, 2) for _ in MACHINES),
    ),
    max_size=60,
)


@given(steps, st.booleans(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_what_there_is_lies_within_the_bounds(
    steps: list[tuple[str, int, int, int, int]], starts_empty: bool, starts_rolling: bool
) -> None:
    """Never more than there is, and all of it once a link was empty; whatever was reset, torn, lost or off."""
    begins = 0 if starts_empty else 30
    true, lowest, plant = [begins, begins], [begins, begins], Plant(first=65_500 if starts_rolling else 20_000)
    for what, *wanted in steps:
        made = dict(zip(MACHINES, wanted, strict=True))
        made["filler"] = min(made["filler"], CAPACITY - true[0])
        for name in ("left", "right"):
            made[name] = min(made[name], true[0], CAPACITY - true[1])
            true = [true[0] - made[name], true[1] + made[name]]
        made["packer"] = min(made["packer"], true[1] // 6)
        true = [true[0] + made["filler"], true[1] - 6 * made["packer"]]
        for name in MACHINES:
            plant.count[name] += made[name]
        if what == "restart":
            plant.restart()
        elif what == "torn":
            plant.at += 1000
            plant.read("left", wrong=30_000)
        elif what == "reset" and 1000 < plant.count["right"] < 60_000:  # not to be taken for a step, or for a rollover
            plant.count["right"] = made["right"]
        elif what in MACHINES:
            plant.lose(what)
        plant.read_all()
        assert not plant.faults
        lowest = [min(pair) for pair in zip(lowest, true, strict=True)]
        for link, (low, high) in enumerate(plant.bounds):
            if low is None:
                continue
            assert high is not None
            above = true[link] - lowest[link]
            assert low <= above <= high
            assert plant.wip[link] == (low if low == high else None)
