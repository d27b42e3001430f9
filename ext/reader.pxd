# cython: language_level=3
"""Checked reads: the only way in which C code here touches bytes of a frame. Out of bounds sets `failed_at`."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

cdef extern from *:
    """
    #define LG_SWAP16(x) __builtin_bswap16(x)
    #define LG_SWAP32(x) __builtin_bswap32(x)
    #define LG_SWAP64(x) __builtin_bswap64(x)
    """
    uint16_t swap16 "LG_SWAP16"(uint16_t value) noexcept nogil
    uint32_t swap32 "LG_SWAP32"(uint32_t value) noexcept nogil
    uint64_t swap64 "LG_SWAP64"(uint64_t value) noexcept nogil


cdef struct Reader:
    const uint8_t* data
    Py_ssize_t length
    Py_ssize_t failed_at        # offset of the first read out of bounds, -1 while there was none


cdef inline bint reader_has(Reader* reader, Py_ssize_t offset, Py_ssize_t size) noexcept nogil:
    if offset < 0 or size < 0 or offset > reader.length - size:
        if reader.failed_at < 0:
            reader.failed_at = offset
        return False
    return True


cdef inline uint8_t read_u8(Reader* reader, Py_ssize_t offset) noexcept nogil:
    if not reader_has(reader, offset, 1):
        return 0
    return reader.data[offset]


cdef inline uint16_t read_u16_be(Reader* reader, Py_ssize_t offset) noexcept nogil:
    cdef uint16_t raw = 0
    if reader_has(reader, offset, 2):
        memcpy(&raw, reader.data + offset, 2)
    return swap16(raw)


cdef inline uint32_t read_u32_be(Reader* reader, Py_ssize_t offset) noexcept nogil:
    cdef uint32_t raw = 0
    if reader_has(reader, offset, 4):
        memcpy(&raw, reader.data + offset, 4)
    return swap32(raw)


cdef inline uint64_t read_u64_be(Reader* reader, Py_ssize_t offset) noexcept nogil:
    cdef uint64_t raw = 0
    if reader_has(reader, offset, 8):
        memcpy(&raw, reader.data + offset, 8)
    return swap64(raw)


cdef inline uint16_t read_u16_le(Reader* reader, Py_ssize_t offset) noexcept nogil:
    cdef uint16_t raw = 0
    if reader_has(reader, offset, 2):
        memcpy(&raw, reader.data + offset, 2)
    return raw


cdef inline uint32_t read_u32_le(Reader* reader, Py_ssize_t offset) noexcept nogil:
    cdef uint32_t raw = 0
    if reader_has(reader, offset, 4):
        memcpy(&raw, reader.data + offset, 4)
    return raw


cdef inline uint64_t read_u64_le(Reader* reader, Py_ssize_t offset) noexcept nogil:
    cdef uint64_t raw = 0
    if reader_has(reader, offset, 8):
        memcpy(&raw, reader.data + offset, 8)
    return raw


# To look ahead: one check for several reads, which then need none, and nothing fails where there is less.

cdef inline bint could_read(const Reader* reader, Py_ssize_t offset, Py_ssize_t size) noexcept nogil:
    return 0 <= offset <= reader.length - size


cdef inline uint8_t peek_u8(const Reader* reader, Py_ssize_t offset) noexcept nogil:
    return reader.data[offset]


cdef inline uint32_t peek_u32_le(const Reader* reader, Py_ssize_t offset) noexcept nogil:
    cdef uint32_t raw
    memcpy(&raw, reader.data + offset, 4)
    return raw


cdef inline uint64_t peek_u64_le(const Reader* reader, Py_ssize_t offset) noexcept nogil:
    cdef uint64_t raw
    memcpy(&raw, reader.data + offset, 8)
    return raw


cdef inline bint read_bytes(Reader* reader, Py_ssize_t offset, uint8_t* target, Py_ssize_t size) noexcept nogil:
    if not reader_has(reader, offset, size):
        return False
    memcpy(target, reader.data + offset, size)
    return True


cdef inline uint64_t read_first_le(Reader* reader, Py_ssize_t offset, Py_ssize_t size) noexcept nogil:
    """A number of `size` bytes, at most 8, in the first of eight; what follows them is anything.

    Eight are read at once where there are so many: bytes that were copied one by one are slow to load as one number.
    """
    cdef uint64_t raw = 0
    if could_read(reader, offset, 8):
        return peek_u64_le(reader, offset)
    read_bytes(reader, offset, <uint8_t*>&raw, size)
    return raw


cdef inline uint64_t read_u64_host(Reader* reader, Py_ssize_t offset) noexcept nogil:
    """Eight bytes as the processor has them: only to compare."""
    cdef uint64_t raw = 0
    if reader_has(reader, offset, 8):
        memcpy(&raw, reader.data + offset, 8)
    return raw


cdef inline bint is_same(Reader* reader, const void* other, Py_ssize_t size) noexcept nogil:
    """Whether the frame begins with the same bytes as `other`."""
    return reader_has(reader, 0, size) and memcmp(reader.data, other, size) == 0
