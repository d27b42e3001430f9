"""Jobs that overlap on a line, with hand arithmetic: who works on what, when each ends, and what it made."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest

from gateway.checkpoint import pack, unpack
from gateway.inputs import Reload
from gateway.pipeline import Pipeline
from tests.gateway.work.bottles import CONFIG, MACHINES, Bottles, line


def began(line: Bottles, what: str = "job.started") -> list[tuple[str | None, float, int]]:
    """Job, seconds since the start at which it was told, and what it had made by then."""
    told = [event for event in line.events if event.type == what]
    return [(one.data["job"], (one.time - line.started) / 1000, one.data["total"]) for one in told]


def twelve_and_a_change(**settings: Any) -> Bottles:
    """At 1 s twelve bottles of A have left the filler; B is next."""
    line_of_four = Bottles(line(**settings))
    line_of_four.fill(12)
    line_of_four.begin(("B", 2))
    line_of_four.read_all()
    return line_of_four


def test_a_job_goes_through_the_line_behind_the_one_before_it() -> None:
    """Twelve of A lie before the labelers: their 13th bottle is B's. Two cases of A lie before the packer."""
    it = twelve_and_a_change()
    assert it.jobs == {"filler": "B", "left": "A", "right": "A", "packer": "A"}
    it.fill(8)
    it.label("left", 5)
    it.label("right", 7)
    it.read_all()
    assert it.jobs == {"filler": "B", "left": "A", "right": "A", "packer": "A"}, "all of A are in, and none of B"
    it.label("right", 1)
    it.read_all()
    assert it.jobs == {"filler": "B", "left": "B", "right": "B", "packer": "A"}, "B is wherever it can come from"
    it.label("left", 5)
    it.pack(2)
    it.read_all()
    assert (it.jobs["packer"], began(it, "job.ended")) == ("A", [])
    assert began(it) == [("A", 0.0, 0), ("B", 1.0, 0)]
    it.pack(1)
    it.read_all()
    assert began(it, "job.ended") == [("A", 5.0, 12)]
    it.stop()
    assert it.produced("packer") == {("A", "1"): 2, ("B", "2"): 1}
    assert it.produced("right") == {("A", "1"): 7, ("B", "2"): 1}


def test_what_one_reading_shows_is_the_earlier_jobs_first() -> None:
    """Nine of A and two of B in one reading of the left, after three on the right."""
    it = twelve_and_a_change()
    it.fill(3)
    it.label("right", 3)
    it.read_all()
    it.label("left", 11)
    it.read_all(wait=4000)
    it.stop()
    assert it.produced("left") == {("A", "1"): 9, ("B", "2"): 2}


def test_each_outlet_hands_over_for_itself() -> None:
    """Two lines of two: the labeler takes B with its third bottle, the packer with its third case, which ends A."""
    flow = [{"from": ["filler"], "to": ["left"]}, {"from": ["right"], "to": ["packer"]}]
    it = Bottles(line(flow=flow))
    it.count["filler"] += 2
    it.count["right"] += 12
    it.read_all(wait=4000)
    it.begin(("B", 2))
    it.read_all()
    for left, packer in ((2, 1), (1, 1), (1, 1)):
        it.count["left"] += left
        it.count["packer"] += packer
        it.read_all()
    assert began(it) == [("A", 0.0, 0), ("B", 5.0, 0)]
    assert began(it, "job.ended") == [("A", 8.0, 2 + 2 * 6)]
    (job,) = [it.pipeline.jobs.snapshot(it.at)]
    assert job is not None
    assert (job["job"], job["total"]) == ("B", 2 + 6)


@pytest.mark.parametrize("settings", [{"flow": []}, {"uncounted": "filler"}])
def test_without_a_ledger_a_job_is_taken_at_once(settings: dict[str, Any]) -> None:
    it = twelve_and_a_change(**settings)
    others = {"packer": "A"} if settings.get("uncounted") else {}
    assert it.jobs == {**dict.fromkeys(MACHINES, "B"), **others}, "what the labelers feed is counted again"


