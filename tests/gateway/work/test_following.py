"""Each machine has its own job, which comes along the flow: beside bottles of which each carries its order."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.model import Config
from gateway.work.queue import MOST_WAITING
from tests.gateway.work.bottles import CONFIG, MACHINES, Bottles, line

orders = st.tuples(st.sampled_from("ABC"), st.integers(1, 3))
rounds = st.lists(
    st.tuples(
        st.none() | st.none() | orders | st.just(("", 0)) | st.just("restart"),
        st.integers(0, 9), st.integers(0, 2), st.integers(0, 5), st.integers(0, 5), st.integers(0, 2),
    ),
    max_size=25,
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(rounds)
def test_every_part_is_counted_to_the_order_that_it_carries(
    story: list[tuple[object, int, int, int, int, int]],
) -> None:
    """On every machine, through splits, joins, cases, times without an order, and restarts."""
    line = Bottles()
    for what, filled, rejects, left, right, packed in story:
        line.fill(filled, min(filled, rejects))
        line.label("left", left)
        line.label("right", right)
        line.pack(packed)
        if what == "restart":
            line.restart()
        elif isinstance(what, tuple):
            line.begin(what)
        line.read_all()
    line.run_out()
    line.stop()
    for machine in MACHINES:
        assert +line.produced(machine) == +line.truly(machine), machine
    of_jobs = {task: 6 * cases for task, cases in line.truly("packer").items() if task[0] not in (None, "last")}
    assert line.ended == of_jobs


anything = st.lists(
    st.tuples(
        st.sampled_from(["", "", "", "restart", "torn", "reset", *MACHINES, "A", "B", "C"]),
        *(st.integers(0, 4) for _ in MACHINES),
        st.booleans(),
    ),
    max_size=15,
)


@settings(max_examples=15, deadline=None)
@given(anything, st.sampled_from([CONFIG, line(out=["left", "right"]), line(flow=[]), line(uncounted="left")]))
def test_jobs_sum_to_what_left_the_line_and_a_checkpoint_changes_nothing(
    story: list[tuple[str, int, int, int, int, bool]], config: Config
) -> None:
    """Over lost PLCs, torn readings, resets, and counters that fit no flow."""
    goes, stays = Bottles(config), Bottles(config)
    goes.commits = True
    for what, *made, is_restored in story:
        for one in (goes, stays):
            for name, count in zip(MACHINES, made, strict=True):
                one.count[name] += count
            _happen(one, what)
        if is_restored:
            goes.go_on()
        events = goes.read_all()
        assert stays.read_all() == events
    goes.go_on()
    whole = stays.pipeline.all_rows()
    assert goes.pipeline.all_rows() == whole
    assert goes.stored == {name: row for name, row in whole.items() if name in goes.stored}
    for number in range(2 * MOST_WAITING + 2):  # more than wait: those before have ended
        stays.begin((f"X{number}", 1))
        stays.read_all()
    stays.stop()
    out = [name for name in config.topology.out if config.machines[name].parts is not None]
    made_there = sum((6 if name == "packer" else 1) * sum(stays.produced(name).values()) for name in out)
    assert sum(stays.ended.values()) == made_there


def _happen(line: Bottles, what: str) -> None:
    if what == "restart":
        line.restart()
    elif what == "torn":
        line.read("left", line.count["left"] + 30_000)
    elif what == "reset":
        line.count["right"] = line.count["packer"] = 0
    elif what in MACHINES:
        line.lose(what)
    elif what:
        line.begin((what, 1 + ord(what) % 3))
