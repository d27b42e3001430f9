# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Modbus registers and bits into the signal table, by plans compiled at load into flat arrays."""

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from ext.reader cimport Reader, read_bytes, read_u8, read_u16_be, read_u32_be, read_u64_be, swap16
from ext.table cimport (
    WHY_BCD,
    Kind,
    SignalTable,
    set_bad,
    set_bool,
    set_double,
    set_int,
    set_text,
    set_uint,
)

from ext.table import DecodeError

cdef enum Op:
    OP_BIT_TABLE, OP_BIT, OP_I16, OP_U16, OP_I32, OP_U32, OP_I64, OP_U64, OP_F32, OP_F64, OP_BCD16, OP_BCD32, OP_TEXT

cdef enum:
    WORDS_LITTLE = 1            # the least significant register comes first
    BYTES_LITTLE = 2            # the less significant byte of a register comes first
    MAX_TEXT = 250              # 125 registers

cdef struct Entry:              # 40 bytes: how one signal is read
    double scale
    double offset
    int32_t signal
    int32_t at                  # byte, or bit in a table of bits
    uint16_t length
    uint8_t op
    uint8_t order
    uint8_t bit
    uint8_t scaled

# type: (operation, bytes, kind)
cdef dict TYPES = {
    "int16": (OP_I16, 2, Kind.INT), "uint16": (OP_U16, 2, Kind.UINT),
    "int32": (OP_I32, 4, Kind.INT), "uint32": (OP_U32, 4, Kind.UINT),
    "int64": (OP_I64, 8, Kind.INT), "uint64": (OP_U64, 8, Kind.UINT),
    "float32": (OP_F32, 4, Kind.FLOAT), "float64": (OP_F64, 8, Kind.FLOAT),
    "bcd16": (OP_BCD16, 2, Kind.UINT), "bcd32": (OP_BCD32, 4, Kind.UINT),
}


cdef inline uint32_t order32(uint32_t value, uint8_t order) noexcept nogil:
    """The number of two registers that were read as one big-endian number."""
    if order & WORDS_LITTLE:
        value = (value << 16) | (value >> 16)
    if order & BYTES_LITTLE:
        value = ((value & 0x00FF00FFu) << 8) | ((value >> 8) & 0x00FF00FFu)
    return value


cdef inline uint64_t order64(uint64_t value, uint8_t order) noexcept nogil:
    """The same of four registers."""
    if order & WORDS_LITTLE:
        value = (value << 32) | (value >> 32)
        value = ((value & 0x0000FFFF0000FFFFull) << 16) | ((value >> 16) & 0x0000FFFF0000FFFFull)
    if order & BYTES_LITTLE:
        value = ((value & 0x00FF00FF00FF00FFull) << 8) | ((value >> 8) & 0x00FF00FF00FF00FFull)
    return value


cdef inline int64_t from_bcd(uint32_t raw) noexcept nogil:
    """The decimal number in binary-coded digits, or -1 where a digit is above 9."""
    cdef int64_t value = 0
    cdef int shift
    cdef uint32_t digit
    for shift in range(28, -4, -4):
        digit = (raw >> shift) & 0xF
        if digit > 9:
            return -1
        value = value * 10 + digit
    return value


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


cdef inline void set_float(SignalTable table, Entry* entry, double raw) noexcept nogil:
    set_double(table, entry.signal, raw * entry.scale + entry.offset if entry.scaled else raw)


cdef void set_string(SignalTable table, Entry* entry, Reader* reader) noexcept nogil:
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
    set_text(table, entry.signal, text, entry.length)


cdef void run(SignalTable table, Entry* entries, Py_ssize_t n, Reader* reader) noexcept nogil:
    cdef Py_ssize_t i
    cdef Entry* entry
    cdef uint16_t raw16
    cdef uint32_t raw32
    cdef uint64_t raw64
    cdef int64_t decimal
    cdef float single
    cdef double number
    for i in range(n):
        entry = &entries[i]
        if entry.op == OP_F32:
            raw32 = order32(read_u32_be(reader, entry.at), entry.order)
            memcpy(&single, &raw32, 4)
            set_float(table, entry, single)
        elif entry.op == OP_U16 or entry.op == OP_I16 or entry.op == OP_BIT or entry.op == OP_BCD16:
            raw16 = read_u16_be(reader, entry.at)
            if entry.order & BYTES_LITTLE:
                raw16 = swap16(raw16)
            if entry.op == OP_U16:
                set_unsigned(table, entry, raw16)
            elif entry.op == OP_I16:
                set_signed(table, entry, <int16_t>raw16)
            elif entry.op == OP_BIT:
                set_bool(table, entry.signal, (raw16 >> entry.bit) & 1)
            else:
                decimal = from_bcd(raw16)
                if decimal < 0:
                    set_bad(table, entry.signal, WHY_BCD)
                else:
                    set_unsigned(table, entry, <uint64_t>decimal)
        elif entry.op == OP_U32 or entry.op == OP_I32 or entry.op == OP_BCD32:
            raw32 = order32(read_u32_be(reader, entry.at), entry.order)
            if entry.op == OP_U32:
                set_unsigned(table, entry, raw32)
            elif entry.op == OP_I32:
                set_signed(table, entry, <int32_t>raw32)
            else:
                decimal = from_bcd(raw32)
                if decimal < 0:
                    set_bad(table, entry.signal, WHY_BCD)
                else:
                    set_unsigned(table, entry, <uint64_t>decimal)
        elif entry.op == OP_BIT_TABLE:
            set_bool(table, entry.signal, (read_u8(reader, entry.at >> 3) >> (entry.at & 7)) & 1)
        elif entry.op == OP_TEXT:
            set_string(table, entry, reader)
        else:
            raw64 = order64(read_u64_be(reader, entry.at), entry.order)
            if entry.op == OP_U64:
                set_unsigned(table, entry, raw64)
            elif entry.op == OP_I64:
                set_signed(table, entry, <int64_t>raw64)
            else:
                memcpy(&number, &raw64, 8)
                set_float(table, entry, number)


