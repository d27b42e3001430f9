"""What a person would write who only wants to have the values: pymodbus on uvloop, structs made once, and a comparison.

It reads the same registers as the daemon at the same pace and notes which values changed. It has no quality, states,
parts, buffer or uplink, and no answer to an error: the least that a gateway on the usual library can take.
"""

from __future__ import annotations

import asyncio
import struct
import sys
import time

import uvloop
from pymodbus.client import AsyncModbusTcpClient

FIRST, EACH = 1000, 62
"""Address of the first float32, and how many are read at once: 124 registers."""


async def follow(port: int, unit_id: int, signals: int, interval_s: float) -> None:
    """Read all signals each interval, for ever."""
    counts = [min(EACH, signals - done) for done in range(0, signals, EACH)]
    blocks = [
        (FIRST + 2 * EACH * number, 2 * count, struct.Struct(f">{2 * count}H"), struct.Struct(f">{count}f"))
        for number, count in enumerate(counts)
    ]
    known: list[tuple[float, ...]] = [()] * len(blocks)
    client = AsyncModbusTcpClient("127.0.0.1", port=port)
    assert await client.connect()
    print("reads", flush=True)
    due = time.monotonic()
    changes = 0
    while True:
        for number, (address, count, registers, floats) in enumerate(blocks):
            reply = await client.read_holding_registers(address, count=count, device_id=unit_id)
            assert not reply.isError(), reply
            values = floats.unpack(registers.pack(*reply.registers))
            if values != known[number]:
                before = known[number] or (None,) * len(values)
                changes += sum(value != old for value, old in zip(values, before, strict=True))
                known[number] = values
        due += interval_s
        await asyncio.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    uvloop.run(follow(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]) / 1000))
