"""The closed list of what is ever asked of a Modbus device: function codes 1 to 4, which only read."""

from __future__ import annotations

from pymodbus.pdu import ModbusPDU
from pymodbus.pdu.bit_message import ReadCoilsRequest, ReadDiscreteInputsRequest
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadInputRegistersRequest

from protocols.modbus.config import Table

_REQUESTS: dict[Table, type[ModbusPDU]] = {
    Table.COIL: ReadCoilsRequest,
    Table.DISCRETE: ReadDiscreteInputsRequest,
    Table.HOLDING: ReadHoldingRegistersRequest,
    Table.INPUT: ReadInputRegistersRequest,
}


def read_request(table: Table, address: int, count: int, unit_id: int) -> ModbusPDU:
    """The only way in which the driver makes a request; a table's value is its function code."""
    request = _REQUESTS[table](address=address, count=count, dev_id=unit_id)
    if request.function_code != table or request.function_code not in (1, 2, 3, 4):
        raise PermissionError(f"function code {request.function_code} is not among those that only read")
    return request
