# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""One device's signals: typed values, quality, and which of them changed since they were last taken."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport INT64_MIN
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

cdef int64_t NO_TIME = INT64_MIN
cdef tuple FIXED_WHYS = (None, "not read yet", "not a number (NaN)", "infinite", "not BCD")


class DecodeError(ValueError):
    """A frame that is not what its plan expects; `offset` is the byte at which that shows."""

    def __init__(self, message, offset):
        super().__init__(f"{message} at byte {offset}")
        self.offset = offset


cdef class SignalTable:
    """Values and quality of a device's signals, numbered by their position in `names`.

    All begin bad, "not read yet". Setters notice changes; `take` hands out what changed, and makes
    Python objects for nothing else: only signals that someone asked for by `forward` are handed out,
    with every change (`exact`), or when they moved by at least their deadband since they last passed.
    A change of quality always passes and begins the deadband anew. `good` is how many are not bad.
    """

    def __cinit__(self, names):
        self.names = tuple(names)
        self.n = len(self.names)
        self.slots = <Slot*>calloc(max(self.n, 1), sizeof(Slot))
        self.changed = <int32_t*>calloc(max(self.n, 1), sizeof(int32_t))
        if self.slots == NULL or self.changed == NULL:
            raise MemoryError
        self.whys = list(FIXED_WHYS)
        self.why_numbers = {why: number for number, why in enumerate(FIXED_WHYS)}
        cdef Py_ssize_t i
        for i in range(self.n):
            self.slots[i].why = WHY_NOT_READ
            self.slots[i].source_time = NO_TIME

    def __dealloc__(self):
        free(self.slots)
        free(self.changed)
        free(self.arena)

    def __len__(self):
        return self.n

    cdef int check(self, Py_ssize_t signal) except -1:
        if not 0 <= signal < self.n:
            raise IndexError(f"signal {signal} is outside 0..{self.n - 1}")
        return 0

    def define(self, Py_ssize_t signal, int kind, *, int length=0):
        """Give a signal its kind; `length` is the most bytes of a text. Its value is bad until it is set."""
        self.check(signal)
        if not BOOL <= kind <= TEXT:
            raise ValueError(f"{kind} is not a kind of value")
        if not 0 <= length <= 65535:
            raise ValueError(f"a text of {length} bytes does not fit a signal")
        cdef Slot* slot = &self.slots[signal]
        cdef uint8_t* arena
        if kind == TEXT and length > slot.text_capacity:
            arena = <uint8_t*>realloc(self.arena, self.arena_size + length)
            if arena == NULL:
                raise MemoryError
            self.arena = arena
            memset(arena + self.arena_size, 0, length)
            slot.text_at = <int32_t>self.arena_size
            slot.text_capacity = <uint16_t>length
            self.arena_size += length
        slot.kind = <uint8_t>kind
        set_bad(self, signal, WHY_NOT_READ)

    def forward(self, Py_ssize_t signal, *, double deadband=0.0, bint exact=False):
        """Have a signal's changes handed out: all (`exact`), or those of at least `deadband`."""
        self.check(signal)
        self.slots[signal].deadband = deadband
        self.slots[signal].passing = EVERYTHING if exact else DEADBAND
        mark(self, signal, &self.slots[signal])

    def put(self, Py_ssize_t signal, value, source_time=None):
        """Set a good value of the signal's kind; for sources that bring Python objects."""
        self.check(signal)
        cdef Slot* slot = &self.slots[signal]
        cdef bytes text
        if slot.kind == BOOL:
            set_bool(self, signal, bool(value))
        elif slot.kind == INT:
            set_int(self, signal, value)
        elif slot.kind == UINT:
            set_uint(self, signal, value)
        elif slot.kind == FLOAT:
            set_double(self, signal, value)
        elif slot.kind == TEXT:
            text = value.encode("latin-1", "replace")
            set_text(self, signal, <const uint8_t*><char*>text, <uint16_t>min(len(text), 65535))
        else:
            raise ValueError(f"signal {self.names[signal]} has no kind yet")
        slot.source_time = NO_TIME if source_time is None else source_time

    def fail(self, Py_ssize_t signal, str why not None):
        """Make a signal bad; `why` names the cause."""
        self.check(signal)
        set_bad(self, signal, self.why_number(why))

    def fail_all(self, str why not None):
        """Make every signal bad."""
        cdef Py_ssize_t i
        cdef int32_t number = self.why_number(why)
        for i in range(self.n):
            set_bad(self, i, number)

    def touch_all(self):
        """Count every signal as changed, so that the next `take` hands out all that anyone asked for."""
        cdef Py_ssize_t i
        for i in range(self.n):
            mark(self, i, &self.slots[i])

    def take(self):
        """What changed since the last call, as (signal, value, quality, why, source time), in order of change."""
        cdef Py_ssize_t i
        cdef list changes = []
        for i in range(self.n_changed):
            self.slots[self.changed[i]].dirty = 0
            changes.append(self.read(self.changed[i]))
        self.n_changed = 0
        return changes

    def read(self, Py_ssize_t signal):
        """One signal as it is now, in the form of `take`; leaves the list of changes alone."""
        self.check(signal)
        cdef Slot* slot = &self.slots[signal]
        value = None if slot.quality == BAD else self.value_of(slot)
        time = None if slot.source_time == NO_TIME else slot.source_time
        return (signal, value, <int>slot.quality, self.whys[slot.why], time)

    cdef object value_of(self, Slot* slot):
        if slot.kind == BOOL:
            return slot.value.i != 0
        if slot.kind == INT:
            return slot.value.i
        if slot.kind == UINT:
            return slot.value.u
        if slot.kind == FLOAT:
            return slot.value.d
        raw = PyBytes_FromStringAndSize(<char*>self.arena + slot.text_at, slot.text_length)
        return raw.partition(b"\0")[0].decode("latin-1").rstrip(" ")

    cdef int32_t why_number(self, str why) except -1:
        number = self.why_numbers.get(why)
        if number is None:
            number = self.why_numbers[why] = len(self.whys)
            self.whys.append(why)
        return number
