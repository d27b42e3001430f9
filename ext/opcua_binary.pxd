# cython: language_level=3
"""OPC UA's binary encoding (Part 6, 5.2): where each thing ends. Every length is checked, nesting is bounded."""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t

from ext.reader cimport Reader, read_u8, read_u16_le, read_u32_le, read_u64_le, reader_has

cdef enum BuiltIn:              # Part 6, 5.1.2
    UA_NULL = 0
    UA_BOOLEAN = 1
    UA_SBYTE = 2
    UA_BYTE = 3
    UA_INT16 = 4
    UA_UINT16 = 5
    UA_INT32 = 6
    UA_UINT32 = 7
    UA_INT64 = 8
    UA_UINT64 = 9
    UA_FLOAT = 10
    UA_DOUBLE = 11
    UA_STRING = 12
    UA_DATE_TIME = 13
    UA_GUID = 14
    UA_BYTE_STRING = 15
    UA_XML_ELEMENT = 16
    UA_NODE_ID = 17
    UA_EXPANDED_NODE_ID = 18
    UA_STATUS_CODE = 19
    UA_QUALIFIED_NAME = 20
    UA_LOCALIZED_TEXT = 21
    UA_EXTENSION_OBJECT = 22
    UA_DATA_VALUE = 23
    UA_VARIANT = 24
    UA_DIAGNOSTIC_INFO = 25
    UA_LAST = 31                # 26 to 31 are reserved, and encoded as ByteStrings

cdef enum:
    MAX_DEPTH = 100             # of Variants in Variants: what a decoder must be able to read

cdef extern from *:
    """
    static const uint8_t LG_UA_SIZES[64] = {0, 1, 1, 1, 2, 2, 4, 4, 8, 8, 4, 8, 0, 8, 16, 0, 0, 0, 0, 4};
    """
    const uint8_t[64] SIZES "LG_UA_SIZES"    # bytes of the types whose values all have one size, else 0

cdef struct Scan:
    Reader reader
    const char* wrong           # what is wrong at reader.failed_at; NULL: the message ends there

cdef struct Found:              # one DataValue
    Py_ssize_t at               # of its Variant; -1: it has none
    Py_ssize_t data             # of the Variant's value, or its first element
    Py_ssize_t end              # of the Variant
    Py_ssize_t count            # of the elements of an array; -1: not an array
    uint64_t source_ticks       # 100 ns since 1601; 0: none
    uint64_t server_ticks
    uint32_t status
    uint8_t type
    bint is_matrix              # has more than one dimension


# Each of these returns where the thing at `at` ends, and -1 once anything was wrong.

cdef inline Py_ssize_t wrong(Scan* scan, Py_ssize_t at, const char* what) noexcept nogil:
    if scan.reader.failed_at < 0:
        scan.reader.failed_at = at
        scan.wrong = what
    return -1


cdef inline Py_ssize_t over(Scan* scan, Py_ssize_t at, Py_ssize_t size) noexcept nogil:
    return at + size if reader_has(&scan.reader, at, size) else -1


cdef inline Py_ssize_t over_count(Scan* scan, Py_ssize_t at, Py_ssize_t* count) noexcept nogil:
    """The number of elements of an array, or of bytes of a String: null, written as -1, is 0."""
    cdef int32_t raw = <int32_t>read_u32_le(&scan.reader, at)
    count[0] = max(raw, 0)
    if raw < -1:
        return wrong(scan, at, b"a negative length")
    return over(scan, at, 4)


cdef inline Py_ssize_t over_string(Scan* scan, Py_ssize_t at) noexcept nogil:
    cdef Py_ssize_t size
    at = over_count(scan, at, &size)
    return over(scan, at, size)


cdef inline Py_ssize_t over_localized_text(Scan* scan, Py_ssize_t at, Py_ssize_t* text) noexcept nogil:
    """`text` becomes where its text begins, as a String, or -1."""
    cdef uint8_t mask = read_u8(&scan.reader, at)
    at = over(scan, at, 1)
    text[0] = -1
    if mask & 0x01:
        at = over_string(scan, at)
    if mask & 0x02:
        text[0] = at
        at = over_string(scan, at)
    return at


cdef inline Py_ssize_t over_node_id(Scan* scan, Py_ssize_t at, uint32_t* number) noexcept nogil:
    """A NodeId or ExpandedNodeId; `number` becomes the identifier in OPC UA's own namespace, and 0 of any other."""
    cdef uint8_t mask = read_u8(&scan.reader, at)
    cdef uint8_t form = mask & 0x3F
    cdef uint16_t namespace = 0
    number[0] = 0
    at = over(scan, at, 1)
    if form == 0:
        number[0] = read_u8(&scan.reader, at)
        at = over(scan, at, 1)
    elif form == 1:
        namespace = read_u8(&scan.reader, at)
        at = over(scan, at, 1)
        number[0] = read_u16_le(&scan.reader, at)
        at = over(scan, at, 2)
    elif form == 2:
        namespace = read_u16_le(&scan.reader, at)
        at = over(scan, at, 2)
        number[0] = read_u32_le(&scan.reader, at)
        at = over(scan, at, 4)
    elif form == 3 or form == 5:
        at = over_string(scan, over(scan, at, 2))
    elif form == 4:
        at = over(scan, at, 18)
    else:
        return wrong(scan, at, b"no form of a NodeId")
    if mask & 0x80:
        at = over_string(scan, at)
    if mask & 0x40:
        at = over(scan, at, 4)
    if namespace or mask & 0xC0:
        number[0] = 0
    return at


