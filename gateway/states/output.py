"""Whether parts come as the state says: `execute` without any is no production, and parts without it are some."""

from __future__ import annotations

from typing import Any

from gateway.states.account import Output


class OutputWatch:
    """Watches one machine's parts. Times are engine milliseconds.

    Parts that one reading shows together were made one after another, or a PLC copies its counter now and then: the
    next may take as much longer.
    """

    def __init__(self, no_output: int | None, quiet: int, ideal_ms: float) -> None:
        """`no_output`: longest production without a part, None to leave it alone; `quiet`: likewise unscheduled."""
        self._no_output = no_output
        self._quiet = quiet
        self._ideal_ms = ideal_ms
        self.since: int | None = None
        """The last part, or when production began; None while nothing is watched."""
        self._more = 0
        self._produced = False
        self.output: Output = ""

    @property
    def deadline(self) -> int | None:
        """When it has been too long without a part."""
        longest = self._quiet if self.output == "coming" else self._no_output
        return None if self.since is None or longest is None else self.since + longest + self._more

    def counted(self, parts: int, at: int, produces: bool, planned: bool) -> None:
        """Parts were made; `produces` where the state says so too."""
        self.output = "" if produces or planned else "coming"
        self.since = at if self.output or (produces and self._no_output is not None) else None
        self._more = round((parts - 1) * self._ideal_ms)
        self._produced = produces

    def follow(self, produces: bool, planned: bool, known: bool, began: int, at: int) -> None:
        """The state since `began`, what is planned, or whether the counter is known at all may have changed."""
        begins, self._produced = produces and not self._produced, produces
        if not produces and (self.output != "coming" or planned):
            self.since, self.output = None, ""
        elif produces and (begins or self.output == "coming"):
            self.output, self._more = "", 0
            self.since = began if known and self._no_output is not None else None
        elif self.output == "missing":
            pass  # until a part is seen
        elif not known:
            self.since = None
        elif self.since is None and self._no_output is not None:
            self.since, self._more = at, 0

    def fire(self) -> int:
        """It has been too long; since when there is none."""
        since, self.since = self.since, None
        assert since is not None
        self.output = "" if self.output == "coming" else "missing"
        return since

    def checkpoint(self) -> list[Any]:
        """Plain values from which `restore` goes on."""
        return [self.since, self._more, self._produced, self.output]

    def restore(self, saved: list[Any]) -> None:
        """Go on from a checkpoint."""
        self.since, self._more, self._produced, self.output = saved
        if self._no_output is None and self.output != "coming":
            self.since, self.output = None, ""
