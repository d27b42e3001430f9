# cython: language_level=3
"""What a message router reply must be beside its data: heads, statuses, offsets, types and lengths, all checked.

Message router reply: CIP Volume 1, 2-4.2; Multiple Service Packet: CIP Volume 1, A-4.10; Read Tag and Read Tag
Fragmented: 1756-PM020, "Services supported by Logix 5000 controllers".
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t
from libc.string cimport memcmp

from ext.reader cimport Reader, read_u8, read_u16_le

cdef enum:
    REPLY = 0x80
    GET_ATTRIBUTE_LIST = 0x03
    MULTIPLE_SERVICE_PACKET = 0x0A
    GET_ATTRIBUTE_SINGLE = 0x0E
    READ_TAG = 0x4C
    READ_TAG_FRAGMENTED = 0x52

cdef enum:
    SUCCESS = 0x00
    PARTIAL_TRANSFER = 0x06
    EMBEDDED_SERVICE_ERROR = 0x1E
    ATTRIBUTE_SIZE = 0x100      # of our own, beyond all general statuses: an attribute of another size than planned

cdef enum:
    STRUCTURE = 0x02A0          # type of a structure; its handle follows

cdef enum Fault:                # the order of cip.pyx's FAULTS
    NO_FAULT, IN_HEAD, IN_EXTENDED, IN_OFFSETS, IN_TYPE, IN_TEXT, OTHER_SERVICE, OTHER_COUNT, OTHER_OFFSET
    NO_ROOM, OTHER_LENGTH, OTHER_TYPE, OTHER_HANDLE, OTHER_EDITION, REFUSED

cdef struct Finding:            # what makes a reply as a whole unusable
    Fault fault
    int32_t service
    Py_ssize_t offset
    Py_ssize_t told
    Py_ssize_t wanted

cdef enum Asks:
    FOR_TAG, FOR_ATTRIBUTE, FOR_EDITION

cdef struct Service:
    const uint8_t* edition      # FOR_EDITION: what the reply must bring
    int32_t size                # bytes of its data
    int32_t place               # of an examined reply: where they begin; below 0 where it was refused
    int32_t length              # how many there are
    int32_t status              # general status, or ATTRIBUTE_SIZE
    int32_t extended            # first word of extended status
    uint16_t type
    uint16_t handle             # of a structure
    uint8_t prefix              # of a text that says how long it is: bytes of that
    uint8_t asks


cdef inline Py_ssize_t found(Finding* finding, Fault fault, Py_ssize_t offset, Py_ssize_t told, Py_ssize_t wanted
                             ) noexcept nogil:
    finding.fault, finding.offset, finding.told, finding.wanted = fault, offset, told, wanted
    return -1


cdef inline bint is_padded(Py_ssize_t length, Py_ssize_t size) noexcept nogil:
    """Whether so many bytes are the expected ones, or one more that makes them whole words."""
    return length == size or (size % 2 == 1 and length == size + 1)


cdef inline int32_t extended_status(Reader* reader, Py_ssize_t begin, Py_ssize_t data) noexcept nogil:
    return read_u16_le(reader, begin + 4) if data > begin + 4 else 0


cdef inline Py_ssize_t examine_head(
    Reader* reader, Py_ssize_t begin, Py_ssize_t end, int service, Finding* finding
) noexcept nogil:
    """Check service, reserved byte, general status and extended status of a reply. Returns where they end, or -1."""
    if end - begin < 4:
        return found(finding, IN_HEAD, end, 0, 0)
    if read_u8(reader, begin) != (service | REPLY):
        return found(finding, OTHER_SERVICE, begin, read_u8(reader, begin), service | REPLY)
    cdef Py_ssize_t data = begin + 4 + 2 * read_u8(reader, begin + 3)
    if data > end:
        return found(finding, IN_EXTENDED, end, 0, 0)
    return data


cdef inline Py_ssize_t examine_type(
    Reader* reader, const Service* service, Py_ssize_t at, Py_ssize_t end, Finding* finding
) noexcept nogil:
    """Check the type at `at`. Returns where it ends, or -1."""
    cdef Py_ssize_t data = at + (4 if service.type == STRUCTURE else 2)
    if end < at + 2:
        return found(finding, IN_TYPE, end, 0, 0)
    if read_u16_le(reader, at) != service.type:
        return found(finding, OTHER_TYPE, at, read_u16_le(reader, at), service.type)
    if end < data:
        return found(finding, IN_TYPE, end, 0, 0)
    if service.type == STRUCTURE and read_u16_le(reader, at + 2) != service.handle:
        return found(finding, OTHER_HANDLE, at + 2, read_u16_le(reader, at + 2), service.handle)
    return data


cdef inline Py_ssize_t examine_attribute(
    Reader* reader, Service* service, Py_ssize_t data, Py_ssize_t end, Finding* finding
) noexcept nogil:
    """Note an attribute's data; one of another size than planned is refused alone. Returns -1 for a fault."""
    cdef Py_ssize_t size = service.size
    if service.prefix and end - data < service.prefix:
        return found(finding, IN_TEXT, end, 0, 0)
    if service.prefix:
        size = service.prefix + (read_u8(reader, data) if service.prefix == 1 else read_u16_le(reader, data))
        if end - data < size:
            return found(finding, IN_TEXT, end, 0, 0)
    if not is_padded(end - data, size):
        service.status, service.extended = ATTRIBUTE_SIZE, <int32_t>(end - data)
        return 0
    service.place, service.length = <int32_t>data, <int32_t>size
    return 0


