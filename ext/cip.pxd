# cython: language_level=3
"""The loop that fills a table from CIP data: one entry a signal, in a flat array, without a Python object."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from ext.cip_reply cimport Service
from ext.reader cimport Reader, read_bytes, read_u8, read_u16_le, read_u32_le, read_u64_host, read_u64_le, reader_has
from ext.table cimport Kind, SignalTable, set_bad, set_bool, set_double, set_int, set_text, set_uint

cdef enum Op:
    OP_SINGLE, OP_SIGNED, OP_UNSIGNED, OP_ANY, OP_FIELD, OP_DOUBLE, OP_TEXT

cdef enum:
    CHUNK = 8                   # bytes of a reply that are compared at once with those of the last

cdef struct Entry:              # 72 bytes: how one signal is read
    double scale
    double offset
    uint64_t mask               # of a field, when it was shifted down; of bits of which any may be set
    int32_t signal
    int32_t service
    int32_t at                  # byte of the service's data
    int32_t place               # byte of the reply; below 0 where the service was refused
    int32_t invalid             # the first of its invalid values
    int32_t capacity            # of a text: bytes that there are for it
    int32_t most                # of a text: bytes that the signal takes
    int32_t why                 # of a text: why one of more bytes is bad
    int32_t beyond              # of a text: why one of more bytes than there are is bad
    uint16_t n_invalid
    uint16_t skip               # of a text: from its length to its first byte
    uint8_t size                # bytes of the number, or of a text's length
    uint8_t op
    uint8_t shift
    uint8_t scaled

cdef struct Invalid:            # a raw value that means bad
    uint64_t pattern
    int32_t why

cdef struct Chunk:              # eight bytes of the last reply
    uint64_t bytes
    uint64_t frame              # ones where a byte is no data: a change there means another reply than the last
    int32_t first               # the entries that have a byte in it; 0 to 0 is none
    int32_t end


cdef inline uint64_t read_raw(Reader* reader, Py_ssize_t at, uint8_t size) noexcept nogil:
    if size == 4:
        return read_u32_le(reader, at)
    if size == 2:
        return read_u16_le(reader, at)
    if size == 1:
        return read_u8(reader, at)
    return read_u64_le(reader, at)


cdef inline bint is_invalid(SignalTable table, Entry* entry, const Invalid* invalid, uint64_t pattern) noexcept nogil:
    """Whether the raw value is one that means bad; then the signal is."""
    cdef Py_ssize_t i
    for i in range(entry.invalid, entry.invalid + entry.n_invalid):
        if invalid[i].pattern == pattern:
            set_bad(table, entry.signal, invalid[i].why)
            return True
    return False


cdef inline void set_real(SignalTable table, Entry* entry, double raw) noexcept nogil:
    set_double(table, entry.signal, raw * entry.scale + entry.offset if entry.scaled else raw)


cdef inline void set_characters(SignalTable table, Entry* entry, Reader* reader) noexcept nogil:
    """A length and so many bytes; one beyond what there is for them is no text."""
    cdef uint64_t told = read_raw(reader, entry.place, entry.size)
    if told > <uint64_t>entry.capacity:
        set_bad(table, entry.signal, entry.beyond)
        return
    cdef Py_ssize_t length = <Py_ssize_t>told
    if not reader_has(reader, entry.place + entry.skip, length):
        return
    if length > entry.most:
        set_bad(table, entry.signal, entry.why)
    else:
        set_text(table, entry.signal, reader.data + entry.place + entry.skip, length)


cdef inline void run(
    SignalTable table, Entry* entries, Py_ssize_t begin, Py_ssize_t end, const Invalid* invalid, Reader* reader
) noexcept nogil:
    """Decode the entries from `begin` up to `end`, but for those of refused services."""
    cdef Py_ssize_t i
    cdef Entry* entry
    cdef uint64_t raw
    cdef uint32_t raw32
    cdef int unused
    cdef float single
    cdef double number
    for i in range(begin, end):
        entry = &entries[i]
        if entry.place < 0:
            continue
        if entry.op == OP_TEXT:
            set_characters(table, entry, reader)
            continue
        raw = read_raw(reader, entry.place, entry.size)
        if entry.op == OP_FIELD:
            raw = (raw >> entry.shift) & entry.mask
        if entry.n_invalid and is_invalid(table, entry, invalid, raw):
            continue
        if entry.op == OP_SINGLE:
            raw32 = <uint32_t>raw
            memcpy(&single, &raw32, 4)
            set_real(table, entry, single)
        elif entry.op == OP_SIGNED:
            unused = 64 - 8 * entry.size
            if entry.scaled:
                set_real(table, entry, <double>(<int64_t>(raw << unused) >> unused))
            else:
                set_int(table, entry.signal, <int64_t>(raw << unused) >> unused)
        elif entry.op == OP_ANY:
            set_bool(table, entry.signal, (raw & entry.mask) != 0)
        elif entry.op == OP_DOUBLE:
            memcpy(&number, &raw, 8)
            set_real(table, entry, number)
        elif entry.scaled:
            set_real(table, entry, <double>raw)
        else:
            set_uint(table, entry.signal, raw)


cdef inline uint64_t chunk_of(Reader* reader, Py_ssize_t number) noexcept nogil:
    """Eight bytes of the reply, or its last with zeros behind."""
    cdef uint64_t now = 0
    if (number + 1) * CHUNK <= reader.length:
        return read_u64_host(reader, number * CHUNK)
    read_bytes(reader, number * CHUNK, <uint8_t*>&now, reader.length - number * CHUNK)
    return now


cdef inline bint is_framed_alike(Chunk* chunks, Reader* reader) noexcept nogil:
    """Whether everything but data is as in the last reply, of the same length."""
    cdef Py_ssize_t i
    for i in range((reader.length + CHUNK - 1) // CHUNK):
        if (chunk_of(reader, i) ^ chunks[i].bytes) & chunks[i].frame:
            return False
    return True


cdef inline void run_changed(
    SignalTable table, Entry* entries, const Invalid* invalid, Chunk* chunks, Reader* reader
) noexcept nogil:
    """Decode the entries whose bytes differ from those of the last reply, and keep the reply as the last.

    Entries lie in the order of their bytes, so that chunks which changed side by side make one run.
    """
    cdef Py_ssize_t begin = 0
    cdef Py_ssize_t end = 0
    cdef Py_ssize_t i
    cdef uint64_t now
    for i in range((reader.length + CHUNK - 1) // CHUNK):
        now = chunk_of(reader, i)
        if now == chunks[i].bytes:
            continue
        chunks[i].bytes = now
        if chunks[i].first > end:
            run(table, entries, begin, end, invalid, reader)
            begin = chunks[i].first
        if chunks[i].end > end:
            end = chunks[i].end
    run(table, entries, begin, end, invalid, reader)


cdef inline void lay_out(
    Chunk* chunks, Reader* reader, const Service* services, Py_ssize_t n_services, Entry* entries, Py_ssize_t n
) noexcept nogil:
    """Note what an examined reply has where: each entry's place, and the data and the entries of each chunk."""
    cdef Py_ssize_t i, at, size
    cdef Entry* entry
    cdef const Service* service
    for i in range((reader.length + CHUNK - 1) // CHUNK):
        chunks[i] = Chunk(bytes=chunk_of(reader, i), frame=0xFFFFFFFFFFFFFFFFu, first=0, end=0)
    for i in range(n_services):
        service = &services[i]
        if service.prefix:      # its length says where the next service begins
            continue
        for at in range(service.place, service.place + service.length):
            (<uint8_t*>&chunks[at // CHUNK].frame)[at % CHUNK] = 0
    for i in range(n):
        entry = &entries[i]
        service = &services[entry.service]
        entry.place = -1 if service.place < 0 else service.place + entry.at
        if entry.place < 0:
            continue
        size = entry.skip + entry.capacity if entry.op == OP_TEXT else entry.size
        size = min(size, <Py_ssize_t>(service.length - entry.at))
        for at in range(entry.place // CHUNK, (entry.place + size + CHUNK - 1) // CHUNK):
            if chunks[at].end == 0:
                chunks[at].first = <int32_t>i
            chunks[at].end = <int32_t>(i + 1)


cdef inline int describe_text(Entry* entry, Py_ssize_t capacity, int prefix, int skip, Py_ssize_t most) except -1:
    """What an entry needs to know of a text. Returns the kind of its value."""
    if prefix not in (1, 2, 4) or not prefix <= skip <= 0xFFFF or not 0 < capacity < 0x1000000:
        raise ValueError(f"there is no text of {capacity} bytes, {skip} after a length of {prefix}")
    if not 0 < most <= 65535:
        raise ValueError(f"a signal cannot take a text of {most} bytes")
    entry.op, entry.size, entry.skip = OP_TEXT, <uint8_t>prefix, <uint16_t>skip
    entry.capacity, entry.most = <int32_t>capacity, <int32_t>most
    return Kind.TEXT


cdef inline int describe_number(
    Entry* entry, Op op, int octets, int kind, int bit, int width, uint64_t any_of
) except -1:
    """What an entry needs to know of a number, some bits of it, or a truth value. Returns the kind of its value."""
    cdef int bits = 8 * octets
    cdef bint is_whole = op == OP_SIGNED or op == OP_UNSIGNED
    entry.op, entry.size = op, <uint8_t>octets
    if any_of and (width or not (is_whole or op == OP_ANY) or (bits < 64 and any_of >> bits)):
        raise ValueError(f"{any_of:#x} are no bits of {octets} bytes")
    if width and (not is_whole or entry.scaled):
        raise ValueError("a bit field is of an unscaled whole number")
    if any_of or op == OP_ANY:
        entry.op, entry.mask = OP_ANY, any_of or 0xFF
        return Kind.BOOL
    if not width:
        return kind
    if not 0 < width <= bits or not 0 <= bit <= bits - width:
        raise ValueError(f"{width} bits from bit {bit} are outside {octets} bytes")
    entry.op, entry.shift, entry.mask = OP_FIELD, <uint8_t>bit, 0xFFFFFFFFFFFFFFFFu >> (64 - width)
    return Kind.UINT
