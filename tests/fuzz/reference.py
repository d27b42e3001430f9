"""What a table must hold and hand out, decoded a second time in plain Python: slow, and by other means than ext."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import asdict, dataclass, field, fields
from typing import Any

GOOD, BAD = 2, 0
NUMBERS = {"int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "int64": "q", "uint64": "Q",
           "float32": "f", "float64": "d"}  # fmt: skip
BYTES = {name: struct.calcsize(">" + code) for name, code in NUMBERS.items()} | {"bcd16": 2, "bcd32": 4, "bool": 2}
NOT_TEXT = {"ascii": "not ASCII text", "utf-8": "not UTF-8 text", "cp1252": "not CP1252 text",
            "utf-16-be": "not UTF-16 text", "utf-16-le": "not UTF-16 text"}  # fmt: skip

State = tuple[bool | int | float | str | None, int, str | None]
"""Value, quality and why."""

Step = tuple[Any, ...]
"""("decode", 0 or 1, payload) by one of two plans of the same block, ("fail", signal), ("fail block", 0 or 1),
("fail all",), ("put", signal) or ("take",)."""


@dataclass(frozen=True)
class Signal:
    """One signal of a block, with the words of RegisterPlan.add and SignalTable.forward."""

    position: int
    type: str
    bit: int = 0
    width: int = 0
    words_little: bool = False
    bytes_little: bool = False
    scale: float = 1.0
    offset: float = 0.0
    length: int = 0
    encoding: str = "latin-1"
    invalid: tuple[int | float, ...] = ()
    deadband: float = 0.0

    @property
    def size(self) -> int:
        """Bytes of registers."""
        return (self.length + 1) // 2 * 2 if self.type == "string" else BYTES[self.type]

    def options(self) -> dict[str, Any]:
        """The keywords of RegisterPlan.add."""
        return {key: value for key, value in vars(self).items() if key not in ("position", "type", "deadband")}


@dataclass(frozen=True)
class Case:
    """A block of registers (or bits), its signals, and what happens to it."""

    count: int
    bits: bool = False
    signals: tuple[Signal, ...] = ()
    steps: tuple[Step, ...] = field(default=())

    @property
    def size(self) -> int:
        """Bytes of a right reply."""
        return (self.count + 7) // 8 if self.bits else 2 * self.count

    def to_json(self) -> str:
        """As a file of the corpus: only what differs from the defaults, payloads in hex, a line for each thing."""
        bare = {f.name: f.default for f in fields(Signal)}
        signals = [{key: value for key, value in asdict(one).items() if value != bare[key]} for one in self.signals]
        steps = [[part.hex() if isinstance(part, bytes) else part for part in step] for step in self.steps]
        lines = [
            f'"count": {self.count}, "bits": {json.dumps(self.bits)}',
            '"signals": [\n  ' + ",\n  ".join(map(json.dumps, signals)) + "\n]",
            '"steps": [\n  ' + ",\n  ".join(map(json.dumps, steps)) + "\n]",
        ]
        return "{" + ",\n".join(lines) + "}\n"

    @classmethod
    def from_json(cls, text: str) -> Case:
        """What to_json wrote."""
        raw = json.loads(text)
        signals = tuple(Signal(**{**one, "invalid": tuple(one.get("invalid", ()))}) for one in raw["signals"])
        steps = tuple(
            (step[0], step[1], bytes.fromhex(step[2])) if step[0] == "decode" else tuple(step) for step in raw["steps"]
        )
        return cls(raw["count"], raw["bits"], signals, steps)


def decoded(case: Case, signal: Signal, reply: bytes) -> State:
    """One signal of a reply that has the right length."""
    if case.bits:
        return bool(int.from_bytes(reply, "little") >> signal.position & 1), GOOD, None
    registers = [reply[at : at + 2] for at in range(0, len(reply), 2)]
    mine = registers[signal.position : signal.position + signal.size // 2]
    if signal.bytes_little:
        mine = [register[::-1] for register in mine]
    if signal.type == "string":
        return _text(signal, b"".join(mine)[: signal.length])
    if signal.words_little:
        mine.reverse()
    return _number(signal, b"".join(mine))


def _text(signal: Signal, raw: bytes) -> State:
    wide = signal.encoding.startswith("utf-16")
    for at in range(0, len(raw), 2 if wide else 1):
        if raw[at : at + 2] == b"\0\0" if wide else raw[at] == 0:
            raw = raw[:at]
            break
    space = " ".encode(signal.encoding)
    while raw.endswith(space) and len(raw) % len(space) == 0:
        raw = raw[: -len(space)]
    try:
        return raw.decode(signal.encoding), GOOD, None
    except UnicodeDecodeError:
        return None, BAD, NOT_TEXT[signal.encoding]


def _number(signal: Signal, big: bytes) -> State:
    pattern, bits = int.from_bytes(big, "big"), 8 * len(big)
    if signal.type == "bool":
        return bool(pattern >> signal.bit & 1), GOOD, None
    if signal.width:
        pattern, bits = pattern >> signal.bit & (1 << signal.width) - 1, signal.width
    if any(_matches(signal, one, pattern, bits, big) for one in signal.invalid):
        return None, BAD, "invalid value 0x" + f"{pattern:X}".zfill(math.ceil(bits / 4))
    value: int | float
    if signal.width:
        return pattern, GOOD, None
    if signal.type.startswith("bcd"):
        if not big.hex().isdecimal():
            return None, BAD, "not BCD"
        value = int(big.hex())
    else:
        (value,) = struct.unpack(">" + NUMBERS[signal.type], big)
    if signal.scale != 1.0 or signal.offset != 0.0:
        value = float(value) * signal.scale + signal.offset
    if value != value:
        return None, BAD, "not a number (NaN)"
    return (None, BAD, "infinite") if value in (math.inf, -math.inf) else (value, GOOD, None)


def _matches(signal: Signal, wanted: int | float, pattern: int, bits: int, big: bytes) -> bool:
    if signal.type.startswith("float"):
        (value,) = struct.unpack(">" + NUMBERS[signal.type], big)
        if isinstance(wanted, int) and wanted == pattern:
            return True
        try:
            return bool(
                struct.unpack(">" + NUMBERS[signal.type], struct.pack(">" + NUMBERS[signal.type], wanted))[0] == value
            )
        except OverflowError:
            return False
    if signal.type.startswith("bcd") and 0 <= wanted < 10 ** len(big.hex()):
        return big.hex() == str(wanted).zfill(len(big.hex()))
    signed = pattern - (1 << bits) if pattern >> bits - 1 else pattern
    return wanted in (pattern, signed)


class Model:
    """A table of one block: its states, and which of them the next take hands out."""

    def __init__(self, case: Case, thinned: bool) -> None:
        self.case = case
        self.deadbands = [one.deadband if thinned else 0.0 for one in case.signals]
        self.states: list[State] = [(None, BAD, "not read yet")] * len(case.signals)
        self.reported: list[Any] = [None] * len(case.signals)
        self.dirty = set(range(len(case.signals)))

    def decode(self, reply: bytes) -> None:
        for number, signal in enumerate(self.case.signals):
            self.set(number, decoded(self.case, signal, reply))

    def fail(self, why: str) -> None:
        for number in range(len(self.states)):
            self.set(number, (None, BAD, why))

    def set(self, number: int, state: State) -> None:
        was, self.states[number] = self.states[number], state
        if state == was:
            self.states[number] = was  # of two zeros the first stays
        elif state[1:] != was[1:] or not self._holds_back(number, state[0]):
            self.dirty.add(number)

    def _holds_back(self, number: int, value: Any) -> bool:
        deadband = self.deadbands[number]
        if isinstance(value, str | bool) or deadband == 0.0 or self.reported[number] is None:
            return False
        return bool(float(abs(value - self.reported[number])) < deadband)

    def take(self) -> dict[int, State]:
        taken = {number: self.states[number] for number in self.dirty}
        for number, state in taken.items():
            self.reported[number] = state[0]
        self.dirty.clear()
        return taken