cdef class RegisterPlan:
    """How the reply to one request fills a table: `count` registers, or bits where `bits` is true.

    `add` checks each signal against the block once, so that `decode` needs only the length of the
    payload to be what was asked for; reads are bounds-checked all the same.
    """

    cdef SignalTable table
    cdef Entry* entries
    cdef Py_ssize_t n
    cdef Py_ssize_t capacity
    cdef readonly Py_ssize_t count
    cdef readonly bint bits
    cdef readonly Py_ssize_t size

    def __cinit__(self, SignalTable table not None, Py_ssize_t count, Py_ssize_t signals, *, bint bits=False):
        if not 0 < count <= 65536 or signals < 0:
            raise ValueError(f"a block of {count} with {signals} signals cannot be")
        self.table = table
        self.count = count
        self.bits = bits
        self.size = (count + 7) // 8 if bits else 2 * count
        self.capacity = signals
        self.entries = <Entry*>calloc(max(signals, 1), sizeof(Entry))
        if self.entries == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.entries)

    def add(self, Py_ssize_t signal, Py_ssize_t position, str type not None, *, int bit=0, bint words_little=False,
            bint bytes_little=False, double scale=1.0, double offset=0.0, int length=0):
        """Plan one signal at `position` (register, or bit, from the block's first) and define its kind in the table.

        `type` is bool (of a table of bits, or `bit` of a register), a number type, or string of `length` bytes.
        """
        self.table.check(signal)
        if self.n >= self.capacity:
            raise ValueError("the plan is full")
        if not 0 <= bit <= 15 or not 0 <= length <= MAX_TEXT:
            raise ValueError(f"bit {bit} or length {length} is out of range")
        cdef Entry* entry = &self.entries[self.n]
        cdef Py_ssize_t size
        kind = Kind.BOOL
        if type == "bool":
            entry.op = OP_BIT_TABLE if self.bits else OP_BIT
            size = 1
        elif type == "string":
            entry.op, kind, size = OP_TEXT, Kind.TEXT, (length + 1) // 2
        else:
            entry.op, width, kind = TYPES[type]
            size = width // 2
        if position < 0 or size < 1 or position + size > self.count or (self.bits and type != "bool"):
            raise ValueError(f"a {type} at {position} is outside a block of {self.count}")
        entry.scaled = scale != 1.0 or offset != 0.0
        entry.scale, entry.offset = scale, offset
        entry.signal, entry.at = <int32_t>signal, <int32_t>(position if self.bits else 2 * position)
        entry.length, entry.bit = <uint16_t>length, <uint8_t>bit
        entry.order = (WORDS_LITTLE if words_little else 0) | (BYTES_LITTLE if bytes_little else 0)
        self.table.define(signal, Kind.FLOAT if entry.scaled else kind, length=length)
        self.n += 1

    def decode(self, bytes payload not None):
        """Decode one reply's data into the table. Raises DecodeError where its length is not the planned one."""
        cdef Reader reader
        reader.data = <const uint8_t*><char*>payload
        reader.length = len(payload)
        reader.failed_at = -1
        if reader.length != self.size:
            words = "short" if reader.length < self.size else "long"
            raise DecodeError(f"a reply of {reader.length} bytes is too {words}, {self.size} were asked for",
                              min(reader.length, self.size))
        with nogil:
            run(self.table, self.entries, self.n, &reader)
        if reader.failed_at >= 0:
            raise DecodeError("the plan reads beyond the reply", reader.failed_at)

    def fail(self, str why not None):
        """Make all signals of the block bad."""
        cdef Py_ssize_t i
        cdef int32_t number = self.table.why_number(why)
        for i in range(self.n):
            set_bad(self.table, self.entries[i].signal, number)

    @property
    def signals(self):
        """The numbers of the block's signals, in the order of planning."""
        return [self.entries[i].signal for i in range(self.n)]
