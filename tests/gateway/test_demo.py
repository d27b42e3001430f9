"""`linegate demo` as a user runs it: the simulator, the real daemon, and their counts compared."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

DEMO = (sys.executable, "-m", "gateway", "demo")
LONGEST_S = 60
"""Start, run and stop on a busy machine."""


def test_it_ends_by_itself_and_the_counts_agree(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    command = [*DEMO, "--for", "5s", "--speed", "20", "--keep", str(kept)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == "They agree."
    assert any("/api/line" in line and "http://127.0.0.1:" in line for line in lines)
    assert any(" execute" in line for line in lines)
    truth = [json.loads(line) for line in (kept / "truth.ndjson").read_text().splitlines()]
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


def test_two_demos_at_once_do_not_take_each_others_daemon(tmp_path: Path) -> None:
    demos = [
        subprocess.Popen(
            [*DEMO, "--for", "3s", "--speed", "20", "--seed", str(seed), "--keep", str(tmp_path / str(seed))],
            stdout=subprocess.PIPE, text=True,
        )
        for seed in (1, 2)
    ]  # fmt: skip
    shown = [demo.communicate(timeout=LONGEST_S)[0] for demo in demos]
    assert [demo.returncode for demo in demos] == [0, 0], shown
    urls = {line.split()[-1] for text in shown for line in text.splitlines() if "/api/line" in line}
    assert len(urls) == 2


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
