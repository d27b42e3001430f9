"""The line that `flow` describes: links, stages, and where parts leave it."""

from __future__ import annotations

from gateway.config.flow import LinkConfig, topology


def link(*feeds: str, to: tuple[str, ...]) -> LinkConfig:
    return LinkConfig.model_validate({"from": feeds, "to": to})


def test_without_a_flow_each_machine_feeds_the_next() -> None:
    line = topology(["filler", "capper", "labeler"], None, None)
    assert [(one.feeders, one.fed) for one in line.links] == [(("filler",), ("capper",)), (("capper",), ("labeler",))]
    assert line.stages == (("filler",), ("capper",), ("labeler",))
    assert line.out == ("labeler",)
    assert line.is_line


def test_parallel_machines_are_one_stage() -> None:
    flow = [link("filler", to=("labeler_a", "labeler_b")), link("labeler_a", "labeler_b", to=("palletizer",))]
    line = topology(["filler", "labeler_a", "labeler_b", "palletizer"], flow, ["palletizer"])
    assert line.stages == (("filler",), ("labeler_a", "labeler_b"), ("palletizer",))
    assert line.out == ("palletizer",)


def test_branches_of_different_length_have_two_outlets() -> None:
    flow = [link("saw", to=("drill", "mill")), link("mill", to=("polish",))]
    line = topology(["polish", "mill", "drill", "saw", "compressor"], flow, None)
    assert line.stages == (("saw",), ("mill", "drill"), ("polish",))
    assert line.out == ("polish", "drill")


def test_an_empty_flow_is_of_independent_machines() -> None:
    line = topology(["press_1", "press_2"], [], None)
    assert not line.is_line
    assert line.stages == (("press_1", "press_2"),)
    assert line.out == ("press_1", "press_2")


def test_a_loop_still_has_stages() -> None:
    flow = [link("a", to=("b",)), link("b", to=("a",))]
    assert sorted(name for stage in topology(["a", "b"], flow, None).stages for name in stage) == ["a", "b"]
