"""Every command as somebody meets it for the first time: its help, and what is said where sudo was forgotten."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from gateway.cli import main
from tests.conftest import line_document

WITHOUT_ROOT = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
"""Before a command whose user may not do everything."""


def commands(group: click.Group = main, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of each command, and of each group."""
    yield above
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*above, name))
        else:
            yield *above, name


@pytest.mark.parametrize("words", [*commands()], ids=" ".join)
def test_help_has_an_example_and_whole_sentences(words: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(main, [*words, "--help"], prog_name="linegate", terminal_width=80)
    assert shown.exit_code == 0
    assert f"linegate {' '.join(words)}".strip() in shown.stdout.split("Options:")[1]
    assert "..." not in shown.stdout.partition("Commands:")[2].partition("\n\n")[0]


@pytest.mark.parametrize(
    "command", [("explain", "1"), ("buffer", "stats"), ("reload",), ("opcua", "cert")], ids=" ".join
)
def test_what_belongs_to_another_user_is_said(tmp_path: Path, command: tuple[str, ...]) -> None:
    """The service's state, looked at without sudo."""
    file = tmp_path / "line.yaml"
    file.write_text(json.dumps(line_document()))
    state = tmp_path / "private" / "line"
    state.mkdir(parents=True)
    state.parent.chmod(0)
    name, *rest = command
    words = [name, file, *rest] if name not in ("buffer", "opcua") else [name, *rest, file]
    done = subprocess.run(
        [*WITHOUT_ROOT, sys.executable, "-m", "gateway", *map(str, words), "--state-dir", str(state)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    state.parent.chmod(0o700)
    assert done.returncode in (1, 2)
    assert "as the daemon's user, or " in done.stderr
    assert "Traceback" not in done.stderr
