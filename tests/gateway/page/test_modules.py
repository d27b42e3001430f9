"""What the page computes before it draws, run by Node: stages of a flow, colours, times, numbers and texts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.gateway.page.node import copied, run


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(tmp_path_factory.mktemp("page"))


def test_machines_stand_behind_all_that_feed_them(modules: Path) -> None:
    """A line that splits onto two cappers and joins again; a by-pass; a ring, which no configuration has, ends."""
    stages, serial, independent, endless, into = run(
        modules,
        'import { linksInto, stagesOf } from "./flow.js";',
        """
        const links = [
          { from: ["filler"], to: ["capper_1", "capper_2"] },
          { from: ["capper_1", "capper_2"], to: ["labeler"] },
          { from: ["filler"], to: ["labeler"] },
        ];
        const there = { from: ["a"], to: ["b"] }, back = { from: ["b"], to: ["a"] };
        const stages = stagesOf(["labeler", "filler", "capper_1", "capper_2", "lone"], links);
        const into = stages.map((stage) => linksInto(stage, stages, links).length);
        const ring = stagesOf(["a", "b"], [there, back]).flat().sort();
        return [stages, stagesOf(["a", "b"], [there]), stagesOf(["b", "a"], []), ring, into];
        """,
    )
    assert stages == [["filler", "lone"], ["capper_1", "capper_2"], ["labeler"]]
    assert serial == [["a"], ["b"]]
    assert independent == [["b"], ["a"]]
    assert endless == ["a", "b"]
    assert into == [0, 1, 2]


def test_colours_follow_what_the_time_counts_as(modules: Path) -> None:
    """And whether the category says more than the state."""
    expected = {
        ("execute", "production"): ["run", False],
        ("stopped", "unplanned_stop"): ["stop", False],
        ("aborted", "unplanned_stop"): ["abort", False],
        ("stopped", "planned_stop"): ["off", True],
        ("execute", "unplanned_stop"): ["stop", True],
        ("suspended", "starved"): ["wait", True],
        ("undefined", "unknown"): ["unknown", False],
        ("held", "of_a_later_version"): ["unknown", True],
    }
    program = f"return {json.dumps(list(expected))}.map((one) => [toneOf(...one), isTelling(...one)]);"
    assert run(modules, 'import { isTelling, toneOf } from "./tone.js";', program) == list(expected.values())


def test_times_are_in_the_lines_zone(modules: Path) -> None:
    found = run(
        modules,
        'import * as f from "./format.js"; f.setZone("Europe/Berlin");',
        """
        const spring = Date.parse("2026-03-29T01:00:00Z"), noon = Date.parse("2026-11-23T12:00:00Z");
        return [f.clockOf("2026-11-23T16:05:09.900Z"), f.minuteOf(spring - 1), f.minuteOf(spring), f.clockOf(null),
          f.shortOf("2026-11-23T23:30:00Z", noon), f.shortOf("2026-11-23T16:05:00Z", noon)];
        """,
    )
    assert found == ["17:05:09", "01:59", "03:00", "–", "Tue, Nov 24 00:30", "17:05"]


def test_a_zone_that_the_browser_does_not_know_is_said(modules: Path) -> None:
    found = run(
        modules,
        'import * as f from "./format.js";',
        """
        f.setZone("Mars/Olympus");
        const strange = [f.minuteOf("2026-11-23T16:05:00Z"), f.zoneShown()];
        f.setZone("Asia/Tokyo");
        return [...strange, f.minuteOf("2026-11-23T16:05:00Z"), f.zoneShown()];
        """,
    )
    assert found[:2] == ["16:05", {"zone": "UTC", "isOther": True}]
    assert found[2:] == ["01:05", {"zone": "Asia/Tokyo", "isOther": False}]


def test_what_is_not_known_is_no_zero(modules: Path) -> None:
    durations, numbers, sizes, values = run(
        modules,
        'import * as f from "./format.js";',
        """
        const plain = [true, null, 119.52194, "<b>"].map((value) => ({ value }));
        const values = [...plain, { value: 3, text: "held" }];
        return [[0, 59.9, 60, 3599, 3600, 86400 * 3 + 7200, null, NaN, -5].map(f.durationOf),
          [f.percentOf(0.7805), f.percentOf(null), f.countOf(1234567), f.countOf(0), f.numberOf(null)],
          [999, 1500, 2e9, 0].map(f.bytesOf), values.map(f.valueOf)];
        """,
    )
    whole = ["0 s", "59 s", "1 min 00 s", "59 min 59 s", "1 h 00 min", "3 d 02 h"]
    assert durations == [*whole, "–", "–", "0 s"]
    assert numbers == ["78.1%", "–", "1,234,567", "0", "–"]
    assert sizes == ["999 B", "1.5 kB", "2 GB", "0 B"]
    assert values == ["true", "–", "119.5219", "<b>", "held"]


def test_a_text_is_filled_in_and_an_unknown_word_is_itself(modules: Path) -> None:
    found = run(
        modules,
        'import { t, word } from "./texts.js";',
        'return [t("stale.old", { time: "12:00" }), word("state", "held"), word("measure", "of_a_later_version")];',
    )
    assert found == ["What you see is from 12:00.", "held", "of a later version"]
