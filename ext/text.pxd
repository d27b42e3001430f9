# cython: language_level=3
"""Text as devices send it: where its padding begins, and whether its bytes are text of their encoding at all."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef enum:                      # the order of table.pyx's ENCODINGS
    LATIN_1 = 0
    ASCII = 1
    UTF_8 = 2
    CP1252 = 3
    UTF_16_BE = 4
    UTF_16_LE = 5


cdef inline uint16_t utf16_unit(const uint8_t* data, Py_ssize_t at, uint8_t encoding) noexcept nogil:
    if encoding == UTF_16_BE:
        return <uint16_t>((data[at] << 8) | data[at + 1])
    return <uint16_t>((data[at + 1] << 8) | data[at])


cdef inline Py_ssize_t unpadded(const uint8_t* data, Py_ssize_t length, uint8_t encoding) noexcept nogil:
    """The length of the text proper: up to the first NUL, and without the spaces before that."""
    cdef Py_ssize_t end = 0
    if encoding >= UTF_16_BE:
        while end + 1 < length and utf16_unit(data, end, encoding) != 0:
            end += 2
        if end + 1 == length and data[end] != 0:
            return length       # half a character, which makes the text invalid
        while end >= 2 and utf16_unit(data, end - 2, encoding) == 0x20:
            end -= 2
        return end
    while end < length and data[end] != 0:
        end += 1
    while end > 0 and data[end - 1] == 0x20:
        end -= 1
    return end


cdef inline bint is_utf8(const uint8_t* data, Py_ssize_t length) noexcept nogil:
    """RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF."""
    cdef Py_ssize_t i = 0
    cdef Py_ssize_t more
    cdef uint8_t lead
    cdef uint32_t code
    cdef uint64_t eight
    while i < length:
        if i + 8 <= length:
            memcpy(&eight, data + i, 8)
            if not eight & 0x8080808080808080u:
                i += 8
                continue
        lead = data[i]
        i += 1
        if lead < 0x80:
            continue
        if 0xC2 <= lead <= 0xDF:
            more, code = 1, lead & 0x1F
        elif 0xE0 <= lead <= 0xEF:
            more, code = 2, lead & 0x0F
        elif 0xF0 <= lead <= 0xF4:
            more, code = 3, lead & 0x07
        else:
            return False
        if i + more > length:
            return False
        if more == 2 and ((lead == 0xE0 and data[i] < 0xA0) or (lead == 0xED and data[i] > 0x9F)):
            return False
        while more:
            if data[i] & 0xC0 != 0x80:
                return False
            code = (code << 6) | (data[i] & 0x3F)
            i += 1
            more -= 1
        if lead >= 0xF0 and not 0x10000 <= code <= 0x10FFFF:
            return False
    return True


cdef inline bint is_utf16(const uint8_t* data, Py_ssize_t length, uint8_t encoding) noexcept nogil:
    """Whole units, and surrogates only as pairs."""
    cdef Py_ssize_t i = 0
    cdef uint16_t unit
    if length & 1:
        return False
    while i < length:
        unit = utf16_unit(data, i, encoding)
        i += 2
        if 0xD800 <= unit <= 0xDFFF:
            if unit > 0xDBFF or i == length or utf16_unit(data, i, encoding) & 0xFC00 != 0xDC00:
                return False
            i += 2
    return True


cdef inline bint is_text(const uint8_t* data, Py_ssize_t length, uint8_t encoding) noexcept nogil:
    """Whether every byte means something in the encoding, as Python's strict decoders see it."""
    cdef Py_ssize_t i
    if encoding == LATIN_1:
        return True
    if encoding == UTF_8:
        return is_utf8(data, length)
    if encoding >= UTF_16_BE:
        return is_utf16(data, length, encoding)
    for i in range(length):
        if encoding == ASCII:
            if data[i] >= 0x80:
                return False
        elif data[i] == 0x81 or data[i] == 0x8D or data[i] == 0x8F or data[i] == 0x90 or data[i] == 0x9D:
            return False        # the five that Windows-1252 leaves undefined
    return True
