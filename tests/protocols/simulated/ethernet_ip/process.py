"""The labeler's controller as a process, for tests of clients."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any


class Process:
    """`python -m protocols.simulated.ethernet_ip`, spoken to."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "protocols.simulated.ethernet_ip", *arguments]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        self.port = self._line()["port"]

    def _line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line: dict[str, Any] = json.loads(self.process.stdout.readline())
        return line

    def tell(self, action: str, **command: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"action": action, **command}) + "\n")
        self.process.stdin.flush()
        return self._line()

    def end(self) -> tuple[int, str]:
        try:
            _, errors = self.process.communicate(timeout=60)
        finally:
            self.process.kill()
        return self.process.returncode, errors