cdef inline Py_ssize_t over_extension_object(
    Scan* scan, Py_ssize_t at, uint32_t* number, Py_ssize_t* body
) noexcept nogil:
    """`body` becomes where its body begins, or its end where it has none."""
    at = over_node_id(scan, at, number)
    cdef uint8_t form = read_u8(&scan.reader, at)
    cdef Py_ssize_t size = 0
    at = over(scan, at, 1)
    body[0] = at
    if form > 2:
        return wrong(scan, at, b"no form of an ExtensionObject")
    if form:
        at = over_count(scan, at, &size)
    body[0] = at
    return over(scan, at, size)


cdef inline Py_ssize_t over_diagnostic_info(Scan* scan, Py_ssize_t at) noexcept nogil:
    cdef uint8_t mask = 0x40
    cdef int bit
    while mask & 0x40 and at >= 0:              # its last field is another one
        mask = read_u8(&scan.reader, at)
        at = over(scan, at, 1)
        for bit in range(4):
            if mask >> bit & 1:
                at = over(scan, at, 4)
        if mask & 0x10:
            at = over_string(scan, at)
        if mask & 0x20:
            at = over(scan, at, 4)
    return at


cdef inline Py_ssize_t over_diagnostic_infos(Scan* scan, Py_ssize_t at) noexcept nogil:
    cdef Py_ssize_t count
    at = over_count(scan, at, &count)
    while count > 0 and at >= 0:
        at = over_diagnostic_info(scan, at)
        count -= 1
    return at


cdef inline Py_ssize_t over_response_header(Scan* scan, Py_ssize_t at, uint32_t* result) noexcept nogil:
    """Part 4, 7.34; `result` becomes the ServiceResult."""
    cdef Py_ssize_t count, body
    cdef uint32_t number
    at = over(scan, at, 12)
    result[0] = read_u32_le(&scan.reader, at)
    at = over_diagnostic_info(scan, over(scan, at, 4))
    at = over_count(scan, at, &count)
    while count > 0 and at >= 0:
        at = over_string(scan, at)
        count -= 1
    return over_extension_object(scan, at, &number, &body)


cdef inline Py_ssize_t over_sized(Scan* scan, Py_ssize_t at, uint8_t type, int depth) noexcept nogil:
    """A value of a type whose values bring their size."""
    cdef uint32_t number
    cdef Py_ssize_t part
    cdef Found found
    if type == UA_STRING or type == UA_BYTE_STRING or type == UA_XML_ELEMENT or type > UA_DIAGNOSTIC_INFO:
        return over_string(scan, at)
    if type == UA_LOCALIZED_TEXT:
        return over_localized_text(scan, at, &part)
    if type == UA_EXTENSION_OBJECT:
        return over_extension_object(scan, at, &number, &part)
    if type == UA_NODE_ID or type == UA_EXPANDED_NODE_ID:
        return over_node_id(scan, at, &number)
    if type == UA_QUALIFIED_NAME:
        return over_string(scan, over(scan, at, 2))
    if type == UA_DIAGNOSTIC_INFO:
        return over_diagnostic_info(scan, at)
    if type == UA_NULL:
        return at
    if depth >= MAX_DEPTH:
        return wrong(scan, at, b"values are nested too deeply")
    if type == UA_VARIANT:
        return find_variant(scan, at, &found, depth + 1)
    return find_data_value(scan, at, &found, depth + 1)


cdef inline Py_ssize_t find_variant(Scan* scan, Py_ssize_t at, Found* found, int depth) noexcept nogil:
    cdef uint8_t mask = read_u8(&scan.reader, at)
    cdef uint8_t type = mask & 0x3F
    cdef Py_ssize_t size = SIZES[type]
    cdef Py_ssize_t left
    found.at = at
    found.type = type
    found.count = -1
    found.is_matrix = False
    at = over(scan, at, 1)
    found.data = at
    if size and not mask & 0xC0:
        found.end = over(scan, at, size)
        return found.end
    if type > UA_LAST:
        return wrong(scan, found.at, b"no built-in type")
    if mask & 0x80:
        at = over_count(scan, at, &found.count)
        found.data = at
        if size or type == UA_NULL:
            at = over(scan, at, found.count * size)
        else:
            left = found.count
            while left > 0 and at >= 0:
                at = over_sized(scan, at, type, depth)
                left -= 1
    elif size:
        at = over(scan, at, size)
    elif type == UA_STRING:
        at = over_string(scan, at)
    else:
        at = over_sized(scan, at, type, depth)
    if mask & 0x40:
        at = over_count(scan, at, &left)
        found.is_matrix = left > 1 or not mask & 0x80
        at = over(scan, at, left * 4)
    found.end = at
    return at


cdef inline Py_ssize_t find_data_value(Scan* scan, Py_ssize_t at, Found* found, int depth) noexcept nogil:
    """Part 6, 5.2.2.17: the picoseconds follow each their own timestamp."""
    cdef uint8_t mask = read_u8(&scan.reader, at)
    if mask & 0xC0:
        return wrong(scan, at, b"no mask of a DataValue")
    at = over(scan, at, 1)
    found.at = -1
    found.status = 0
    found.source_ticks = found.server_ticks = 0
    if mask & 0x01:
        at = find_variant(scan, at, found, depth)
    if mask & 0x02:
        found.status = read_u32_le(&scan.reader, at)
        at = over(scan, at, 4)
    if mask & 0x04:
        found.source_ticks = read_u64_le(&scan.reader, at)
        at = over(scan, at, 8)
    if mask & 0x10:
        at = over(scan, at, 2)
    if mask & 0x08:
        found.server_ticks = read_u64_le(&scan.reader, at)
        at = over(scan, at, 8)
    if mask & 0x20:
        at = over(scan, at, 2)
    return at
