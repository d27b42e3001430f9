"""The demo's two processes: the simulated line and the daemon, each in a session of its own and ended by its id."""

from __future__ import annotations

import http.client
import json
import os
import selectors
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import gateway
from gateway.demo.configuration import Places

PATIENCE_S = 20.0
_HTTP_TIMEOUT_S = 2.0
_MODE = ("--flow", "--frozen", "--quit-on-eof")


Truths: TypeAlias = dict[str, dict[str, Any]]
"""What each machine really did, by its name."""


class ChildError(Exception):
    """A process of the demo ended or fell silent; the message says which, and where to look."""


def _command(module: str, *arguments: str) -> list[str]:
    # Safe path: a directory called `gateway` where the demo happens to be started is not ours.
    return [sys.executable, "-P", "-m", module, *arguments]


def _environment() -> dict[str, str]:
    """The children run the code that we run, whether that is installed or a checkout."""
    root = str(Path(gateway.__file__).resolve().parent.parent)
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def end(process: subprocess.Popen[Any], patience_s: float = PATIENCE_S) -> int:
    """Asks the process to end, waits, and kills it where it does not; its exit code."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


class Simulator:
    """The simulated line, frozen at its beginning."""

    def __init__(self, seed: int, speed: float, truth: Path) -> None:
        numbers = ("--seed", str(seed), "--speed", str(speed), "--truth", str(truth))
        self.process = subprocess.Popen(
            _command("protocols.simulated", *numbers, "--capper", "0", "--labeler", "0", *_MODE),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_environment(),
            start_new_session=True,  # Ctrl-C is for the demo, which ends its children in order
        )
        self._received = b""

    def ready(self) -> dict[str, int]:
        """Waits for its ready line; the ports by machine."""
        line = self._line()
        return {"filler": line["port"], "capper": line["capper"], "labeler": line["labeler"]}

    def tell(self, action: str) -> Truths:
        """Gives a command; the machines' truth after it."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps({"action": action}).encode() + b"\n")
            self.process.stdin.flush()
        except OSError:
            raise ChildError(f"the simulated line has ended with exit code {self.process.wait()}") from None
        truths: Truths = self._line()["machines"]
        return truths

    def end(self) -> int:
        """Ends it; its exit code, 3 where it was asked for anything but reading."""
        code = end(self.process)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()
        return code

    def _line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        deadline = time.monotonic() + PATIENCE_S
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._received:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise ChildError(f"the simulated line said nothing for {PATIENCE_S:g} s")
                if not (data := os.read(self.process.stdout.fileno(), 65536)):
                    raise ChildError(f"the simulated line has ended with exit code {self.process.wait()}")
                self._received += data
        line, _, self._received = self._received.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found


class Daemon:
    """`linegate run` on a configuration; what it says goes to a log file."""

    def __init__(self, places: Places) -> None:
        self._log, self._address = places.log, urlsplit(places.url)
        with places.log.open("ab") as output:
            self.process = subprocess.Popen(
                _command("gateway", "run", str(places.configuration), "--state-dir", str(places.state)),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=_environment(),
                start_new_session=True,
            )

    def check(self) -> None:
        """ChildError where it is no longer there."""
        if (code := self.process.poll()) is not None:
            said = "\n".join(self.last_lines())
            raise ChildError(f"the daemon has ended with exit code {code}. Its last lines:\n{said}")

    def last_lines(self, count: int = 20) -> list[str]:
        """The end of its log."""
        return self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]

    def get(self, path: str) -> tuple[int, bytes] | None:
        """Status and body of a page, None where the daemon does not answer (now)."""
        address = self._address
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=_HTTP_TIMEOUT_S)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def is_ready(self) -> bool:
        """Whether /readyz says so."""
        answer = self.get("/readyz")
        return answer is not None and answer[0] == 200

    def line(self) -> dict[str, Any] | None:
        """The line as /api/line shows it, None where there is no answer."""
        answer = self.get("/api/line")
        if answer is None or answer[0] != 200:
            return None
        snapshot: dict[str, Any] = json.loads(answer[1])
        return snapshot

    def end(self) -> int:
        """Ends it; its exit code."""
        return end(self.process)
