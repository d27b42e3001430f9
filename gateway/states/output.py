"""Whether parts come as the state says: `execute` without any is no production, and parts without it are some."""

from __future__ import annotations

from typing import Any

from gateway.states.account import Output


class OutputWatch:
    """Watches one machine's parts. Times are engine milliseconds.

    Parts that one reading shows together were made one after another, or a PLC copies its counter now and then: the
    next may take as much longer.
    """

    def __init__(self) -> None:
        self._no_output: int | None = None
        self._quiet = 0
        self._ideal_ms = 0.0
        self.since: int | None = None
        """The last part, or when production began; None while nothing is watched."""
        self._more = 0
        self._uncertainty: int | None = 0
        """How much earlier than `since` the last part may have been made."""
        self._alarm: int | None = None
        self._produced = False
        self.output: Output = ""

    def pace(self, no_output: int | None, quiet: int, ideal_ms: float, at: int) -> None:
        """From `at` on. `no_output`: longest production without a part, None to leave it alone; `quiet`: likewise
        unscheduled."""
        self._no_output, self._quiet, self._ideal_ms = no_output, quiet, ideal_ms
        if no_output is None and self.output != "coming":
            self.output = ""
            self._watch(None)
        else:
            self._watch(self.since, self._more, self._uncertainty)
            self._alarm = None if self._alarm is None else max(self._alarm, at)  # what is past is due now

    @property
    def deadline(self) -> int | None:
        """When to look whether it has been too long without a part; not moved by each part, but then."""
        return None if self.since is None else self._alarm

    def _due(self) -> int | None:
        longest = self._quiet if self.output == "coming" else self._no_output
        return None if self.since is None or longest is None else self.since + longest + self._more

    def _watch(self, since: int | None, more: int = 0, uncertainty: int | None = 0) -> None:
        self.since, self._more, self._uncertainty = (None, 0, 0) if since is None else (since, more, uncertainty)
        due = self._due()
        self._alarm = due if self._alarm is None or due is None else min(self._alarm, due)

    def counted(self, parts: int, at: int, uncertainty: int | None, planned: bool) -> None:
        """Parts were made, by `at` or that much earlier."""
        self.output = "" if self._produced or planned else "coming"
        watched = self.output == "coming" or (self._produced and self._no_output is not None)
        self._watch(at if watched else None, round((parts - 1) * self._ideal_ms), uncertainty)

    def follow(self, produces: bool, planned: bool, known: bool, began: int, at: int) -> tuple[int, int | None] | None:
        """The state since `began`, what is planned, or whether the counter is known at all may have changed.

        Where parts came in unplanned time and that is over: the last of them, and how much earlier that may have been.
        """
        begins, self._produced = produces and not self._produced, produces
        last = None
        if not produces and (self.output != "coming" or planned):
            if self.output == "coming" and self.since is not None:
                last = self.since, self._uncertainty
            self.output = ""
            self._watch(None)
        elif produces and (begins or self.output == "coming"):
            self.output = ""
            self._watch(began if known and self._no_output is not None else None)
            self._alarm = None if self._alarm is None else max(self._alarm, at)  # a state that settled began long ago
        elif self.output == "missing":
            pass  # until a part is seen
        elif not known:
            self._watch(None)
        elif self.since is None and self._no_output is not None:
            self._watch(at)
        return last

    def fire(self, at: int) -> tuple[int, int | None] | None:
        """Where it has been too long: since when there was no part, and how much earlier that may have been."""
        since, uncertainty, self._alarm = self.since, self._uncertainty, self._due()
        if since is None or self._alarm is None or self._alarm > at:
            return None
        self._watch(None)
        self.output = "" if self.output == "coming" else "missing"
        return since, uncertainty

    def checkpoint(self) -> list[Any]:
        """Plain values from which `restore` goes on."""
        return [self.since, self._more, self._uncertainty, self._alarm, self._produced, self.output]

    def restore(self, saved: list[Any]) -> None:
        """Go on from a checkpoint."""
        self.since, self._more, self._uncertainty, self._alarm, self._produced, self.output = saved
