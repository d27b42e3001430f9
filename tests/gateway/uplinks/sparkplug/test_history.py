"""History: what happened while nobody listened comes afterwards, marked, in order, and is not taken for the present."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson

from tests.gateway.uplinks.sparkplug.recording import Recording, chains
from tests.peers.mqtt_tap import PUBLISH


def past(recording: Recording, stage: str) -> list[dict[str, Any]]:
    """All metrics of a stage's data."""
    return [metric for one in recording.of(stage, "NDATA", "DDATA") for metric in one["payload"]["metrics"]]


def test_what_was_missed_comes_as_history(recording: Recording) -> None:
    """Each state of that time, with the time at which it began."""
    states = [(one["timestamp"], one["value"]) for one in past(recording, "history") if one["name"] == "state"]
    wanted: list[tuple[int, str]] = []
    for event in recording.notes["away"]:
        data = orjson.loads(event.data)
        if event.type == "machine.state":
            began = round(datetime.fromisoformat(data["began"]).timestamp() * 1000)
            if (began, data["state"]) not in wanted:
                wanted.append((began, data["state"]))
    assert {value for _, value in wanted} == {"execute", "held"}
    assert set(wanted) <= set(states) | {wanted[-1]}, "the last is what the births say"
    assert all(one["isHistorical"] for one in past(recording, "history"))


def test_history_is_in_order(recording: Recording) -> None:
    """But for figures of a window that was told anew: they come when they were, with the window's time."""
    for stage in ("backlog", "history"):
        for name, stamps in chains(past(recording, stage)):
            assert stamps == sorted(stamps) or name.startswith("kpi/"), (stage, name)


def test_history_does_not_touch_the_present(recording: Recording) -> None:
    before, after = (recording.known[stage]["devices"]["filler"]["tags"] for stage in ("born again", "history"))
    assert before["state"] == after["state"]
    assert (after["state"]["value"], before["signals/filler_plc/speed"]["value"]) == ("execute", 93.0)
    assert len(recording.known["history"]["devices"]["filler"]["history"]) > 10


def test_figures_of_windows_that_ended_are_history(recording: Recording) -> None:
    """At the window's end, of machines and of the line; and counters as they stood at the end of a minute."""
    filler = recording.known["backlog"]["devices"]["filler"]["history"]
    hours = {one["timestamp"] for one in filler if one["name"] == "kpi/hour/pq"}
    assert len(hours) >= 1
    assert all(stamp % 3_600_000 == 0 for stamp in hours)
    counters = [one["value"] for one in filler if one["name"] == "signals/filler_plc/bottles"]
    assert len(counters) > 100
    assert counters == sorted(counters)
    assert any(one["name"].startswith("kpi/hour/") for one in recording.known["backlog"]["history"])


def test_an_event_counts_once_a_later_message_is_acknowledged(recording: Recording) -> None:
    """The proofs: QoS 1, outside Sparkplug's topics, behind what they prove, with the number up to which they do."""
    published = recording.tap.of(PUBLISH)
    proofs = [number for number, one in enumerate(published) if one.topic.endswith("/proof")]
    topic = "linegate/acme/berlin/filling/line-3/scada/proof"
    assert {(one.topic, one.qos) for one in published if "/proof" in one.topic} == {(topic, 1)}
    seqs = [orjson.loads(published[number].payload)["seq"] for number in proofs]
    assert seqs[0] is None, "the births were proven before anything else"
    numbers = [int(seq) for seq in seqs if seq is not None]
    assert numbers == sorted(numbers)
    assert numbers[-1] == recording.notes["away"][-1].seq
