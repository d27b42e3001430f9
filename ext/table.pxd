# cython: language_level=3
"""The signal table as other extensions see it: typed slots, and one inlined setter a kind."""

from libc.math cimport fabs, isfinite, isnan
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from ext.text cimport is_text, unpadded

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
    WHY_TEXT = 5                # and one more for each encoding
    WHY_OWN = 11                # the first number of a text given at run time

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
    Cell reported               # the value that was last handed out, for the deadband
    double deadband             # 0 passes every change
    int64_t source_time         # UTC ms, or NO_TIME
    int32_t why
    int32_t text_at             # of text: where its bytes lie in the arena
    uint32_t owner              # the plan that decodes it
    uint16_t text_length
    uint16_t text_capacity
    uint8_t kind
    uint8_t quality
    uint8_t passing             # which changes are handed out: NOTHING, DEADBAND, EVERYTHING
    uint8_t dirty               # is in the list of changed signals
    uint8_t encoding
    uint8_t padding[11]


cdef struct Beat:               # a signal that passes now and then without a change
    int64_t every               # ms
    int64_t passed_at
    int32_t signal


cdef class SignalTable:
    cdef readonly tuple names
    cdef readonly Py_ssize_t good
    cdef Py_ssize_t n
    cdef Slot* slots
    cdef int32_t* changed
    cdef Py_ssize_t n_changed
    cdef Beat* beats
    cdef Py_ssize_t n_beats
    cdef uint8_t* arena
    cdef Py_ssize_t arena_size
    cdef list whys
    cdef dict why_numbers
    cdef tuple numbers          # the signals' numbers as Python objects, made once
    # A plan skips what its device sends unchanged, which is sound only while nobody else sets its signals:
    # whoever does, outside the plan that owns them, counts `version` up, and plans then look at everything again.
    cdef uint64_t version
    cdef uint32_t n_plans

    cdef int32_t why_number(self, str why) except -1
    cdef object value_of(self, Slot* slot)
    cdef object change_of(self, Py_ssize_t signal)
    cdef void beat(self, int64_t now) noexcept
    cdef int check(self, Py_ssize_t signal) except -1


cdef inline void mark(SignalTable table, Py_ssize_t signal, Slot* slot) noexcept nogil:
    if not slot.dirty and slot.passing:
        slot.dirty = 1
        table.changed[table.n_changed] = <int32_t>signal
        table.n_changed += 1


cdef inline void set_bad(SignalTable table, Py_ssize_t signal, int32_t why) noexcept nogil:
    cdef Slot* slot = &table.slots[signal]
    if slot.quality == BAD and slot.why == why:
        return
    if slot.quality != BAD:
        table.good -= 1
    slot.quality = BAD
    slot.why = why
    mark(table, signal, slot)


cdef inline void set_good(SignalTable table, Py_ssize_t signal, Slot* slot) noexcept nogil:
    """A change of quality: it passes, whatever the deadband."""
    if slot.quality == BAD:
        table.good += 1
    slot.quality = GOOD
    slot.why = WHY_NOTHING
    mark(table, signal, slot)


cdef inline bint is_within(Slot* slot, double distance) noexcept nogil:
    """Whether the deadband holds back a value that is so far from the one that was last handed out."""
    return slot.passing == DEADBAND and slot.deadband > 0.0 and distance < slot.deadband


cdef inline void set_bool(SignalTable table, Py_ssize_t signal, bint value) noexcept nogil:
    cdef Slot* slot = &table.slots[signal]
    if slot.quality != GOOD:
        slot.value.i = value
        set_good(table, signal, slot)
    elif slot.value.i != value:
        slot.value.i = value
        mark(table, signal, slot)


cdef inline void set_int(SignalTable table, Py_ssize_t signal, int64_t value) noexcept nogil:
    cdef Slot* slot = &table.slots[signal]
    cdef uint64_t distance      # of the integers themselves: exact where doubles are not
    if slot.quality != GOOD:
        slot.value.i = value
        set_good(table, signal, slot)
    elif slot.value.i != value:
        slot.value.i = value
        distance = <uint64_t>value - slot.reported.u if value > slot.reported.i else slot.reported.u - <uint64_t>value
        if not is_within(slot, <double>distance):
            mark(table, signal, slot)


cdef inline void set_uint(SignalTable table, Py_ssize_t signal, uint64_t value) noexcept nogil:
    cdef Slot* slot = &table.slots[signal]
    cdef uint64_t distance
    if slot.quality != GOOD:
        slot.value.u = value
        set_good(table, signal, slot)
    elif slot.value.u != value:
        slot.value.u = value
        distance = value - slot.reported.u if value > slot.reported.u else slot.reported.u - value
        if not is_within(slot, <double>distance):
            mark(table, signal, slot)


cdef inline void set_double(SignalTable table, Py_ssize_t signal, double value) noexcept nogil:
    cdef Slot* slot = &table.slots[signal]
    if slot.quality == GOOD and slot.value.d == value:
        return
    if not isfinite(value):
        set_bad(table, signal, WHY_NAN if isnan(value) else WHY_INFINITE)
        return
    slot.value.d = value
    if slot.quality != GOOD:
        set_good(table, signal, slot)
    elif not is_within(slot, fabs(value - slot.reported.d)):
        mark(table, signal, slot)


cdef inline void set_text(SignalTable table, Py_ssize_t signal, const uint8_t* data, Py_ssize_t length) noexcept nogil:
    """Set a text from bytes that may be padded; what its encoding does not have makes it bad."""
    cdef Slot* slot = &table.slots[signal]
    cdef uint8_t* old = table.arena + slot.text_at
    length = unpadded(data, min(length, <Py_ssize_t>slot.text_capacity), slot.encoding)
    if slot.quality == GOOD and slot.text_length == length and memcmp(old, data, length) == 0:
        return
    if not is_text(data, length, slot.encoding):
        set_bad(table, signal, WHY_TEXT + slot.encoding)
        return
    memcpy(old, data, length)
    slot.text_length = <uint16_t>length
    if slot.quality != GOOD:
        set_good(table, signal, slot)
    else:
        mark(table, signal, slot)
