"""Loading: good files, notes, places of what is merged, and files that cannot be read."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from gateway.config.loader import MAX_BYTES, Loaded, load_config
from gateway.config.model import SignalReason
from gateway.config.problems import ConfigProblems
from gateway.uplinks.mqtt.config import MqttUplink

ROOT = Path(__file__).parents[3]
BASE = (Path(__file__).parent / "base.yaml").read_text()
Load = Callable[[str], Loaded]
RULES = "machines:\n  m:\n    states:\n"


def problems(load: Load, text: str) -> list[str]:
    """The problems of a text, without the file's name."""
    with pytest.raises(ConfigProblems) as raised:
        load(text)
    return [str(problem).partition("line.yaml:")[2] for problem in raised.value.problems]


def test_the_commented_example_is_loaded_as_it_reads() -> None:
    config = load_config(ROOT / "config" / "line.yaml").config
    plc, filler = config.devices["filler_plc"], config.machines["filler"]
    assert (plc.endpoint, plc.scan_interval, plc.timeout) == ("192.168.0.10:502", 250, 1000)
    assert list(plc.signals)[1:4] == ["running", "infeed_ready", "estop"]
    assert (plc.signals["level"].scale, plc.signals["level"].offset) == (0.1, -40.0)
    assert (filler.ideal, filler.settle, filler.short_stop) == (500.0, 250, 120_000)
    assert filler.parts is not None
    (_, rejects), (_, underfill) = [one for one in filler.parts.counters if one[0][0] == "scrap"]
    assert rejects.max_rate == pytest.approx(80.0)
    assert (underfill.reason, filler.parts.each, filler.cycle and filler.cycle.unit_ms) == (23, 1, 1)
    assert filler.states[1].reason == SignalReason(signal="filler_plc.fault")
    assert (filler.reasons[17], config.reasons[99]) == ("cap jam", "quality hold")
    plant = config.uplinks["plant"]
    assert isinstance(plant, MqttUplink)
    assert (plant.from_, plant.user) == ("oldest", "line-3")


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda path: path.name)
def test_every_shipped_example_is_good(path: Path) -> None:
    assert load_config(path).config.devices


def test_notes_say_what_may_not_be_meant(load: Load) -> None:
    loaded = load(
        BASE + "machines:\n  m: {states: [{state: idle, when: plc.run}], parts: {total: plc.speed}}\n"
        "uplinks: {a: {type: file, path: a}}\n"
    )
    notes = [re.sub(r"^.*line\.yaml:", "", note) for note in loaded.notes]
    assert notes == [
        "14:16: machines.m.states.0: the last rule has a `when`: where no rule holds, the state is undefined",
        "14:62: machines.m.parts.total: plc.speed is a floating-point number: exact to 16,777,216 only",
    ]


@pytest.mark.parametrize(
    ("machine", "place", "told"),
    [
        ("parts: {total: plc.fault}, ideal: 1s", "parts.total", "a part takes 1000ms: all are counted, but no cycle"),
        ("parts: {total: plc.fault}, ideal: 2s", None, None),
        (
            "parts: {good: {signal: plc.fault, each: 12}}, ideal: 1s",
            "parts.good.signal",
            "a scan_interval of at most 500ms",
        ),
        (
            "parts: {total: plc.fault}, ideal: 1s, cycle: {signal: plc.speed, unit: ms}",
            "cycle.signal",
            "plc.speed is read every 1s and a part takes 1000ms: cycles are missed; a scan_interval of at most 500ms",
        ),
        ("parts: {total: plc.fault}", None, None),
    ],
)
def test_a_scan_that_cannot_see_single_parts_is_noted(
    machine: str, place: str | None, told: str | None, load: Load
) -> None:
    text = f"{BASE}machines:\n  m: {{states: [{{state: idle}}], {machine}}}\nuplinks: {{a: {{type: file, path: a}}}}\n"
    notes = load(text).notes
    assert [(f"machines.m.{place}: " in note, str(told) in note) for note in notes] == [(True, True)] * (
        place is not None
    )


def test_the_fastest_product_decides_what_a_scan_can_see(load: Load) -> None:
    products = "products: {signal: plc.speed, list: {a: {ideal: 1500ms}, b: {ideal: {m: 900ms}}}}"
    text = f"{BASE}{products}\nmachines:\n  m: {{states: [{{state: idle}}], parts: {{total: plc.fault}}}}\n"
    (note,) = [note for note in load(text).notes if "is read every" in note]
    assert "a part takes 900ms" in note


@pytest.mark.parametrize(
    ("late", "overlaps"),
    [('"14:00"', False), ('"13:45"', True), ('"05:00"', True)],
    ids=["after", "handover", "around"],
)
def test_shifts_that_overlap_are_noted(load: Load, late: str, overlaps: bool) -> None:
    shifts = f'{{early: {{days: [mon], from: "06:00", to: "14:00"}}, late: {{days: [mon], from: {late}, to: "22:00"}}}}'
    notes = load(BASE + f"calendar: {{shifts: {shifts}}}\n").notes
    assert ["overlaps with early" in note for note in notes] == [True] * overlaps