def test_after_a_fault_of_the_ledger_a_job_is_taken_at_once() -> None:
    """Nothing is said to lie before the labelers where more would than fits."""
    flow = [
        {"from": ["filler"], "to": ["left", "right"], "capacity": 20},
        {"from": ["left", "right"], "to": ["packer"]},
    ]
    it = Bottles(line(flow=flow))
    for _ in range(8):
        it.fill(6)
        it.read_all()
    assert it.told("counter.fault")
    it.begin(("B", 2))
    it.read_all()
    assert it.jobs["left"] == it.jobs["right"] == "B"


def test_a_machine_that_gets_nothing_stays_with_its_job() -> None:
    it = twelve_and_a_change()
    for _ in range(5):
        it.fill(3)
        it.read_all()
    assert it.jobs == {"filler": "B", "left": "A", "right": "A", "packer": "A"}
    assert began(it, "job.ended") == []


def test_two_changes_before_the_first_has_come_through() -> None:
    """12 of A, 3 of B, 5 of C through one labeler: 10, 3 and 3 in its second reading, which ends B on it too."""
    it = twelve_and_a_change()
    it.fill(3)
    it.begin(("C", 3))
    it.read_all()
    it.fill(5)
    it.label("left", 2)
    it.read_all()
    it.label("left", 16)
    it.read_all(wait=6000)
    assert it.jobs == {"filler": "C", "left": "C", "right": "C", "packer": "A"}
    it.pack(3)
    it.read_all(wait=10_000)
    it.stop()
    assert it.produced("left") == {("A", "1"): 12, ("B", "2"): 3, ("C", "3"): 3}
    assert [(job["job"], job["total"]) for job in it.told("job.ended")] == [("A", 12), ("B", 0)]
    assert it.produced("packer") == {("A", "1"): 2, ("C", "3"): 1}, "a case with one bottle of C is one of C"


def test_another_ideal_of_the_filler_is_no_change_of_job() -> None:
    it = twelve_and_a_change()
    it.speed = 100
    it.read_all()
    assert it.pipeline.snapshot()["filler"]["ideal_s"] == 0.6
    it.label("left", 12)
    it.pack(2)
    it.read_all(wait=5000)
    assert began(it, "job.ended") == [], "all of A is packed, and nothing of B has come"


def test_two_changes_in_one_reading_of_an_outlet() -> None:
    """The labeler is the outlet: what it took in together is 12 of A, 3 of B and one of C."""
    it = twelve_and_a_change(out=["left"])
    it.fill(3)
    it.begin(("C", 3))
    it.read_all()
    it.fill(1)
    it.label("left", 16)
    it.read_all(wait=6000)
    assert [(job["job"], job["total"]) for job in it.told("job.ended")] == [("A", 12), ("B", 3)]


def test_a_forecast_is_of_the_job_that_begins_not_of_those_that_machines_work_on() -> None:
    """120 bottles of product 4 are 20 cases of 6 s each; the packer still packs product 1, a case in half a second."""
    it = Bottles()
    it.begin(("B", 4))
    it.read_all()
    (_, started) = it.told("job.started")
    assert (started["job"], it.pipeline.snapshot()["packer"]["product"]) == ("B", "1")
    assert (started["began"], started["forecast_end"]) == ("2026-11-23T07:00:01.000Z", "2026-11-23T07:02:01.000Z")


def test_a_line_that_is_empty_has_no_job_at_once() -> None:
    it = Bottles()
    it.begin(("", 0))
    it.read("filler")
    assert it.jobs == dict.fromkeys(MACHINES, None)


def test_an_outlet_that_counts_anew_owes_its_job_nothing() -> None:
    """Its counter was not configured for a while: what is counted from then on is of the job that runs."""
    it = Bottles()
    it.fill(12)
    it.label("left", 12)
    it.pack(2)
    it.begin(("B", 1))
    it.read_all(wait=5000)
    it.fill(6)
    it.label("left", 6)
    it.pack(1)
    it.read_all()
    rows = it.pipeline.all_rows()
    rows["machine/packer"] = pack({**unpack(rows)["machine/packer"], "parts": None})
    it.pipeline = Pipeline(CONFIG)
    it.pipeline.restore(rows)
    it.read_all()
    it.count["packer"] += 1
    it.read_all()
    job = it.pipeline.jobs.snapshot(it.at)
    assert job is not None
    assert (job["job"], job["total"]) == ("B", 6)


