"""Each machine has its own job, which comes along the flow: beside bottles of which each carries its order."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.gateway.work.bottles import MACHINES, Bottles

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
