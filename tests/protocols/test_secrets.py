"""Secrets: read from their three places when needed; errors name the place, never the content."""

from __future__ import annotations

from pathlib import Path

import pytest

from protocols.driver import ConfigError
from protocols.secrets import MAX_SECRET_BYTES, Secret


def test_an_environment_variable() -> None:
    assert Secret(env="MQTT_PASSWORD").resolve({"MQTT_PASSWORD": "hunter2"}) == "hunter2"


def test_a_credential_of_systemd(tmp_path: Path) -> None:
    (tmp_path / "mqtt").write_text("hunter2\n")
    assert Secret(credential="mqtt").resolve({"CREDENTIALS_DIRECTORY": str(tmp_path)}) == "hunter2"


def test_a_file_without_its_last_line_break(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes("schlüssel mit leerzeichen \r\n".encode())
    assert Secret(file=str(tmp_path / "secret")).resolve({}) == "schlüssel mit leerzeichen "


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        (Secret(env="MQTT_PASSWORD"), "the environment variable MQTT_PASSWORD is not set"),
        (Secret(credential="mqtt"), r"credential mqtt: \$CREDENTIALS_DIRECTORY is not set"),
        (Secret(file="/nowhere/secret"), "/nowhere/secret cannot be read: No such file"),
    ],
)
def test_a_missing_secret_names_its_place_and_a_remedy(secret: Secret, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as raised:
        secret.resolve({})
    assert raised.value.remedy


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "is empty"), (b"\n", "is empty"), (b"hunter2\xff", "not UTF-8"), (b"h" * (MAX_SECRET_BYTES + 1), "larger")],
)
def test_a_file_that_is_no_secret(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "secret").write_bytes(content)
    with pytest.raises(ConfigError, match=words) as raised:
        Secret(file=str(tmp_path / "secret")).resolve({})
    assert "hunter2" not in str(raised.value)


def test_nothing_of_a_secret_shows_its_content(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2")
    secret = Secret(file=str(tmp_path / "secret"))
    assert secret.resolve() == "hunter2"
    assert "hunter2" not in repr(secret) + str(secret) + secret.model_dump_json() + secret.place
