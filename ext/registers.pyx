# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Modbus registers and bits into the signal table, by plans compiled at load into flat arrays."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

from ext.entries cimport (
    CHUNK,
    MAX_TEXT,
    OP_BCD16,
    OP_BCD32,
    OP_BIT,
    OP_BIT_TABLE,
    OP_F32,
    OP_F64,
    OP_FIELD16,
    OP_FIELD32,
    OP_FIELD64,
    OP_I16,
    OP_I32,
    OP_I64,
    OP_TEXT,
    OP_U16,
    OP_U32,
    OP_U64,
    Entry,
    Invalid,
    Span,
    run,
    run_changed,
)
from ext.orders cimport BYTES_LITTLE, WORDS_LITTLE
from ext.reader cimport Reader, is_same, read_bytes
from ext.table cimport Kind, SignalTable, Slot, set_bad

from ext.invalid import patterns, words
from ext.table import DecodeError

cdef enum:
    # Signals from which on the interpreter's lock is released for the loop. A shorter one, all of which runs without
    # a Python object as well, is over before another thread could have begun: releasing adds 45 ns to its 100 to 300,
    # and beside a busy thread the lock comes back after 50 µs on average.
    LONG = 1000

# type: (operation, bytes, kind)
cdef dict TYPES = {
    "int16": (OP_I16, 2, Kind.INT), "uint16": (OP_U16, 2, Kind.UINT),
    "int32": (OP_I32, 4, Kind.INT), "uint32": (OP_U32, 4, Kind.UINT),
    "int64": (OP_I64, 8, Kind.INT), "uint64": (OP_U64, 8, Kind.UINT),
    "float32": (OP_F32, 4, Kind.FLOAT), "float64": (OP_F64, 8, Kind.FLOAT),
    "bcd16": (OP_BCD16, 2, Kind.UINT), "bcd32": (OP_BCD32, 4, Kind.UINT),
}
cdef dict FIELDS = {"uint16": OP_FIELD16, "uint32": OP_FIELD32, "uint64": OP_FIELD64}


