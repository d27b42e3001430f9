"""`linegate demo` as a user runs it: the simulator, the real daemon, and their counts compared."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

DEMO = (sys.executable, "-m", "gateway", "demo")
LONGEST_S = 180
"""Start, run and stop on a busy machine."""


def test_two_at_once_end_by_themselves_and_their_counts_agree(tmp_path: Path) -> None:
    """Neither takes the other's daemon."""
    kept = [tmp_path / str(seed) for seed in (1, 2)]
    demos = [
        subprocess.Popen(
            [*DEMO, "--for", "5s", "--speed", "20", "--seed", place.name, "--keep", str(place)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for place in kept
    ]  # fmt: skip
    shown = [demo.communicate(timeout=LONGEST_S)[0].splitlines() for demo in demos]
    assert [demo.returncode for demo in demos] == [0, 0], shown
    urls = {line.split()[-1] for lines in shown for line in lines if "/api/line" in line}
    assert len(urls) == 2
    for lines, place in zip(shown, kept, strict=True):
        assert lines[-1] == "They agree."
        assert any(" execute" in line for line in lines)
        truth = [json.loads(line) for line in (place / "truth.ndjson").read_text().splitlines()]
        for name, *figures in (line.split() for line in lines[-4:-1]):
            final = truth[-1]["final"][name]
            assert [int(figure) for figure in figures] == [final["total"]] * 2 + [final["rejects"]] * 2
            assert final["total"] > 50


def test_ctrl_c_ends_it_and_its_children(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    with subprocess.Popen([*DEMO, "--keep", str(kept)], stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        children: list[int] = []
        for line in demo.stdout:
            if " execute" in line and not children:
                children = [int(pid) for pid in Path(f"/proc/{demo.pid}/task/{demo.pid}/children").read_text().split()]
                demo.send_signal(signal.SIGINT)
            if children and "stands still" in line:
                demo.send_signal(signal.SIGINT)  # a second one waits for nothing
        assert demo.wait(LONGEST_S) in (0, 1)
    assert len(children) == 2
    assert not any(_is_alive(pid) for pid in children)
    assert '"final"' in (kept / "truth.ndjson").read_text()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
