# cython: language_level=3
"""One decoded OPC UA value into one signal: exactly, or not at all."""

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from ext.opcua_binary cimport (
    SIZES,
    UA_BOOLEAN,
    UA_DATE_TIME,
    UA_DOUBLE,
    UA_FLOAT,
    UA_GUID,
    UA_INT16,
    UA_INT32,
    UA_INT64,
    UA_LOCALIZED_TEXT,
    UA_SBYTE,
    UA_STATUS_CODE,
    UA_UINT16,
    UA_UINT32,
    UA_UINT64,
    UA_XML_ELEMENT,
    Found,
    Scan,
    over_count,
    over_localized_text,
    over_sized,
)
from ext.reader cimport read_first_le, read_u64_le, reader_has
from ext.table cimport (
    Kind,
    SignalTable,
    Slot,
    set_bad,
    set_bool_as,
    set_double_as,
    set_int_as,
    set_text_as,
    set_uint_as,
)
from ext.text cimport UTF_8

cdef enum:
    WHOLE = -1                  # no element: the value itself

cdef extern from *:
    """
    #define LG_UNIX_EPOCH INT64_C(116444736000000000)
    #define LG_LAST_TICK INT64_C(2650467743999999999)
    """
    const int64_t UNIX_EPOCH "LG_UNIX_EPOCH"    # 1970 in ticks of 100 ns since 1601
    const int64_t LAST_TICK "LG_LAST_TICK"      # the end of the year 9999

cdef enum Outcome:
    IS_SET
    IS_MISMATCH                 # a type that the signal cannot hold exactly
    IS_BEYOND                   # no such element
    IS_ARRAY                    # and no element is asked for
    IS_NO_ARRAY                 # and an element is asked for
    IS_TOO_LONG                 # a text

cdef struct Binding:            # how a handle's value goes into one signal
    double scale
    double offset
    uint64_t mask               # of a bit field, when it was shifted down; 0: no field
    int32_t handle
    int32_t signal
    int32_t next                # binding of the same handle; -1: none
    int32_t element
    int32_t invalid             # the first of its invalid values
    uint16_t n_invalid
    uint8_t first_bit
    uint8_t last_bit
    uint8_t scaled
    uint8_t by_caller

cdef struct Invalid:            # a raw value that means bad
    double number
    int64_t whole
    int32_t why
    uint8_t is_whole            # of integers: `whole` (or, beyond 63 bits, its pattern) is the number
    uint8_t is_large


cdef inline bint is_native(const Found* found) noexcept nogil:
    """Whether `set_found` can take the value at all; the others are for the caller."""
    return not found.is_matrix and (
        found.type <= UA_GUID or found.type == UA_XML_ELEMENT or found.type == UA_STATUS_CODE
        or found.type == UA_LOCALIZED_TEXT
    )


cdef inline bint is_invalid_whole(const Binding* binding, const Invalid* invalid, uint64_t pattern, int bits,
                                  int32_t* why) noexcept nogil:
    """Whether an integer, as its bit pattern, is one that means bad: written as itself or as its pattern."""
    cdef Py_ssize_t i
    cdef uint64_t mask = 0xFFFFFFFFFFFFFFFFu >> (64 - bits)
    cdef int64_t least = -<int64_t>(mask >> 1) - 1
    for i in range(binding.invalid, binding.invalid + binding.n_invalid):
        if not invalid[i].is_whole or (<uint64_t>invalid[i].whole & mask) != pattern:
            continue
        if invalid[i].is_large or invalid[i].whole >= 0:
            if <uint64_t>invalid[i].whole > mask:
                continue
        elif invalid[i].whole < least:
            continue
        why[0] = invalid[i].why
        return True
    return False


cdef inline bint is_invalid_float(const Binding* binding, const Invalid* invalid, double value, bint single,
                                  int32_t* why) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(binding.invalid, binding.invalid + binding.n_invalid):
        if value == (<double><float>invalid[i].number if single else invalid[i].number):
            why[0] = invalid[i].why
            return True
    return False


cdef inline Outcome set_float(
    SignalTable table, const Binding* binding, const Invalid* invalid, double value, bint single, uint8_t quality,
    int32_t why
) noexcept nogil:
    if table.slots[binding.signal].kind != Kind.FLOAT or binding.mask:
        return IS_MISMATCH
    if binding.n_invalid and is_invalid_float(binding, invalid, value, single, &why):
        set_bad(table, binding.signal, why)
        return IS_SET
    if binding.scaled:
        value = value * binding.scale + binding.offset
    set_double_as(table, binding.signal, value, quality, why)
    return IS_SET