cdef class RegisterPlan:
    """How the reply to one request fills a table: `count` registers, or bits where `bits` is true.

    `add` checks each signal against the block once, so that `decode` needs only the length of the
    payload to be what was asked for; reads are bounds-checked all the same. What a device sends again
    unchanged is compared and not decoded. Several plans may read a signal: the last reply decides.
    """

    cdef SignalTable table
    cdef Entry* entries
    cdef Invalid* invalid
    cdef Span* spans
    cdef uint64_t* last         # the bytes of the last reply, in chunks
    cdef uint64_t version       # the table's when `last` was decoded; 0: never, or no longer
    cdef uint32_t number
    cdef bint has_twins         # two entries for one signal
    cdef list planned
    cdef Py_ssize_t n
    cdef Py_ssize_t n_ordered   # of the entries
    cdef Py_ssize_t n_invalid
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
        self.planned = []
        cdef Py_ssize_t chunks = (self.size + CHUNK - 1) // CHUNK
        self.entries = <Entry*>calloc(max(signals, 1), sizeof(Entry))
        self.spans = <Span*>calloc(chunks, sizeof(Span))
        self.last = <uint64_t*>calloc(chunks, CHUNK)
        if self.entries == NULL or self.spans == NULL or self.last == NULL:
            raise MemoryError
        table.n_plans += 1
        self.number = table.n_plans

    def __dealloc__(self):
        free(self.entries)
        free(self.invalid)
        free(self.spans)
        free(self.last)

    def add(self, Py_ssize_t signal, Py_ssize_t position, str type not None, *, int bit=0, int width=0,
            bint words_little=False, bint bytes_little=False, double scale=1.0, double offset=0.0, int length=0,
            str encoding not None="latin-1", invalid=()):
        """Plan one signal at `position` (register, or bit, from the block's first) and define its kind in the table.

        `type` is bool (of a table of bits, or `bit` of a register), a number type, or string of `length`
        bytes in `encoding` (see SignalTable.define), which ends at a NUL or where only spaces follow. Word
        order does not concern strings. `width` makes a bit field of a uint16, uint32 or uint64: so many bits
        from `bit` up, counted from the least significant of the whole, as an unsigned number; 0 is no field.
        `invalid` are raw values, before scaling, that mean bad: of integers and fields the number or its
        bit pattern; of floats the number, or the bit pattern if it is an int; of BCD the number, or the bit
        pattern if it has more digits. Raises ValueError for what cannot be, and then plans nothing.
        """
        self.table.check(signal)
        if self.n >= self.capacity:
            raise ValueError("the plan is full")
        if not 0 <= length <= MAX_TEXT:
            raise ValueError(f"length {length} is out of range")
        if type in ("bool", "string") and (scale != 1.0 or offset != 0.0):
            raise ValueError(f"a {type} has no scale and no offset")
        cdef Entry entry
        cdef Py_ssize_t size        # in registers, or bits of a table of bits
        memset(&entry, 0, sizeof(Entry))
        cdef int bits = 1
        kind = Kind.BOOL
        if type == "bool":
            entry.op = OP_BIT_TABLE if self.bits else OP_BIT
            size = 1
        elif type == "string":
            entry.op, kind, size = OP_TEXT, Kind.TEXT, (length + 1) // 2
            if encoding.startswith("utf-16") and length % 2:
                raise ValueError(f"{length} bytes are no text in {encoding}: its characters have two or four")
        elif type in TYPES:
            entry.op, octets, kind = TYPES[type]
            size, bits = octets // 2, 8 * octets
        else:
            raise ValueError(f"{type} is no type of registers")
        if size < 1 or not 0 <= position <= self.count - size or (self.bits and type != "bool"):
            raise ValueError(f"a {type} at {position} is outside a block of {self.count}")
        entry.scaled = scale != 1.0 or offset != 0.0
        if width != 0 and type != "bool":
            if type not in FIELDS or entry.scaled:
                raise ValueError("a bit field is of an unscaled uint16, uint32 or uint64")
            if not 0 < width <= bits or not 0 <= bit <= bits - width:
                raise ValueError(f"{width} bits from bit {bit} are outside a {type}")
            entry.op, bits = FIELDS[type], width
            entry.mask = 0xFFFFFFFFFFFFFFFFu >> (64 - width)
        elif not 0 <= bit <= 15 or width not in (0, 1):
            raise ValueError(f"bit {bit} or width {width} is out of range")
        bad = list(invalid)
        if bad and type in ("bool", "string"):
            raise ValueError(f"a {type} has no raw values that could be invalid")
        self.add_invalid(&entry, patterns(type, bits, bad), bits)
        entry.scale, entry.offset = scale, offset
        entry.signal, entry.at = <int32_t>signal, <int32_t>(position if self.bits else 2 * position)
        entry.length, entry.bit = <uint16_t>length, <uint8_t>bit
        entry.size = 1 if self.bits else <uint16_t>(2 * size)
        entry.order = (WORDS_LITTLE if words_little else 0) | (BYTES_LITTLE if bytes_little else 0)
        self.table.define(signal, Kind.FLOAT if entry.scaled else kind, length=length, encoding=encoding)
        self.entries[self.n] = entry
        self.planned.append(signal)
        self.n += 1

    cdef int add_invalid(self, Entry* entry, list bad, int bits) except -1:
        cdef Py_ssize_t total = self.n_invalid + len(bad)
        if len(bad) > 65535:
            raise ValueError("a signal has at most 65535 invalid values")
        if not bad:
            return 0
        cdef Invalid* invalid = <Invalid*>realloc(self.invalid, total * sizeof(Invalid))
        if invalid == NULL:
            raise MemoryError
        self.invalid = invalid
        entry.invalid, entry.n_invalid = <int32_t>self.n_invalid, <uint16_t>len(bad)
        for pattern in bad:
            invalid[self.n_invalid] = Invalid(pattern=pattern, why=self.table.why_number(words(pattern, bits)))
            self.n_invalid += 1
        return 0

    def decode(self, payload not None, Py_ssize_t start=0, Py_ssize_t size=-1):
        """Decode one reply's data into the table: `size` bytes of `payload` from `start`, or all from there.

        Takes bytes and whatever else lends its memory (bytearray, memoryview), and copies nothing. Raises
        DecodeError where the length is not the planned one, its offset counted from `start`; the table is
        then as before.
        """
        cdef Py_buffer view
        if PyBytes_CheckExact(payload):
            self.decode_part(<const uint8_t*>PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload), start, size)
            return
        PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
        try:
            self.decode_part(<const uint8_t*>view.buf, view.len, start, size)
        finally:
            PyBuffer_Release(&view)

    cdef int decode_part(self, const uint8_t* data, Py_ssize_t length, Py_ssize_t start, Py_ssize_t size) except -1:
        cdef Reader reader
        if start < 0 or size < -1:
            raise ValueError(f"there is no part of {size} bytes from {start}")
        length = max(length - start, 0)
        if size == -1 or (size > length and length < self.size):
            size = length
        if size != self.size:
            words = "short" if size < self.size else "long"
            raise DecodeError(f"a reply of {size} bytes is too {words}, {self.size} were asked for",
                              min(size, self.size))
        reader.data = data + start
        reader.length = size
        reader.failed_at = -1
        cdef bint known = self.version == self.table.version
        if known and is_same(&reader, self.last, size):
            return 0
        if not known:
            self.prepare()
        if self.n < LONG:
            self.fill(&reader, known)
        else:
            with nogil:
                self.fill(&reader, known)
        self.version = 0 if self.has_twins else self.table.version
        if reader.failed_at >= 0:
            self.version = 0
            raise DecodeError("the plan reads beyond the reply", reader.failed_at)
        return 0

    cdef void fill(self, Reader* reader, bint known) noexcept nogil:
        if known:
            run_changed(self.table, self.entries, self.invalid, self.spans, self.last, reader)
        else:
            run(self.table, self.entries, 0, self.n, self.invalid, reader)
            read_bytes(reader, 0, <uint8_t*>self.last, self.size)

    cdef int prepare(self) except -1:
        """Before everything is decoded: order what was added, and make the signals this plan's own.

        Taking a signal from another plan makes that one decode everything next time, since what it knows
        of the last reply no longer says what the table holds.
        """
        cdef Py_ssize_t i
        cdef bint taken = False
        cdef Slot* slot
        if self.n_ordered != self.n:
            self.order()
        for i in range(self.n):
            slot = &self.table.slots[self.entries[i].signal]
            if slot.owner != self.number:
                slot.owner = self.number
                taken = True
        if taken:
            self.table.version += 1
        return 0

    cdef int order(self) except -1:
        """Sort the entries by their bytes and find which lie in each chunk; with twins the last added must win."""
        cdef Py_ssize_t i, first, end, chunk
        cdef Entry* entry
        cdef Entry* ordered
        self.has_twins = len(set(self.planned)) != len(self.planned)
        if not self.has_twins:
            ordered = <Entry*>calloc(max(self.capacity, 1), sizeof(Entry))
            if ordered == NULL:
                raise MemoryError
            for i, was in enumerate(sorted(range(self.n), key=[self.entries[i].at for i in range(self.n)].__getitem__)):
                ordered[i] = self.entries[<Py_ssize_t>was]
            free(self.entries)
            self.entries = ordered
        memset(self.spans, 0, (self.size + CHUNK - 1) // CHUNK * sizeof(Span))
        for i in range(self.n):
            entry = &self.entries[i]
            first = entry.at >> 3 if self.bits else entry.at
            end = first + entry.size
            for chunk in range(first // CHUNK, (end + CHUNK - 1) // CHUNK):
                if self.spans[chunk].end == 0:
                    self.spans[chunk].first = <int32_t>i
                self.spans[chunk].end = <int32_t>(i + 1)
        self.n_ordered = self.n
        return 0

    def fail(self, str why not None):
        """Make all signals of the block bad."""
        cdef Py_ssize_t i
        cdef int32_t number = self.table.why_number(why)
        self.table.version += 1
        for i in range(self.n):
            set_bad(self.table, self.entries[i].signal, number)

    @property
    def signals(self):
        """The numbers of the block's signals, in the order of planning."""
        return list(self.planned)
