"""Files and templates put together: what it becomes, whose keys win, and the places of what is wrong in it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gateway.config.loader import load_config
from gateway.config.model import Config
from gateway.config.problems import ConfigProblems

HEAD = """
x-defaults: &defaults {settle: 500ms, short_stop: 3min}
line: {enterprise: acme, site: berlin, area: packing, name: line-7}
devices:
  plc:
    protocol: ethernet_ip
    host: 127.0.0.1
    signals:
      a_run: {tag: LabelerA.Running}
      a_count: {tag: LabelerA.Count, type: int32}
      b_run: {tag: LabelerB.Running}
      b_count: {tag: LabelerB.Count, type: int32}
buffer: {path: line.db}
"""
TEMPLATE = """
templates:
  labeler:
    <<: *defaults
    ideal: 500ms
    parts: {good: {signal: "plc.{x}_count", rollover: "{top}"}}
    states:
      - {state: execute, when: "plc.{x}_run", reason: "{x} runs"}
      - {state: stopped}
machines:
  labeler_a: {use: labeler, with: {x: a, top: 9999}}
  labeler_b: {use: labeler, with: {x: b, top: 0xffff}, ideal: 250ms}
"""


def load(folder: Path, text: str, **files: str) -> Config:
    for name, content in files.items():
        (folder / f"{name}.yaml").write_text(content)
    (folder / "line.yaml").write_text(text)
    return load_config(folder / "line.yaml").config


def test_a_template_is_a_machine_with_holes(tmp_path: Path) -> None:
    config = load(tmp_path, HEAD + TEMPLATE)
    first, second = config.machines.values()
    assert first.parts is not None
    assert first.parts.good is not None
    assert second.parts is not None
    assert second.parts.good is not None
    assert (first.parts.good.signal, first.parts.good.rollover) == ("plc.a_count", 9999)
    assert (second.parts.good.signal, second.parts.good.rollover) == ("plc.b_count", 65535)
    whens = [rule.when for machine in (first, second) for rule in machine.states]
    assert whens == ["plc.a_run", None, "plc.b_run", None]
    assert first.states[0].reason == "a runs"
    assert (first.ideal, second.ideal) == (500.0, 250.0), "a machine's own key wins"
    assert first.settle == second.settle == 500, "merges work in templates"


def test_it_is_the_same_as_written_out(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    machine = """
  labeler_{x}:
    settle: 500ms
    short_stop: 3min
    ideal: {ideal}
    parts: {{good: {{signal: plc.{x}_count, rollover: {top}}}}}
    states: [{{state: execute, when: plc.{x}_run, reason: {x} runs}}, {{state: stopped}}]"""
    both = [("a", "500ms", 9999), ("b", "250ms", 65535)]
    written = "machines:" + "".join(machine.format(x=x, ideal=ideal, top=top) for x, ideal, top in both)
    assert load(tmp_path, HEAD + TEMPLATE).digest == load(tmp_path / "other", HEAD + written).digest


def test_sections_of_other_files_are_merged(tmp_path: Path) -> None:
    (tmp_path / "plant").mkdir()
    (tmp_path / "plant" / "reasons.yaml").write_text("reasons: {40: no closures, 99: quality hold}\n")
    text = HEAD + TEMPLATE + "reasons: {17: cap jam}\ninclude: [plant/reasons.yaml, health.yaml]\n"
    config = load(tmp_path, text, health="health: {listen: off}\n")
    assert config.reasons == {17: "cap jam", 40: "no closures", 99: "quality hold"}
    assert config.health.address is None


def test_templates_may_come_from_another_file(tmp_path: Path) -> None:
    template, _, machines = TEMPLATE.partition("machines:")
    other = template.replace("<<: *defaults", "settle: 1s")
    config = load(tmp_path, f"{HEAD}machines:{machines}include: [templates.yaml]\n", templates=other)
    assert config.machines["labeler_a"].settle == 1000


def test_a_problem_is_where_it_was_written(tmp_path: Path) -> None:
    template, _, machines = TEMPLATE.partition("machines:")
    other = template.replace("<<: *defaults", "settle: soon")
    with pytest.raises(ConfigProblems) as raised:
        load(tmp_path, f"{HEAD}machines:{machines}include: [templates.yaml]\n", templates=other)
    assert [(Path(one.file).name, one.line, one.column, one.path) for one in raised.value.problems] == [
        ("templates.yaml", 4, 13, "machines.labeler_a.settle"),
        ("templates.yaml", 4, 13, "machines.labeler_b.settle"),
    ]


def test_aliases_in_a_template_do_not_explode(tmp_path: Path) -> None:
    bomb = "templates:\n  t:\n    x0: &x0 [lol]\n" + "".join(
        f"    x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]\n" for n in range(1, 12)
    )
    began = time.monotonic()
    with pytest.raises(ConfigProblems, match="aliases expand the file"):
        load(tmp_path, HEAD + bomb + "machines: {a: {use: t}}\n")
    assert time.monotonic() - began < 30
