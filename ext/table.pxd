# cython: language_level=3
"""The signal table as other extensions see it: typed slots, and one inlined setter a kind."""

from libc.math cimport fabs, isfinite, isnan
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from ext.text cimport is_text

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
    MOST_KEPT = 16384           # causes of any kind
    MOST_SENT = 4096            # causes whose words a device decides on: their number must have an end

cdef extern from *:
    """
    #define LG_NO_TIME INT64_MIN
    """
    const int64_t NO_TIME "LG_NO_TIME"

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
    cdef tuple numbers          # the signals' numbers as Python objects, made once
    # A plan skips what its device sends unchanged, which is sound only while nobody else sets its signals:
    # whoever does, outside the plan that owns them, counts `version` up, and plans then look at everything again.
    cdef uint64_t version
    cdef uint32_t n_plans

    cdef int32_t why_number(self, str why) except -1
    cdef int32_t sent_why(self, str why, str otherwise) except -1
    cdef int32_t too_long(self, Py_ssize_t length, Py_ssize_t capacity) except -1
    cdef int put_text(self, Py_ssize_t signal, str value, uint8_t quality, int32_t why, bint whole) except -1
    cdef object value_of(self, Slot* slot)
    cdef object change_of(self, Py_ssize_t signal)
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


cdef inline void set_quality(
    SignalTable table, Py_ssize_t signal, Slot* slot, uint8_t quality, int32_t why
) noexcept nogil:
    """A change of quality to good or uncertain, or of why: it passes, whatever the deadband."""
    if slot.quality == BAD:
        table.good += 1
    slot.quality = quality
    slot.why = why
    mark(table, signal, slot)


cdef inline bint is_of(const Slot* slot, uint8_t quality, int32_t why) noexcept nogil:
    """Whether a signal has the quality already, for the same cause; a good one has none."""
    return slot.quality == quality and (quality == GOOD or slot.why == why)


cdef inline bint is_within(Slot* slot, double distance) noexcept nogil:
    """Whether the deadband holds back a value that is so far from the one that was last handed out."""
    return slot.passing == DEADBAND and slot.deadband > 0.0 and distance < slot.deadband


# Setters of a value that is GOOD with WHY_NOTHING, or UNCERTAIN with a why.

cdef inline void set_bool_as(
    SignalTable table, Py_ssize_t signal, bint value, uint8_t quality, int32_t why
) noexcept nogil:
    cdef Slot* slot = &table.slots[signal]
    if not is_of(slot, quality, why):
        slot.value.i = value
        set_quality(table, signal, slot, quality, why)
    elif slot.value.i != value:
        slot.value.i = value
        mark(table, signal, slot)


cdef inline void set_int_as(
    SignalTable table, Py_ssize_t signal, int64_t value, uint8_t quality, int32_t why
) noexcept nogil:
    cdef Slot* slot = &table.slots[signal]
    cdef uint64_t distance      # of the integers themselves: exact where doubles are not
    if not is_of(slot, quality, why):
        slot.value.i = value
        set_quality(table, signal, slot, quality, why)
    elif slot.value.i != value:
        slot.value.i = value
        distance = <uint64_t>value - slot.reported.u if value > slot.reported.i else slot.reported.u - <uint64_t>value
        if not is_within(slot, <double>distance):
            mark(table, signal, slot)


cdef inline void set_uint_as(
    SignalTable table, Py_ssize_t signal, uint64_t value, uint8_t quality, int32_t why
) noexcept nogil:
    cdef Slot* slot = &table.slots[signal]
    cdef uint64_t distance
    if not is_of(slot, quality, why):
        slot.value.u = value
        set_quality(table, signal, slot, quality, why)
    elif slot.value.u != value:
        slot.value.u = value
        distance = value - slot.reported.u if value > slot.reported.u else slot.reported.u - value
        if not is_within(slot, <double>distance):
            mark(table, signal, slot)


cdef inline void set_double_as(
    SignalTable table, Py_ssize_t signal, double value, uint8_t quality, int32_t why
) noexcept nogil:
    cdef Slot* slot = &table.slots[signal]
    if is_of(slot, quality, why) and slot.value.d == value:
        return
    if not isfinite(value):
        set_bad(table, signal, WHY_NAN if isnan(value) else WHY_INFINITE)
        return
    slot.value.d = value
    if not is_of(slot, quality, why):
        set_quality(table, signal, slot, quality, why)
    elif not is_within(slot, fabs(value - slot.reported.d)):
        mark(table, signal, slot)


cdef inline void set_text_as(
    SignalTable table, Py_ssize_t signal, const uint8_t* data, Py_ssize_t length, uint8_t quality, int32_t why
) noexcept nogil:
    """Set a text from bytes, at most as many as the signal takes; what its encoding does not have makes it bad."""
    cdef Slot* slot = &table.slots[signal]
    cdef uint8_t* old = table.arena + slot.text_at
    cdef bint same = is_of(slot, quality, why)
    length = min(length, <Py_ssize_t>slot.text_capacity)
    if same and slot.text_length == length and memcmp(old, data, length) == 0:
        return
    if not is_text(data, length, slot.encoding):
        set_bad(table, signal, WHY_TEXT + slot.encoding)
        return
    memcpy(old, data, length)
    slot.text_length = <uint16_t>length
    if not same:
        set_quality(table, signal, slot, quality, why)
    else:
        mark(table, signal, slot)


# And of a good one.

cdef inline void set_bool(SignalTable table, Py_ssize_t signal, bint value) noexcept nogil:
    set_bool_as(table, signal, value, GOOD, WHY_NOTHING)


cdef inline void set_int(SignalTable table, Py_ssize_t signal, int64_t value) noexcept nogil:
    set_int_as(table, signal, value, GOOD, WHY_NOTHING)


cdef inline void set_uint(SignalTable table, Py_ssize_t signal, uint64_t value) noexcept nogil:
    set_uint_as(table, signal, value, GOOD, WHY_NOTHING)


cdef inline void set_double(SignalTable table, Py_ssize_t signal, double value) noexcept nogil:
    set_double_as(table, signal, value, GOOD, WHY_NOTHING)


cdef inline void set_text(SignalTable table, Py_ssize_t signal, const uint8_t* data, Py_ssize_t length) noexcept nogil:
    set_text_as(table, signal, data, length, GOOD, WHY_NOTHING)
