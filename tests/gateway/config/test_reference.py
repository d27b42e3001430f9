"""The generated page: fresh, and complete."""

from __future__ import annotations

from gateway.config.model import Config
from gateway.config.reference import PAGE, page
from gateway.config.schema import json_schema


def test_the_page_is_fresh() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m gateway.config.reference"


def test_the_page_has_every_key_of_every_section() -> None:
    text = page()
    for section in (Config.model_json_schema(), *json_schema()["$defs"].values()):
        body = next((one for one in section.get("anyOf", ()) if "properties" in one), section)
        for key in body["properties"]:
            assert f"| `{key}` |" in text
