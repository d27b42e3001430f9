"""`linegate check`: what it writes and how it exits."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from gateway.check import check_file, load_or_exit, missing_secrets
from gateway.config.loader import load_config

BASE = (Path(__file__).parent / "base.yaml").read_text()
MQTT = "uplinks:\n  plant: {type: mqtt, url: 'mqtts://h', user: {env: LINE_USER}, password: {env: LINE_PASSWORD}}\n"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LINE_USER", raising=False)
    monkeypatch.delenv("LINE_PASSWORD", raising=False)
    return Path("line.yaml")


def checked(file: Path, text: str) -> tuple[int, str]:
    file.write_text(text)
    out = io.StringIO()
    return check_file(file, out), out.getvalue()


def test_a_good_file_is_summed_up(file: Path) -> None:
    code, said = checked(file, BASE)
    digest = load_config(file).config.digest
    assert (code, said) == (
        0,
        f"line.yaml: good: 1 device, 5 signals, 0 machines, 0 uplinks; configuration {digest}\n",
    )


def test_missing_secrets_do_not_make_it_bad(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINE_USER", "somebody")
    code, said = checked(file, BASE + MQTT)
    assert code == 0
    warning, summary = said.splitlines()
    assert warning == (
        "line.yaml: uplinks.plant.password: the environment variable LINE_PASSWORD is not set; "
        "set it in the unit or the shell (warning)"
    )
    assert summary.startswith("line.yaml: good: 1 device, 5 signals, 0 machines, 1 uplink;")


def test_pins_are_secrets_of_four_characters_at_least(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANNA", "123")
    monkeypatch.setenv("BEN", "1234")
    pins = ", ".join(f"{{name: {name}, pin: {{env: {name.upper()}}}}}" for name in ("anna", "ben", "clara"))
    code, said = checked(file, BASE + f"health: {{operators: [{pins}]}}\n")
    assert code == 0
    too_short, missing, _ = said.splitlines()
    assert too_short == (
        "line.yaml: health.operators.0.pin: the PIN in the environment variable ANNA is too short; "
        "a PIN has at least 4 characters (warning)"
    )
    assert missing.startswith("line.yaml: health.operators.2.pin: the environment variable CLARA is not set;")


def test_a_bad_file_shows_every_problem_and_exits_2(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = BASE.replace("acme", "acme/eu").replace("host:", "hots:")
    code, said = checked(file, text)
    assert code == 2
    assert [line.split(" ")[0] for line in said.splitlines()] == [
        "line.yaml:1:20:",
        "line.yaml:3:3:",
        "line.yaml:5:5:",
        "line.yaml:",
    ]
    assert said.endswith("line.yaml: 3 problems\n")
    with pytest.raises(SystemExit) as left:
        load_or_exit(file)
    assert left.value.code == 2
    assert capsys.readouterr().err == said


def test_secrets_that_are_there_are_not_missed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(BASE + MQTT)
    config = load_or_exit(file)
    assert [path for path, _ in missing_secrets(config)] == ["uplinks.plant.user", "uplinks.plant.password"]
    monkeypatch.setenv("LINE_USER", "somebody")
    monkeypatch.setenv("LINE_PASSWORD", "hunter2")
    assert missing_secrets(config) == []
    code, said = checked(file, BASE + MQTT)
    assert code == 0
    assert "hunter2" not in said
