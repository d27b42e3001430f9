# cython: language_level=3
"""The signal table as other extensions see it: typed slots, and one inlined setter a kind."""

from libc.math cimport fabs, isinf, isnan
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint64_t
from libc.string cimport memcmp, memcpy

cpdef enum Kind:
    NONE = 0
    BOOL = 1
    INT = 2
    UINT = 3
    FLOAT = 4
    TEXT = 5

cdef enum:
    BAD = 0
    UNCERTAIN = 1
    GOOD = 2

cdef enum:
    WHY_NOTHING = 0
    WHY_NOT_READ = 1
    WHY_NAN = 2
    WHY_INFINITE = 3
    WHY_BCD = 4
    WHY_OWN = 5                 # the first number of a text given at run time

cdef enum:
    NOTHING = 0                 # nobody asked for it: only its current value is kept
    DEADBAND = 1
    EVERYTHING = 2

cdef union Cell:
    int64_t i
    uint64_t u
    double d


cdef struct Slot:               # 64 bytes: a signal is one cache line
    Cell value
    double reported             # the value that was last passed on, for the deadband
    double deadband             # 0 passes every change
    int64_t source_time         # UTC ms, or NO_TIME
    int32_t why
    int32_t text_at             # of text: where its bytes lie in the arena
    uint16_t text_length
    uint16_t text_capacity
    uint8_t kind
    uint8_t quality
    uint8_t passing             # which changes are handed out: NOTHING, DEADBAND, EVERYTHING
    uint8_t dirty               # is in the list of changed signals
    uint8_t padding[16]


cdef class SignalTable:
    cdef readonly tuple names
    cdef readonly Py_ssize_t good
    cdef Py_ssize_t n
    cdef Slot* slots
    cdef int32_t* changed
    cdef Py_ssize_t n_changed
    cdef uint8_t* arena
    cdef Py_ssize_t arena_size
    cdef list whys
    cdef dict why_numbers

    cdef int32_t why_number(self, str why) except -1
    cdef object value_of(self, Slot* slot)
    cdef int check(self, Py_ssize_t signal) except -1


cdef inline void mark(SignalTable table, Py_ssize_t signal, Slot* slot) noexcept nogil:
    if not slot.dirty and slot.passing:
        slot.dirty = 1
        table.changed[table.n_changed] = <int32_t>signal
        table.n_changed += 1


cdef inline void set_good(SignalTable table, Slot* slot) noexcept nogil:
    if slot.quality != GOOD:
        if slot.quality == BAD:
            table.good += 1
        slot.quality = GOOD
        slot.why = WHY_NOTHING


cdef inline void set_bad(SignalTable table, Py_ssize_t signal, int32_t why) noexcept nogil:
    cdef Slot* slot = &table.slots[signal]
    if slot.quality == BAD and slot.why == why:
        return
    if slot.quality != BAD:
        table.good -= 1
    slot.quality = BAD
    slot.why = why
    mark(table, signal, slot)


cdef inline void set_bool(SignalTable table, Py_ssize_t signal, bint value) noexcept nogil:
    cdef Slot* slot = &table.slots[signal]
    if slot.quality == GOOD and slot.value.i == value:
        return
    slot.value.i = value
    set_good(table, slot)
    mark(table, signal, slot)


cdef inline void passed(SignalTable table, Py_ssize_t signal, Slot* slot, double value, bint was_good) noexcept nogil:
    """A number changed: pass it on if it is new, wanted exactly, or beyond the deadband."""
    if was_good and slot.passing == DEADBAND and slot.deadband > 0.0 and fabs(value - slot.reported) < slot.deadband:
        return
    slot.reported = value
    mark(table, signal, slot)


cdef inline void set_int(SignalTable table, Py_ssize_t signal, int64_t value) noexcept nogil:
    cdef Slot* slot = &table.slots[signal]
    cdef bint was_good = slot.quality == GOOD
    if was_good and slot.value.i == value:
        return
    slot.value.i = value
    set_good(table, slot)
    passed(table, signal, slot, <double>value, was_good)


cdef inline void set_uint(SignalTable table, Py_ssize_t signal, uint64_t value) noexcept nogil:
    cdef Slot* slot = &table.slots[signal]
    cdef bint was_good = slot.quality == GOOD
    if was_good and slot.value.u == value:
        return
    slot.value.u = value
    set_good(table, slot)
    passed(table, signal, slot, <double>value, was_good)


cdef inline void set_double(SignalTable table, Py_ssize_t signal, double value) noexcept nogil:
    cdef Slot* slot = &table.slots[signal]
    cdef bint was_good = slot.quality == GOOD
    if was_good and slot.value.d == value:
        return
    if isnan(value):
        set_bad(table, signal, WHY_NAN)
        return
    if isinf(value):
        set_bad(table, signal, WHY_INFINITE)
        return
    slot.value.d = value
    set_good(table, slot)
    passed(table, signal, slot, value, was_good)


cdef inline void set_text(SignalTable table, Py_ssize_t signal, const uint8_t* data, uint16_t length) noexcept nogil:
    cdef Slot* slot = &table.slots[signal]
    cdef uint8_t* old = table.arena + slot.text_at
    if length > slot.text_capacity:
        length = slot.text_capacity
    if slot.quality == GOOD and slot.text_length == length and memcmp(old, data, length) == 0:
        return
    memcpy(old, data, length)
    slot.text_length = length
    set_good(table, slot)
    mark(table, signal, slot)
