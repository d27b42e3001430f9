"""What a table must hold after CIP replies, decoded a second time in plain Python, by other means than ext."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import asdict, dataclass
from typing import Any

FORMATS = {
    "bool": "B", "int8": "b", "uint8": "B", "int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "int64": "q",
    "uint64": "Q", "float32": "f", "float64": "d",
}  # fmt: skip
STRUCTURE = 0x02A0
WRONG_SIZE = 0x100
CODES = {"tag": 0xCC, "structure": 0xCC, "attribute": 0x8E, "text": 0x8E, "edition": 0x83}

State = tuple[bool | int | float | str | None, int, str | None]
Refused = tuple[int, int, int]


class Garbled(Exception):
    """A reply that no plan may believe; `of_type` where it is of another type or edition than planned."""

    def __init__(self, of_type: bool = False) -> None:
        super().__init__()
        self.of_type = of_type


class Untold(Exception):
    """The edition is refused, and with it the packet."""

    def __init__(self, status: int, extended: int) -> None:
        super().__init__(status)
        self.status, self.extended = status, extended


@dataclass(frozen=True)
class Service:
    """One of a packet: `kind` is tag (of type `code`), structure (of handle `code`), attribute, text or edition."""

    kind: str
    code: int = 0
    size: int = 0
    """Bytes of data; of a text, those of its length."""

    @property
    def type(self) -> bytes:
        """What its data begin with."""
        if self.kind == "structure":
            return struct.pack("<HH", STRUCTURE, self.code)
        return struct.pack("<H", self.code) if self.kind == "tag" else b""

    @property
    def edition(self) -> bytes:
        """What an edition must be."""
        return bytes((self.code + n) & 0xFF for n in range(self.size))


@dataclass(frozen=True)
class Signal:
    """One signal, with the words of CipPlan.add."""

    service: int
    at: int
    type: str
    bit: int = 0
    width: int = 0
    any_of: int = 0
    scale: float = 1.0
    offset: float = 0.0
    capacity: int = 0
    prefix: int = 4
    skip: int = 4
    most: int = 250
    invalid: tuple[int, ...] = ()

    def options(self) -> dict[str, Any]:
        """The keywords of CipPlan.add."""
        return {key: value for key, value in vars(self).items() if key not in ("service", "at", "type")}

    @property
    def size(self) -> int:
        """Bytes of a number."""
        return struct.calcsize("<" + FORMATS[self.type])

    def decode(self, data: bytes) -> State:
        """Value, quality and why."""
        if self.type == "string":
            return self._text(data)
        (value,) = struct.unpack_from("<" + FORMATS[self.type], data, self.at)
        raw = int.from_bytes(data[self.at : self.at + self.size], "little")
        if self.type == "bool" or self.any_of:
            return bool(raw & (self.any_of or 0xFF)), 2, None
        bits = 8 * self.size
        if self.width:
            value = raw = raw >> self.bit & (1 << self.width) - 1
            bits = self.width
        if raw in {one & (1 << bits) - 1 for one in self.invalid}:
            return None, 0, f"invalid value 0x{raw:0{(bits + 3) // 4}X}"
        if (self.scale, self.offset) != (1.0, 0.0):
            value = value * self.scale + self.offset
        if isinstance(value, float) and not math.isfinite(value):
            return None, 0, "not a number (NaN)" if math.isnan(value) else "infinite"
        return value, 2, None

    def _text(self, data: bytes) -> State:
        told = int.from_bytes(data[self.at : self.at + self.prefix], "little")
        begin = self.at + self.skip
        if told > self.capacity:
            return None, 0, f"a text that claims more bytes than the {self.capacity} there are"
        text = data[begin : begin + told]
        if len(text) > self.most:
            return None, 0, f"a text of more bytes than length allows, {self.most}"
        return text.decode("latin-1"), 2, None


@dataclass(frozen=True)
class Case:
    """A packet's services and signals, and the replies that come for it, one after the other."""

    packing: int
    services: tuple[Service, ...]
    signals: tuple[Signal, ...]
    replies: tuple[bytes, ...] = ()

    def to_json(self) -> str:
        """For the corpus."""
        plain = asdict(self)
        plain["replies"] = [one.hex(" ") for one in self.replies]
        return json.dumps(plain, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Case:
        """What `to_json` wrote."""
        plain = json.loads(text)
        signals = []
        for one in plain["signals"]:
            one["invalid"] = tuple(one["invalid"])
            signals.append(Signal(**one))
        services = tuple(Service(**one) for one in plain["services"])
        return cls(plain["packing"], services, tuple(signals), tuple(bytes.fromhex(one) for one in plain["replies"]))


class Model:
    """The signals' states, and fragments that wait for the last."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.states: list[State] = [(None, 0, "not read yet")] * len(case.signals)
        self.received = b""

    def decode(self, reply: bytes) -> tuple[Refused, ...]:
        """What was refused; the states change. Raises Garbled, and then they do not."""
        if self.case.packing == 2:
            return self._fragment(reply)
        try:
            return self._whole(reply)
        except Untold as untold:
            return ((-1, untold.status, untold.extended),)

    def _whole(self, reply: bytes) -> tuple[Refused, ...]:
        refused: list[Refused] = []
        if self.case.packing == 0:
            found = [_service(self.case.services[0], 0, reply, refused)]
        else:
            status, extended, body = _head(reply, 0x8A)
            if status not in (0, 0x1E):
                return ((-1, status, extended),)
            found = [
                _service(service, number, part, refused)
                for number, (service, part) in enumerate(zip(self.case.services, self._parts(body), strict=True))
            ]
        self._set(found)
        return tuple(refused)

    def _parts(self, body: bytes) -> list[bytes]:
        count = len(self.case.services)
        if len(body) < 2 + 2 * count or int.from_bytes(body[:2], "little") != count:
            raise Garbled
        places = [*struct.unpack_from(f"<{count}H", body, 2), len(body)]
        if places[0] != 2 + 2 * count:
            raise Garbled
        parts: list[bytes] = []
        for number, service in enumerate(self.case.services):
            begin, end = places[number], places[number + 1]
            if number + 1 < count and not begin + 4 <= end <= len(body):
                raise Garbled
            part = body[begin:end]
            _service(service, number, part, [])  # the first fault counts, be it of this service or of the next offset
            parts.append(part)
        return parts

    def _fragment(self, reply: bytes) -> tuple[Refused, ...]:
        service, received, self.received = self.case.services[0], self.received, b""
        status, extended, body = _head(reply, 0xD2)
        if status not in (0, 6):
            return ((0, status, extended),)
        data, left = _typed(service, body), service.size - len(received)
        if status == 6:
            if not 0 < len(data) < left:
                raise Garbled(of_type=True)
            self.received = received + data
            return ()
        if not _is_padded(len(data), left):
            raise Garbled(of_type=True)
        self._set([received + data[:left]])
        return ()

    def _set(self, found: list[bytes | None]) -> None:
        for number, signal in enumerate(self.case.signals):
            data = found[signal.service]
            if data is not None:
                self.states[number] = signal.decode(data)


def _head(reply: bytes, code: int) -> tuple[int, int, bytes]:
    """Status, first word of extended status, and what follows."""
    if len(reply) < 4 or reply[0] != code or len(reply) < 4 + 2 * reply[3]:
        raise Garbled
    words = struct.unpack_from(f"<{reply[3]}H", reply, 4)
    return reply[2], words[0] if words else 0, reply[4 + 2 * reply[3] :]


def _typed(service: Service, body: bytes) -> bytes:
    """The data behind the type."""
    wanted = service.type
    if len(body) < 2:
        raise Garbled
    if body[:2] != wanted[:2]:
        raise Garbled(of_type=True)
    if len(body) < len(wanted):
        raise Garbled
    if body[: len(wanted)] != wanted:
        raise Garbled(of_type=True)
    return body[len(wanted) :]


def _service(service: Service, number: int, part: bytes, refused: list[Refused]) -> bytes | None:
    status, extended, body = _head(part, CODES[service.kind])
    if service.kind == "edition":
        if status:
            raise Untold(status, extended)
        if body != service.edition:
            raise Garbled(of_type=True)
        return b""
    if status:
        refused.append((number, status, extended))
        return None
    if service.kind in ("tag", "structure"):
        data = _typed(service, body)
        if not _is_padded(len(data), service.size):
            raise Garbled(of_type=True)
        return data
    size = service.size
    if service.kind == "text":
        if len(body) < size:
            raise Garbled
        size += int.from_bytes(body[:size], "little")
        if len(body) < size:
            raise Garbled
    if not _is_padded(len(body), size):
        refused.append((number, WRONG_SIZE, len(body)))
        return None
    return body[:size]


def _is_padded(length: int, size: int) -> bool:
    return length == size or (size % 2 == 1 and length == size + 1)
