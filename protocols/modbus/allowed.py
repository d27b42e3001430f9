"""The closed list of what is ever asked of a Modbus device: function codes 1 to 4, and in `discover` 43/14."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from protocols.modbus.config import Table

if TYPE_CHECKING:
    from pymodbus.pdu import ModbusPDU

READ_CODES = frozenset({1, 2, 3, 4})
READ_DEVICE_IDENTIFICATION = (43, 14)
"""Function code and MEI type (Application Protocol V1.1b3, clause 6.21); never asked by the daemon."""
_BASIC, _REGULAR = 1, 2


def read_pdu(table: Table, address: int, count: int) -> bytes:
    """The only place where the bytes of a request are made; a table's value is its function code."""
    if table not in READ_CODES:
        raise PermissionError(f"function code {int(table)} is not among those that only read")
    return struct.pack(">BHH", table, address, count)


def identification_pdu(level: int, first: int) -> bytes:
    """Asks who a device is, as a stream of texts from the object `first` on; level 1 is basic, 2 regular."""
    if level not in (_BASIC, _REGULAR):
        raise PermissionError(f"identification of level {level} is not among what is asked")
    return bytes((*READ_DEVICE_IDENTIFICATION, level, first))


def read_request(pdu: bytes, unit_id: int) -> ModbusPDU:
    """The same request for pymodbus, which frames it for a serial line."""
    from pymodbus.pdu.bit_message import ReadCoilsRequest, ReadDiscreteInputsRequest
    from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadInputRegistersRequest

    classes = (
        ReadCoilsRequest,
        ReadDiscreteInputsRequest,
        ReadHoldingRegistersRequest,
        ReadInputRegistersRequest,
    )
    code, address, count = struct.unpack(">BHH", pdu)
    if code not in READ_CODES:
        raise PermissionError(f"function code {code} is not among those that only read")
    request: ModbusPDU = classes[code - 1](address=address, count=count, dev_id=unit_id)
    return request
