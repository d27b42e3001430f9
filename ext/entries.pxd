# cython: language_level=3
"""The loop that fills a table from registers: one entry a signal, in a flat array, without a Python object."""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from ext.orders cimport BYTES_LITTLE, from_bcd, order32, order64
from ext.reader cimport Reader, is_same, read_bytes, read_u8, read_u16_be, read_u32_be, read_u64_be, read_u64_host, swap16
from ext.table cimport WHY_BCD, SignalTable, set_bad, set_bool, set_double, set_int, set_text, set_uint
from ext.text cimport unpadded

cdef enum Op:
    OP_BIT_TABLE, OP_BIT, OP_I16, OP_U16, OP_I32, OP_U32, OP_I64, OP_U64, OP_F32, OP_F64, OP_BCD16, OP_BCD32, OP_TEXT
    OP_FIELD16, OP_FIELD32, OP_FIELD64

cdef enum:
    MAX_TEXT = 250              # 125 registers
    CHUNK = 8                   # bytes of a reply that are compared at once with those of the last

cdef struct Entry:              # 48 bytes: how one signal is read
    double scale
    double offset
    uint64_t mask               # of a bit field, when it was shifted down
    int32_t signal
    int32_t at                  # byte, or bit in a table of bits
    int32_t invalid             # the first of its invalid values
    uint16_t n_invalid
    uint16_t length             # of a text, in bytes
    uint16_t size               # bytes of the reply that it lies in
    uint8_t op
    uint8_t order
    uint8_t bit
    uint8_t scaled

cdef struct Invalid:            # a raw value that means bad
    uint64_t pattern
    int32_t why

cdef struct Span:               # the entries that have a byte in one chunk of the reply; 0 to 0 is none
    int32_t first
    int32_t end


cdef inline bint is_invalid(SignalTable table, Entry* entry, const Invalid* invalid, uint64_t pattern) noexcept nogil:
    """Whether the raw value is one that means bad; then the signal is."""
    cdef Py_ssize_t i
    for i in range(entry.invalid, entry.invalid + entry.n_invalid):
        if invalid[i].pattern == pattern:
            set_bad(table, entry.signal, invalid[i].why)
            return True
    return False


cdef inline void set_signed(SignalTable table, Entry* entry, int64_t raw) noexcept nogil:
    if entry.scaled:
        set_double(table, entry.signal, raw * entry.scale + entry.offset)
    else:
        set_int(table, entry.signal, raw)


cdef inline void set_unsigned(SignalTable table, Entry* entry, uint64_t raw) noexcept nogil:
    if entry.scaled:
        set_double(table, entry.signal, raw * entry.scale + entry.offset)
    else:
        set_uint(table, entry.signal, raw)


cdef inline void set_decimal(SignalTable table, Entry* entry, uint32_t raw) noexcept nogil:
    cdef int64_t decimal = from_bcd(raw)
    if decimal < 0:
        set_bad(table, entry.signal, WHY_BCD)
    else:
        set_unsigned(table, entry, <uint64_t>decimal)


cdef inline void set_float(SignalTable table, Entry* entry, double raw) noexcept nogil:
    set_double(table, entry.signal, raw * entry.scale + entry.offset if entry.scaled else raw)


cdef inline void set_string(SignalTable table, Entry* entry, Reader* reader) noexcept nogil:
    cdef uint8_t text[MAX_TEXT + 2]
    cdef uint8_t first
    cdef int i
    cdef int size = (entry.length + 1) & ~1
    if not read_bytes(reader, entry.at, text, size):
        return
    if entry.order & BYTES_LITTLE:
        for i in range(0, size, 2):
            first = text[i]
            text[i] = text[i + 1]
            text[i + 1] = first
    set_text(table, entry.signal, text, unpadded(text, entry.length, table.slots[entry.signal].encoding))


