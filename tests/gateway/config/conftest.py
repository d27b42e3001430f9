"""A way to load a text as a configuration file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.config.loader import Loaded, load_config


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], Loaded]:
    """Loads a text as a file."""

    def load_text(text: str) -> Loaded:
        path = tmp_path / "line.yaml"
        path.write_text(text, encoding="utf-8", newline="")
        return load_config(path)

    return load_text