cdef inline Outcome set_whole(
    SignalTable table, const Binding* binding, const Invalid* invalid, int64_t value, int octets, bint signed,
    uint8_t quality, int32_t why
) noexcept nogil:
    """An integer of so many octets; where not `signed`, `value` is the pattern of an unsigned one."""
    cdef uint8_t kind = table.slots[binding.signal].kind
    cdef uint64_t pattern = <uint64_t>value
    cdef int bits = 8 * octets
    if octets < 8:
        pattern &= (<uint64_t>1 << bits) - 1
    if binding.mask:
        if binding.last_bit >= bits:
            return IS_MISMATCH
        pattern = (pattern >> binding.first_bit) & binding.mask
        bits = binding.last_bit - binding.first_bit + 1
    if binding.n_invalid and is_invalid_whole(binding, invalid, pattern, bits, &why):
        set_bad(table, binding.signal, why)
        return IS_SET
    if binding.mask:
        if kind == Kind.UINT:
            set_uint_as(table, binding.signal, pattern, quality, why)
        elif kind == Kind.BOOL:
            set_bool_as(table, binding.signal, pattern != 0, quality, why)
        else:
            return IS_MISMATCH
    elif kind == Kind.INT and (signed or octets < 8):
        set_int_as(table, binding.signal, value, quality, why)
    elif kind == Kind.UINT and not signed:
        set_uint_as(table, binding.signal, pattern, quality, why)
    elif kind != Kind.FLOAT:
        return IS_MISMATCH
    elif binding.scaled:
        set_double_as(table, binding.signal,
                      (<double>value if signed else <double>pattern) * binding.scale + binding.offset, quality, why)
    elif octets < 8:
        set_double_as(table, binding.signal, <double>value, quality, why)
    else:
        return IS_MISMATCH
    return IS_SET


cdef inline Outcome set_number(
    SignalTable table, const Binding* binding, const Invalid* invalid, uint8_t type, uint64_t raw, uint8_t quality,
    int32_t why
) noexcept nogil:
    """A number whose bytes, little-endian, are the first of `raw`."""
    cdef float single
    cdef double number
    if type == UA_DOUBLE:
        memcpy(&number, &raw, 8)
        return set_float(table, binding, invalid, number, False, quality, why)
    if type == UA_FLOAT:
        memcpy(&single, &raw, 4)
        return set_float(table, binding, invalid, single, True, quality, why)
    if type == UA_BOOLEAN:
        if table.slots[binding.signal].kind != Kind.BOOL or binding.mask:
            return IS_MISMATCH
        set_bool_as(table, binding.signal, <uint8_t>raw != 0, quality, why)
        return IS_SET
    if type == UA_INT32:
        return set_whole(table, binding, invalid, <int32_t>raw, 4, True, quality, why)
    if type == UA_UINT32 or type == UA_STATUS_CODE:
        return set_whole(table, binding, invalid, <uint32_t>raw, 4, False, quality, why)
    if type == UA_INT16:
        return set_whole(table, binding, invalid, <int16_t>raw, 2, True, quality, why)
    if type == UA_UINT16:
        return set_whole(table, binding, invalid, <uint16_t>raw, 2, False, quality, why)
    if type == UA_INT64:
        return set_whole(table, binding, invalid, <int64_t>raw, 8, True, quality, why)
    if type == UA_UINT64:
        return set_whole(table, binding, invalid, <int64_t>raw, 8, False, quality, why)
    if type == UA_SBYTE:
        return set_whole(table, binding, invalid, <int8_t>raw, 1, True, quality, why)
    return set_whole(table, binding, invalid, <uint8_t>raw, 1, False, quality, why)


cdef inline void write_digits(uint8_t* target, int digits, uint64_t number) noexcept nogil:
    while digits:
        digits -= 1
        target[digits] = <uint8_t>(48 + number % 10)
        number //= 10