def test_a_path_that_may_be_another_ones_is_noted(load: Load) -> None:
    uplinks = "uplinks: {a: {type: file, path: /nowhere/line.db-wal}, b: {type: file, path: /nowhere/aline.db}}\n"
    (note,) = load(BASE + uplinks).notes
    assert note.endswith(
        "uplinks.a.path: the buffer writes a file of this name too; choose another if both are in the state directory"
    )


def test_two_names_for_one_device_are_noted(load: Load) -> None:
    twin = "  twin: {protocol: modbus_tcp, host: 10.0.0.1, signals: {a: {address: 'coil:9'}}}\nbuffer:"
    assert (
        load(BASE.replace("buffer:", twin))
        .notes[0]
        .endswith("12:3: devices.twin: reads the same device as plc (10.0.0.1:502 unit 1); is that meant?")
    )
    other_unit = twin.replace("host:", "unit_id: 2, host:")
    assert load(BASE.replace("buffer:", other_unit)).notes == []


def test_own_keys_may_stand_anywhere(load: Load) -> None:
    own = BASE.replace("protocol:", "x-note: {any: [thing]}\n    protocol:")
    own = own.replace("run: {", "x-group: 5\n      run: {x-pin: X1.4, ").replace("devices:\n", "devices:\n  x-a: 1\n")
    assert load(own + "x-b: 1\n").config == load(BASE).config


def test_anchors_aliases_and_merges(load: Load) -> None:
    text = BASE.replace("      run:", "      x-word: &word {type: uint16, unit: mm}\n      run:")
    text = text.replace(
        'count: {address: "holding:4", type: uint32}', 'count: {<<: *word, address: "holding:4", unit: m}'
    )
    signal = load(text).config.devices["plc"].signals["count"]
    assert (signal.type, signal.unit, signal.place) == ("uint16", "m", "holding:4")
    listed = text.replace("<<: *word,", "<<: [{unit: km, deadband: 2}, *word],").replace(", unit: m}", "}")
    signal = load(listed).config.devices["plc"].signals["count"]
    assert (signal.type, signal.unit, signal.deadband) == ("uint16", "km", 2.0)


def test_the_place_of_a_merged_value_is_where_it_was_written(load: Load) -> None:
    text = "x-d: &d {settle: soon}\n" + BASE + "machines:\n  m: {<<: *d, states: [{state: idle}]}\n"
    assert problems(load, text)[0].startswith("1:18: machines.m.settle: ")


@pytest.mark.parametrize(
    "scalar",
    [
        "plc.run and plc.nope",
        "'plc.run and plc.nope'",
        '"plc.run and plc.nope"',
        "'plc.text == ''it'' or plc.nope'",
        '"plc.text == \\"it\\" or plc.nope"',
        "\"plc.text == '\\u00e4\\x41\\U0001F600\\t' or plc.nope\"",
        "plc.text == 'ä\U0001f600' or plc.nope",
        "   plc.nope",
    ],
)
def test_the_column_within_a_condition_is_exact(load: Load, scalar: str) -> None:
    text = BASE + RULES + f"      - {{state: held, when: {scalar}}}\n      - {{state: idle}}\n"
    at = next(f"{n}:{line.index('plc.nope') + 1}" for n, line in enumerate(text.split("\n"), 1) if "plc.nope" in line)
    [problem] = problems(load, text)
    assert problem.startswith(f"{at}: machines.m.states.0.when: plc.nope is not a signal; plc has plc.run, plc.fault")


def test_a_broken_device_raises_no_false_alarm(load: Load) -> None:
    text = BASE.replace("host: 10.0.0.1", "hots: 10.0.0.1") + RULES + "      - {state: held, when: plc.fault > 3}\n"
    assert [line.split(": ")[1] for line in problems(load, text)] == ["devices.plc.host", "devices.plc.hots"]
    nowhere = BASE.partition("    signals:")[0] + "    signals: 5\nbuffer: {path: a}\n" + RULES
    text = nowhere + "      - {state: held, when: plc.any > 3 and plk.x}\n"
    assert [line.split(": ")[1] for line in problems(load, text)] == ["devices.plc.signals", "machines.m.states.0.when"]


