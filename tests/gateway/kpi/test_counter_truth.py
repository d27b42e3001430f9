"""Any life of a PLC counter whose true parts are known: within what is said of it, exact where nothing is in doubt."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.kpi.counter import Counted, Counter, CounterFault

IDEAL_MS = 500
RATE = 3 / IDEAL_MS
SCAN = 250


@dataclass(frozen=True, slots=True)
class Step:
    """So many scans in which the machine makes a part each so often, and what goes wrong in them."""

    scans: int
    every: int
    """Milliseconds a part; 0 makes none."""
    what: str = "read"


steps = st.builds(
    Step,
    st.integers(1, 60),
    st.sampled_from([0, IDEAL_MS, IDEAL_MS, IDEAL_MS * 2, IDEAL_MS * 3]),
    st.sampled_from(["read"] * 6 + ["outage", "torn", "reset", "reset in an outage", "restart"]),
)


class Machine:
    """The truth, and the register that shows it."""

    def __init__(self, modulus: int, start: int, copies: int) -> None:
        self.modulus, self.copies = modulus, copies
        self.at = self.made = 0
        self._offset, self._shown, self._next = start, start % modulus, 0
        self._carried: int | None = None

    def run(self, every: int) -> None:
        """One scan's time goes by."""
        before = self._shown
        if every:
            self._next += SCAN
            while self._next >= every:
                self._next -= every
                self.made += 1
        self.at += SCAN
        if self.at % self.copies == 0:
            self._shown = (self._offset + self.made) % self.modulus
        self._carried = before if before >> 16 != self._shown >> 16 else None

    def reset(self) -> None:
        """Somebody sets the counter to 0."""
        self._offset, self._shown = -self.made, 0

    @property
    def value(self) -> int:
        return self._shown

    def torn(self, low_first: bool) -> int:
        """The register read while it is written, where a carry shows that; else as it is."""
        if self._carried is None or self.modulus <= 2**16:
            return self._shown
        old, new = self._carried, self._shown
        return (old & 0xFFFF0000 | new & 0xFFFF) if low_first else (new & 0xFFFF0000 | old & 0xFFFF)


class Reader:
    """The gateway's side: scans, outages and restarts; what it says in all."""

    def __init__(self, modulus: int) -> None:
        self.modulus = modulus
        self.counter = Counter(modulus, RATE)
        self.last: int | None = None
        self.low = self.high = self.parts = 0
        self.faults: list[CounterFault] = []

    def read(self, value: int, at: int) -> None:
        for found in self.counter.read(value, at, self.last):
            if isinstance(found, Counted):
                self.low, self.high, self.parts = self.low + found.low, self.high + found.high, self.parts + found.parts
            else:
                self.faults.append(found)
        self.last = at

    def lose(self) -> None:
        if self.last is not None:
            self.counter.lost(self.last)

    def restart(self) -> None:
        saved, self.counter = self.counter.checkpoint(), Counter(self.modulus, RATE)
        self.counter.restore(saved)


def live(life: list[Step], modulus: int, start: int, copies: int) -> tuple[Machine, Reader, bool]:
    """A life from its first reading to two quiet ones; whether anything in it was doubtful."""
    machine, reader = Machine(modulus, start, copies), Reader(modulus)
    reader.read(machine.value, 0)
    doubtful = False
    for step in life:
        if step.what == "restart":
            reader.lose()
            reader.restart()
        for scan in range(step.scans):
            machine.run(step.every)
            is_out = "outage" in step.what
            if "reset" in step.what and scan == step.scans // 2 and 1000 < machine.value < modulus - 1000:
                machine.reset()  # elsewhere a reset looks like parts: nobody can tell
                doubtful = True
            if is_out:
                reader.lose()
                doubtful = doubtful or machine.value < 1000 or modulus <= 2**16
                continue
            torn = step.what == "torn" and scan < step.scans - 1
            reader.read(machine.torn(scan % 2 == 0) if torn else machine.value, machine.at)
    for _ in range(2 * copies // SCAN):
        machine.run(0)
        reader.read(machine.value, machine.at)
    return machine, reader, doubtful


@given(
    st.lists(steps, max_size=25),
    st.sampled_from([2**16, 2**32, 1_000_000]),
    st.integers(0, 2000)
    | st.integers(64_000, 66_000)
    | st.integers(2**20 - 100, 2**20 + 100)
    | st.integers(2**32 - 200, 2**32 - 1),
    st.sampled_from([SCAN, SCAN, 5_000]),
)
@settings(max_examples=200, deadline=None)
def test_true_parts_lie_within_what_is_said(life: list[Step], modulus: int, start: int, copies: int) -> None:
    machine, reader, doubtful = live(life, modulus, start % modulus, copies)
    assert not reader.faults
    assert reader.low <= machine.made <= reader.high
    if not doubtful:
        assert reader.parts == machine.made