cdef inline void write_time(uint8_t* text, int64_t ticks) noexcept nogil:
    """RFC 3339 in UTC with milliseconds, 24 bytes; what is outside 1601 to 9999 is the nearer end (Part 6, 5.2.2.5)."""
    cdef int64_t within = min(max(ticks, 0), LAST_TICK)
    cdef uint64_t ms = <uint64_t>within // 10000
    cdef uint32_t day = <uint32_t>(ms // 86400000)      # since 1601-01-01, which begins 400 years of the calendar
    cdef uint32_t year = 1601 + day // 146097 * 400
    cdef uint32_t part
    ms %= 86400000
    day %= 146097
    part = min(day // 36524, <uint32_t>3)                        # centuries, of which the fourth is a day longer
    year += part * 100
    day -= part * 36524
    part = day // 1461
    year += part * 4
    day -= part * 1461
    part = min(day // 365, <uint32_t>3)
    year += part
    day -= part * 365
    cdef bint leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    cdef uint32_t month = 1
    cdef uint32_t length = 31
    while day >= length:
        day -= length
        month += 1
        length = 28 + leap if month == 2 else 30 + ((month + month // 8) & 1)
    memcpy(text, b"0000-00-00T00:00:00.000Z", 24)
    write_digits(text, 4, year)
    write_digits(text + 5, 2, month)
    write_digits(text + 8, 2, day + 1)
    write_digits(text + 11, 2, ms // 3600000)
    write_digits(text + 14, 2, ms // 60000 % 60)
    write_digits(text + 17, 2, ms // 1000 % 60)
    write_digits(text + 20, 3, ms % 1000)


cdef inline void write_guid(uint8_t* text, const uint8_t* raw) noexcept nogil:
    """RFC 4122, 36 bytes; the first three fields are little-endian (Part 6, 5.2.2.6)."""
    cdef const uint8_t* order = <const uint8_t*>b"\3\2\1\0\5\4\7\6\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"
    cdef const uint8_t* digits = <const uint8_t*>b"0123456789abcdef"
    cdef int i
    cdef int at = 0
    for i in range(16):
        if i == 4 or i == 6 or i == 8 or i == 10:
            text[at] = 45
            at += 1
        text[at] = digits[raw[order[i]] >> 4]
        text[at + 1] = digits[raw[order[i]] & 15]
        at += 2


cdef inline Outcome set_words(
    SignalTable table, const Binding* binding, Scan* scan, uint8_t type, Py_ssize_t at, uint8_t quality, int32_t why,
    Py_ssize_t* length
) noexcept nogil:
    """A text, or what is written as one; a null String is an empty one. `length` becomes its bytes."""
    cdef Slot* slot = &table.slots[binding.signal]
    cdef uint8_t made[36]
    cdef const uint8_t* text = made
    if slot.kind != Kind.TEXT or slot.encoding != UTF_8:
        return IS_MISMATCH
    length[0] = 0
    if type == UA_DATE_TIME:
        length[0] = 24
        write_time(made, <int64_t>read_u64_le(&scan.reader, at))
    elif type == UA_GUID:
        length[0] = 36
        if reader_has(&scan.reader, at, 16):
            write_guid(made, scan.reader.data + at)
    else:
        if type == UA_LOCALIZED_TEXT:
            over_localized_text(scan, at, &at)
        if at >= 0:
            at = over_count(scan, at, length)
            if reader_has(&scan.reader, at, length[0]):
                text = scan.reader.data + at
    if length[0] > slot.text_capacity:
        return IS_TOO_LONG
    set_text_as(table, binding.signal, text, length[0], quality, why)
    return IS_SET


cdef inline Outcome set_found(
    SignalTable table, const Binding* binding, const Invalid* invalid, Scan* scan, const Found* found,
    uint8_t quality, int32_t why, Py_ssize_t* length
) noexcept nogil:
    """Set a signal from a value that is native, and was found whole; `length` becomes that of a text."""
    cdef Py_ssize_t at = found.data
    cdef Py_ssize_t i
    if found.count < 0:
        if binding.element != WHOLE:
            return IS_NO_ARRAY
    elif binding.element == WHOLE:
        return IS_ARRAY
    elif binding.element >= found.count:
        return IS_BEYOND
    elif SIZES[found.type]:
        at += binding.element * SIZES[found.type]
    else:
        for i in range(binding.element):
            at = over_sized(scan, at, found.type, 0)
    if found.type <= UA_DOUBLE or found.type == UA_STATUS_CODE:
        return set_number(table, binding, invalid, found.type,
                          read_first_le(&scan.reader, at, SIZES[found.type]), quality, why)
    return set_words(table, binding, scan, found.type, at, quality, why, length)