def test_a_broken_rule_raises_no_false_alarm(load: Load) -> None:
    text = BASE + RULES + "      - {state: held, when: [plc.run], reason: jam}\n      - {state: idle}\n"
    assert len(problems(load, text)) == 1


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "No such file or directory"),
        (lambda path: path.mkdir(), "Is a directory"),
        (lambda path: path.write_bytes(b"#" * (MAX_BYTES + 1)), "larger than 10 MB"),
        (lambda path: path.write_bytes(b"\xff\xfel\x00"), "the byte 0xff is not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, make: Any, words: str) -> None:
    path = tmp_path / "line.yaml"
    make(path)
    with pytest.raises(ConfigProblems, match=words) as raised:
        load_config(path)
    assert str(raised.value).startswith(f"{path}:1:1: ")


def test_windows_files_are_read(load: Load) -> None:
    assert load("\ufeff" + BASE.replace("\n", "\r\n")).config == load(BASE).config
    text = "\ufeff" + (BASE.replace("acme", "a/b") + RULES + "      - {state: held, when: 'plc.nope'}\n").replace(
        "\n", "\r\n"
    )
    places = [problem.partition(": ")[0] for problem in problems(load, text)]
    assert places == ["1:20", "16:30"]


def test_two_halves_of_a_character_are_one_as_in_json(load: Load) -> None:
    text = BASE.replace("site: berlin", r'site: "\ud83d\ude00"') + r'reasons: {"\ud83d\ude00": "a"}'
    config = load(text).config
    assert (config.line.site, dict(config.reasons)) == ("\U0001f600", {"\U0001f600": "a"})


def test_five_thousand_signals_load_in_seconds(load: Load) -> None:
    signals = "".join(
        f'      s{n}: {{address: "holding:{2 * n}", type: float32, unit: mm, deadband: 0.5}}\n' for n in range(100)
    )
    device = f"    protocol: modbus_tcp\n    host: 10.0.0.1\n    signals:\n{signals}"
    line, _, _ = BASE.partition("devices:")
    text = (
        line
        + "devices:\n"
        + "".join(f"  plc{n}:\n    unit_id: {n}\n{device}" for n in range(50))
        + "buffer: {path: a}\n"
    )
    began = time.process_time()
    loaded = load(text)
    assert time.process_time() - began < 15  # 2 to 3 on a slow machine; quadratic work would take minutes
    assert sum(len(device.signals) for device in loaded.config.devices.values()) == 5000


def outcome(load: Load, text: str) -> Loaded | ConfigProblems:
    """Either it loads or it says why: nothing else is raised."""
    try:
        return load(text)
    except ConfigProblems as found:
        return found


ANY = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
WORDS = st.from_regex(
    "line|devices|machines|buffer|uplinks|plc|protocol|modbus_tcp|signals|address|coil:0|type|states|state|when|reason|"
    "parts|total|path|health|listen|file|mqtt|url|topic|user|password|credential|tls|settle|5s|2GB|x-a|plc.run|"
    "modbus_rtu|modbus_tls|serial|baud|coalesce|on|bits|invalid|texts|reasons|encoding|scan_interval|in_flight|pause",
    fullmatch=True,
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS | st.just(10**400)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=5), inner, max_size=6)
)


@ANY
@given(st.text(alphabet=st.sampled_from("ab:-{}[]&*!|>'\"%@`#\n\t ,?0.<\\\u2028\x85ä")))
def test_any_text_loads_or_is_explained(load: Load, text: str) -> None:
    outcome(load, text)


@ANY
@given(st.data())
def test_any_values_in_any_section_load_or_are_explained(load: Load, data: st.DataObject) -> None:
    document = YAML(typ="safe", pure=True).load(BASE)
    document["machines"] = {"m": {"states": [{"state": "idle", "when": "plc.run"}], "parts": {"total": "plc.count"}}}
    document["uplinks"] = {"u": {"type": "mqtt", "url": "mqtt://h", "user": "u", "password": {"env": "E"}}}
    place = document
    while data.draw(st.booleans()) and any(isinstance(value, (dict, list)) and value for value in values(place)):
        place = data.draw(
            st.sampled_from([value for value in values(place) if isinstance(value, (dict, list)) and value])
        )
    key = data.draw(st.sampled_from(list(place)) | WORDS) if isinstance(place, dict) else 0
    place[key] = data.draw(VALUES)
    outcome(load, flow(document))


def values(place: Any) -> list[Any]:
    """What stands in a mapping or a list."""
    return list(place.values()) if isinstance(place, dict) else list(place)


def flow(value: Any) -> str:
    """A value as YAML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{flow(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, float):
        return {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}.get(str(value), str(value))
    return "9" * 400 if value == 10**400 else json.dumps(value)


@pytest.mark.parametrize("where", ["password", "user", "tls", "pasword", "url"])
@pytest.mark.parametrize(
    "secret",
    [
        "geheim-17",
        "{env: geheim-17=}",
        "[geheim-17]",
        "{credential: /geheim-17}",
        "{geheim-17}",
        "17.5e17",
        "!geheim-17",
        "@geheim-17",
        "*geheim-17",
        "{env: x, file: geheim-17}",
        "mqtt://u:geheim-17@h",
        "mqtt://u:geheim-17@h:x",
    ],
)
def test_a_secret_in_the_wrong_place_is_never_repeated(
    load: Load, where: str, secret: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    uplink = {"type": "mqtt", "url": "mqtt://h", "user": "u", "password": "{env: E}"} | {where: secret}
    text = BASE + f"uplinks: {{u: {{{', '.join(f'{key}: {value}' for key, value in uplink.items())}}}}}\n"
    result = outcome(load, text)
    if isinstance(result, Loaded):
        assert where == "user"  # any text is a user's name
        return
    said = str(result) + repr(result) + repr(result.problems) + caplog.text + "".join(capfd.readouterr())
    assert "geheim-17" not in said or (where, secret) == ("tls", "{geheim-17}")  # there a key, as keys are shown
    assert "17.5" not in said