cdef inline Py_ssize_t examine_service(
    Reader* reader, Service* service, Py_ssize_t begin, Py_ssize_t end, Finding* finding
) noexcept nogil:
    """Note where one service's data lie, or its status where it was refused. Returns -1 for a fault."""
    cdef int code = READ_TAG
    if service.asks != FOR_TAG:
        code = GET_ATTRIBUTE_SINGLE if service.asks == FOR_ATTRIBUTE else GET_ATTRIBUTE_LIST
    cdef Py_ssize_t data = examine_head(reader, begin, end, code, finding)
    if data < 0:
        return -1
    service.place, service.length, service.extended = -1, 0, 0
    service.status = read_u8(reader, begin + 2)
    if service.status != SUCCESS:
        service.extended = extended_status(reader, begin, data)
        if service.asks == FOR_EDITION:     # without it nothing of the packet can be believed
            return found(finding, REFUSED, begin + 2, service.status, service.extended)
        return 0
    if service.asks == FOR_EDITION:
        if end - data != service.size or memcmp(reader.data + data, service.edition, service.size) != 0:
            return found(finding, OTHER_EDITION, data, 0, 0)
        return 0
    if service.asks == FOR_ATTRIBUTE:
        return examine_attribute(reader, service, data, end, finding)
    data = examine_type(reader, service, data, end, finding)
    if data < 0:
        return -1
    if not is_padded(end - data, service.size):
        return found(finding, OTHER_LENGTH, min(end, data + service.size), end - data, service.size)
    service.place, service.length = <int32_t>data, service.size
    return 0


cdef inline Py_ssize_t examine_packet(Reader* reader, Service* services, Py_ssize_t n, Finding* finding) noexcept nogil:
    """Note where each service's data lie in the reply to a Multiple Service Packet. Returns -1 for a fault."""
    cdef Py_ssize_t i, begin, end
    cdef Py_ssize_t data = examine_head(reader, 0, reader.length, MULTIPLE_SERVICE_PACKET, finding)
    if data < 0:
        return -1
    cdef int status = read_u8(reader, 2)
    if status != SUCCESS and status != EMBEDDED_SERVICE_ERROR:
        return found(finding, REFUSED, 2, status, extended_status(reader, 0, data))
    cdef Py_ssize_t table = data + 2
    if reader.length < table + 2 * n:
        return found(finding, IN_OFFSETS, reader.length, 0, 0)
    if read_u16_le(reader, data) != n:
        return found(finding, OTHER_COUNT, data, read_u16_le(reader, data), n)
    if read_u16_le(reader, table) != 2 + 2 * n:
        return found(finding, OTHER_OFFSET, table, read_u16_le(reader, table), 2 + 2 * n)
    begin = table + 2 * n
    for i in range(n):
        finding.service = <int32_t>i
        end = reader.length
        if i + 1 < n:
            end = data + read_u16_le(reader, table + 2 * (i + 1))
            if not begin + 4 <= end <= reader.length:
                return found(finding, NO_ROOM, table + 2 * (i + 1), end - data, 0)
        if examine_service(reader, &services[i], begin, end, finding) < 0:
            return -1
        begin = end
    return 0