def test_a_job_with_none_behind_it_ends_with_its_last_bottle() -> None:
    """No bottle of no job will come: the labelers have none when the twelfth is in, the packer when it is packed."""
    it = Bottles()
    it.fill(12)
    it.begin(("", 0))
    it.read_all()
    it.label("left", 11)
    it.read_all(wait=4000)
    assert it.jobs == {"filler": None, "left": "A", "right": "A", "packer": "A"}
    it.label("left", 1)
    it.pack(1)
    it.read_all()
    assert it.jobs == {"filler": None, "left": None, "right": None, "packer": "A"}
    it.pack(1)
    it.read_all()
    assert began(it, "job.ended") == [("A", 7.0, 12)]
    assert it.pipeline.jobs.snapshot(it.at) is None
    it.begin(("B", 1))
    it.fill(6)
    it.read_all()
    it.fill(1)
    it.label("left", 6)
    it.read_all()
    assert it.jobs == {"filler": "B", "left": None, "right": None, "packer": None}, "these six were made without a job"
    it.label("left", 1)
    it.read_all()
    assert it.jobs == {"filler": "B", "left": "B", "right": "B", "packer": None}


def test_a_plc_that_was_lost_over_the_change_shows_both_jobs_when_it_is_back() -> None:
    """The packer packs two cases of A and one of B while nobody sees it: each job's window has its own."""
    it = twelve_and_a_change()
    it.lose("packer")
    it.fill(10)
    it.label("left", 12)
    it.label("right", 8)
    it.pack(3)
    it.at += 5000
    for name in MACHINES[:3]:
        it.read(name)
    assert it.jobs == {"filler": "B", "left": "B", "right": "B", "packer": "A"}
    it.read("packer")
    assert it.jobs["packer"] == "B"
    assert began(it, "job.ended") == [("A", 6.0, 12)]
    recovered = [(d["job"], d["recovered"]) for d in it.told("machine.production") if d["recovered"] and d["unit"]]
    assert recovered[-2:] == [("A", 2), ("B", 1)]
    it.read_all()
    it.events += it.pipeline.finish()
    windows = [d for d in it.told("machine.kpi") if d["window"] == "job" and d["kpi"].startswith("packer")]
    assert [(one["job"], one["pq"]) for one in windows] == [("A", 2), ("B", 1)]
    assert [one["recovered"] for one in windows] == [0, 0], "they are in the windows, and not beside them"


def test_a_reset_of_a_counter_delays_a_job_by_what_it_hid_at_most() -> None:
    """Twelve before the labelers; the left one has taken two when its counter is set to 0, which hides a third."""
    it = twelve_and_a_change()
    it.label("left", 2)
    it.read_all()
    it.fill(6)
    it.count["left"] = 0
    it.read_all()
    it.label("left", 10)
    it.read_all(wait=5000)
    it.read_all()
    assert it.jobs["left"] == "A", "twelve were counted"
    it.label("left", 1)
    it.read_all()
    assert it.jobs["left"] == "B"


def test_a_checkpoint_of_another_flow_learns_anew_what_lies_before_a_machine() -> None:
    it = twelve_and_a_change()
    it.config = line(flow=[{"from": ["filler"], "to": ["left"]}])
    it.restart()
    for name in MACHINES:
        it.read(name)
    assert it.jobs == dict.fromkeys(MACHINES, "B"), "nothing is known to have lain before the left labeler alone"


def test_sections_that_are_gone_leave_no_job_to_wait_for() -> None:
    it = twelve_and_a_change()
    rows = it.pipeline.all_rows()
    it.config = line(planned=False)
    it.pipeline = Pipeline(it.config)
    it.pipeline.restore(rows)
    it.label("left", 12)
    it.fill(1)
    it.read_all(wait=5000)
    it.label("left", 1)
    it.read_all()
    assert set(it.jobs.values()) == {None}
    assert {one["product"] for one in it.pipeline.snapshot().values()} == {None}


