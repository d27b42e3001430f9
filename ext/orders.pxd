# cython: language_level=3
"""Numbers as registers carry them: word and byte orders, and binary-coded decimals."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

cdef enum:
    WORDS_LITTLE = 1            # the least significant register comes first
    BYTES_LITTLE = 2            # the less significant byte of a register comes first


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
