"""The log: every event of it is in the operations page, with what to do."""

from __future__ import annotations

import ast
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from structlog import DropEvent

from gateway.log_repeats import KINDS, MOST, WINDOW_S, Repeats

ROOT = Path(__file__).parents[2]
LEVELS = {"info", "warning", "error", "exception", "critical"}
NOT_THE_DAEMON = ("gateway/demo/", "protocols/simulated/")


def said() -> Iterator[tuple[str, str]]:
    """Each name that is given to a logger, and the file that does."""
    for path in (*(ROOT / "gateway").rglob("*.py"), *(ROOT / "protocols").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if name.startswith(NOT_THE_DAEMON):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                of_log = isinstance(node.func.value, ast.Name) and node.func.value.id == "log"
                of_self = node.func.attr in ("_warn", "warn")
                if (of_log and node.func.attr in LEVELS) or of_self:
                    yield from ((name, text) for text in texts(node.args[0]))


def texts(node: ast.expr) -> Iterator[str]:
    """The names that an expression may give."""
    for one in ast.walk(node):
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            yield one.value


def test_every_event_of_the_log_is_documented() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    documented = set(re.findall(r"`([a-z_]+)`", "\n".join(re.findall(r"^\| (`.*?) \|", page, re.MULTILINE))))
    names = list(said())
    assert len(names) > 50
    assert {(file, name) for file, name in names if name not in documented} == set()


def test_names_are_words_of_the_log() -> None:
    assert [name for _, name in said() if not re.fullmatch(r"[a-z]+(_[a-z]+)*", name)] == []


def test_what_is_said_again_and_again_is_held_back_and_counted() -> None:
    """By kind: another device's is not; the next one after a minute says how many were held back."""
    now = [0.0]
    repeats = Repeats(lambda: now[0])

    def say(**event: object) -> int | None:
        """How many it says were held back; None where it is held back itself."""
        try:
            return int(str(repeats(None, "warning", dict(event)).get("held_back", 0)))
        except DropEvent:
            return None

    lost = {"logger": "device", "event": "device_lost", "device": "filler_plc"}
    assert [say(**lost, why=number) for number in range(MOST + 3)] == [0] * MOST + [None] * 3
    assert say(**{**lost, "device": "capper_plc"}) == 0
    now[0] = WINDOW_S - 1
    assert say(**lost) is None
    now[0] = WINDOW_S
    assert [say(**lost), say(**lost)] == [4, 0]


def test_kinds_are_bounded() -> None:
    repeats = Repeats(lambda: 0.0)
    for number in range(2 * KINDS):
        repeats(None, "info", {"event": "said", "device": f"d{number}"})
    assert len(repeats._kinds) == KINDS


def test_no_text_of_a_device_moves_a_terminals_cursor() -> None:
    """Neither as a field, nor in the message of an exception with its traceback."""
    ours, terminal = pty.openpty()
    code = """
import structlog
from gateway.log import configure_logging
configure_logging()
log = structlog.get_logger("device")
log.warning("said", why="a\\x1b[2Jb\\nc")
try:
    raise ValueError("d\\x1b[2Je\\u202e")
except ValueError:
    log.exception("failed")
"""
    try:
        subprocess.run([sys.executable, "-c", code], stderr=terminal, check=True, timeout=30, cwd=ROOT)
        text = os.read(ours, 65536).decode()
    finally:
        os.close(terminal)
        os.close(ours)
    assert "\x1b[2J" not in text
    assert "\u202e" not in text
    assert r"a\x1b[2Jb\x0ac" in text
    assert r"d\x1b[2Je\x202e" in text