cdef inline void run(
    SignalTable table, Entry* entries, Py_ssize_t begin, Py_ssize_t end, const Invalid* invalid, Reader* reader
) noexcept nogil:
    """Decode the entries from `begin` up to `end`."""
    cdef Py_ssize_t i
    cdef Entry* entry
    cdef uint16_t raw16
    cdef uint32_t raw32
    cdef uint64_t raw64
    cdef float single
    cdef double number
    for i in range(begin, end):
        entry = &entries[i]
        if entry.op == OP_F32 or entry.op == OP_U32 or entry.op == OP_I32 or entry.op == OP_BCD32:
            raw32 = order32(read_u32_be(reader, entry.at), entry.order)
            if entry.n_invalid and is_invalid(table, entry, invalid, raw32):
                continue
            if entry.op == OP_F32:
                memcpy(&single, &raw32, 4)
                set_float(table, entry, single)
            elif entry.op == OP_U32:
                set_unsigned(table, entry, raw32)
            elif entry.op == OP_I32:
                set_signed(table, entry, <int32_t>raw32)
            else:
                set_decimal(table, entry, raw32)
        elif entry.op == OP_U16 or entry.op == OP_I16 or entry.op == OP_BIT or entry.op == OP_BCD16:
            raw16 = read_u16_be(reader, entry.at)
            if entry.order & BYTES_LITTLE:
                raw16 = swap16(raw16)
            if entry.n_invalid and is_invalid(table, entry, invalid, raw16):
                continue
            if entry.op == OP_U16:
                set_unsigned(table, entry, raw16)
            elif entry.op == OP_I16:
                set_signed(table, entry, <int16_t>raw16)
            elif entry.op == OP_BIT:
                set_bool(table, entry.signal, (raw16 >> entry.bit) & 1)
            else:
                set_decimal(table, entry, raw16)
        elif entry.op == OP_BIT_TABLE:
            set_bool(table, entry.signal, (read_u8(reader, entry.at >> 3) >> (entry.at & 7)) & 1)
        elif entry.op == OP_TEXT:
            set_string(table, entry, reader)
        elif entry.op == OP_F64 or entry.op == OP_U64 or entry.op == OP_I64:
            raw64 = order64(read_u64_be(reader, entry.at), entry.order)
            if entry.n_invalid and is_invalid(table, entry, invalid, raw64):
                continue
            if entry.op == OP_F64:
                memcpy(&number, &raw64, 8)
                set_float(table, entry, number)
            elif entry.op == OP_U64:
                set_unsigned(table, entry, raw64)
            else:
                set_signed(table, entry, <int64_t>raw64)
        else:
            if entry.op == OP_FIELD16:
                raw64 = read_u16_be(reader, entry.at)
                if entry.order & BYTES_LITTLE:
                    raw64 = swap16(<uint16_t>raw64)
            elif entry.op == OP_FIELD32:
                raw64 = order32(read_u32_be(reader, entry.at), entry.order)
            else:
                raw64 = order64(read_u64_be(reader, entry.at), entry.order)
            raw64 = (raw64 >> entry.bit) & entry.mask
            if entry.n_invalid and is_invalid(table, entry, invalid, raw64):
                continue
            set_uint(table, entry.signal, raw64)


cdef inline void run_changed(
    SignalTable table, Entry* entries, const Invalid* invalid, const Span* spans, uint64_t* last, Reader* reader
) noexcept nogil:
    """Decode the entries whose bytes differ from those of the last reply, and keep the reply as the last.

    A value that did not change costs its share of a comparison: its bytes are not even decoded. Entries
    lie in the order of their bytes, so that chunks which changed side by side make one run.
    """
    cdef Py_ssize_t begin = 0
    cdef Py_ssize_t end = 0
    cdef Py_ssize_t chunk
    cdef Py_ssize_t at = 0
    cdef uint64_t now
    for chunk in range((reader.length + CHUNK - 1) // CHUNK):
        if at + CHUNK <= reader.length:
            now = read_u64_host(reader, at)
        else:
            now = 0
            read_bytes(reader, at, <uint8_t*>&now, reader.length - at)
        at += CHUNK
        if now == last[chunk]:
            continue
        last[chunk] = now
        if spans[chunk].first > end:
            run(table, entries, begin, end, invalid, reader)
            begin = spans[chunk].first
        if spans[chunk].end > end:
            end = spans[chunk].end
    run(table, entries, begin, end, invalid, reader)