def test_what_was_made_before_a_job_was_known_is_not_its_own() -> None:
    """Rows of the machines without that of the line's job: it begins anew, with nothing."""
    it = Bottles()
    it.fill(12)
    it.label("left", 12)
    it.pack(2)
    it.read_all(wait=5000)
    rows = it.pipeline.all_rows()
    del rows["job"]
    it.pipeline = Pipeline(CONFIG)
    it.pipeline.restore(rows)
    it.read_all()
    job = it.pipeline.jobs.snapshot(it.at)
    assert job is not None
    assert (job["job"], job["total"]) == ("A", 0)


def test_a_product_that_becomes_known_is_what_was_made_all_along() -> None:
    """The recipe says nothing until six bottles lie before the labelers: nothing is changed over to it."""
    it = Bottles(order=("A", 0))
    it.fill(6)
    it.read_all()
    it.begin(("A", 1))
    it.read_all()
    assert {one["product"] for one in it.pipeline.snapshot().values()} == {"1"}


def test_a_correction_of_the_job_before_is_taken_from_the_next_one() -> None:
    """300 of A, one of B; two fewer were A's, so that B made none, and C four of its five."""
    it = Bottles(line(flow=[], out=["left"]))
    for order, counts in (("A", [300]), ("B", [1, -2]), ("C", [5]), ("D", [0])):
        it.begin((order, 1))
        it.read_all()
        for count in counts:
            it.count["left"] += count
            it.read_all(wait=60_000)
            it.read_all()
    assert [(job["job"], job["total"]) for job in it.told("job.ended")] == [("A", 300), ("B", 0), ("C", 4)]


def test_what_one_machine_learns_from_anothers_reading_is_stored() -> None:
    """The labelers take B with the left one's reading, from which on two cases of A lie before the packer."""
    it = twelve_and_a_change()
    it.fill(1)
    it.label("left", 13)
    it.read("filler")
    it.go_on()
    it.at += 5000
    it.read("left")
    it.stored |= it.pipeline.checkpoint()
    whole = it.pipeline.all_rows()
    stored = {name: row for name, row in it.stored.items() if row}
    assert stored == {name: row for name, row in whole.items() if name in stored}
    (coming,) = unpack(it.stored)["machine/packer"]["work"]["queue"]["waiting"]
    assert coming[:2] == ["B", "2"]
    assert coming[3] == 12
    it.go_on()
    assert it.pipeline.all_rows() == whole


def test_after_a_crash_a_job_that_is_on_its_way_has_not_ended() -> None:
    """Only what was committed with the events of the change is left; a PLC that says nothing of it is read first."""
    it = Bottles()
    it.fill(12)
    it.read_all()
    it.stored |= it.pipeline.checkpoint()
    it.commits = True
    it.begin(("B", 1))
    it.read("filler")
    it.pipeline = Pipeline(CONFIG)
    it.pipeline.restore(it.stored)
    it.at += 2000
    it.give(Reload(it.at, 0))
    it.read("left")
    it.read_all()
    assert [job["job"] for job in it.told("job.started")] == ["A", "B"]
    assert it.told("job.ended") == []


def test_an_older_checkpoint_has_one_job_and_no_queues() -> None:
    """As it was stored when all machines took a job at once: what the outlets had made before it counts for nothing."""
    it = Bottles()
    it.fill(12)
    it.label("left", 12)
    it.pack(2)
    it.read_all(wait=5000)
    rows = it.pipeline.all_rows()
    for name in MACHINES:
        row = unpack(rows)[f"machine/{name}"]
        del row["work"]["queue"]
        rows[f"machine/{name}"] = msgpack.packb(row)
    (job,) = unpack(rows)["job"]["jobs"]
    old = {key: job[key] for key in ("job", "product", "began", "began_text", "target", "due", "is_told")}
    rows["job"] = pack({"job": {**old, "before": [6, 6, 0]}})
    it.pipeline = Pipeline(CONFIG)
    it.pipeline.restore(rows)
    it.give(Reload(it.at, 0))
    it.begin(("B", 1))
    it.read_all()
    it.fill(6)
    it.label("left", 6)
    it.pack(1)
    it.read_all()
    assert [(job["job"], job["total"], job["good"]) for job in it.told("job.ended")] == [("A", 6, 6)]
