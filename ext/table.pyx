# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""One device's signals: typed values, quality, and which of them changed since they were last taken."""

from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_GET_ITEM
from cpython.unicode cimport (
    PyUnicode_Decode,
    PyUnicode_DecodeASCII,
    PyUnicode_DecodeLatin1,
    PyUnicode_DecodeUTF8,
    PyUnicode_DecodeUTF16,
)
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

from ext.text cimport ASCII, CP1252, LATIN_1, UTF_8, UTF_16_BE, unpadded

cdef extern from "stdlib.h" nogil:
    int posix_memalign(void** target, size_t alignment, size_t size)

cdef tuple ENCODINGS = ("latin-1", "ascii", "utf-8", "cp1252", "utf-16-be", "utf-16-le")
cdef tuple NOT_TEXT = ("not Latin-1 text", "not ASCII text", "not UTF-8 text", "not CP1252 text",
                       "not UTF-16 text", "not UTF-16 text")
cdef str OTHER_CAUSES = "one of too many different causes to keep them apart"
cdef tuple FIXED_WHYS = (None, "not read yet", "not a number (NaN)", "infinite", "not BCD", *NOT_TEXT)


class DecodeError(ValueError):
    """A frame that is not what its plan expects; `offset` is the byte at which that shows."""

    def __init__(self, message, offset):
        super().__init__(f"{message} at byte {offset}")
        self.offset = offset


cdef class SignalTable:
    """Values and quality of a device's signals, numbered by their position in `names`.

    All begin bad, "not read yet". Setters notice changes; `take` hands out what changed, and makes
    Python objects for nothing else: only signals that someone asked for by `forward` are handed out,
    with every change (`exact`), or when they moved by at least their deadband since they were last
    handed out. A change of quality always passes and begins the deadband anew. Deadbands thin what is
    handed out and nothing else: `read` always has the newest. `good` is how many are not bad.
    A table belongs to one thread.
    """

    def __cinit__(self, names):
        self.names = tuple(names)
        self.n = len(self.names)
        self.numbers = tuple(range(self.n))
        self.version = 1            # a plan that never decoded knows none
        cdef size_t size = max(self.n, 1) * sizeof(Slot)
        if posix_memalign(<void**>&self.slots, sizeof(Slot), size) != 0:  # a slot is one cache line, not parts of two
            self.slots = NULL
        self.changed = <int32_t*>calloc(max(self.n, 1), sizeof(int32_t))
        self.arena = <uint8_t*>calloc(1, 1)
        if self.slots == NULL or self.changed == NULL or self.arena == NULL:
            raise MemoryError
        memset(self.slots, 0, size)
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

    def define(self, Py_ssize_t signal, int kind, *, int length=0, str encoding not None="latin-1"):
        """Give a signal its kind; `length` is the most bytes of a text. Its value is bad until it is set.

        `encoding` is that of a text's bytes: latin-1, ascii, utf-8, cp1252, utf-16-be or utf-16-le.
        """
        self.check(signal)
        if encoding not in ENCODINGS:
            raise ValueError(f"{encoding} is none of {', '.join(ENCODINGS)}")
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
        slot.encoding = <uint8_t>ENCODINGS.index(encoding)
        self.version += 1
        set_bad(self, signal, WHY_NOT_READ)
        slot.source_time = NO_TIME

    def forward(self, Py_ssize_t signal, *, double deadband=0.0, bint exact=False):
        """Have a signal's changes handed out: all (`exact`), or those of at least `deadband`."""
        self.check(signal)
        if not deadband >= 0.0:
            raise ValueError(f"deadband {deadband} is below 0")
        self.slots[signal].deadband = deadband
        self.slots[signal].passing = EVERYTHING if exact else DEADBAND
        mark(self, signal, &self.slots[signal])

    def put(self, Py_ssize_t signal, value, source_time=None, *, str uncertain=None, bint whole=False):
        """Set a value of the signal's kind, good or `uncertain` for that cause; for sources that bring Python objects.

        A number that is not finite is bad. A text is stored in the signal's encoding, with "?" for what
        that does not have, without padding, and cut at a character where it is longer than the signal; a
        `whole` text is stored as it is, or the signal is bad.
        """
        self.check(signal)
        cdef Slot* slot = &self.slots[signal]
        cdef uint8_t quality = GOOD if uncertain is None else UNCERTAIN
        cdef int32_t why = WHY_NOTHING if uncertain is None else self.why_number(uncertain)
        self.version += 1
        if slot.kind == BOOL:
            set_bool_as(self, signal, bool(value), quality, why)
        elif slot.kind == INT:
            set_int_as(self, signal, value, quality, why)
        elif slot.kind == UINT:
            set_uint_as(self, signal, value, quality, why)
        elif slot.kind == FLOAT:
            set_double_as(self, signal, value, quality, why)
        elif slot.kind == TEXT:
            self.put_text(signal, value, quality, why, whole)
        else:
            raise ValueError(f"signal {self.names[signal]} has no kind yet")
        slot.source_time = NO_TIME if source_time is None else source_time

    cdef int put_text(self, Py_ssize_t signal, str value, uint8_t quality, int32_t why, bint whole) except -1:
        cdef Slot* slot = &self.slots[signal]
        cdef str encoding = ENCODINGS[slot.encoding]
        cdef bytes text
        cdef const uint8_t* data
        cdef Py_ssize_t length
        try:
            text = value.encode(encoding, "strict" if whole else "replace")
        except UnicodeEncodeError:
            set_bad(self, signal, WHY_TEXT + slot.encoding)
            return 0
        if len(text) > slot.text_capacity:
            if whole:
                set_bad(self, signal, self.too_long(len(text), slot.text_capacity))
                return 0
            text = text[:slot.text_capacity].decode(encoding, "ignore").encode(encoding)
        data, length = <const uint8_t*><char*>text, len(text)
        set_text_as(self, signal, data, length if whole else unpadded(data, length, slot.encoding), quality, why)
        return 0

    def fail(self, Py_ssize_t signal, str why not None):
        """Make a signal bad; `why` names the cause."""
        self.check(signal)
        self.version += 1
        set_bad(self, signal, self.why_number(why))
        self.slots[signal].source_time = NO_TIME

    def fail_all(self, str why not None):
        """Make every signal bad."""
        cdef Py_ssize_t i
        cdef int32_t number = self.why_number(why)
        self.version += 1
        for i in range(self.n):
            set_bad(self, i, number)
            self.slots[i].source_time = NO_TIME

    def touch_all(self):
        """Count every signal as changed, so that the next `take` hands out all that anyone asked for."""
        cdef Py_ssize_t i
        for i in range(self.n):
            mark(self, i, &self.slots[i])

    def take(self):
        """What changed since the last call, as (signal, value, quality, why, source time), in order of change."""
        cdef Py_ssize_t i
        cdef int32_t signal
        cdef Slot* slot
        cdef object change
        cdef list changes = PyList_New(self.n_changed)
        for i in range(self.n_changed):
            signal = self.changed[i]
            slot = &self.slots[signal]
            slot.dirty = 0
            slot.reported = slot.value
            change = self.change_of(signal)
            Py_INCREF(change)   # the list takes one over
            PyList_SET_ITEM(changes, i, change)
        self.n_changed = 0
        return changes

    def read(self, Py_ssize_t signal):
        """One signal as it is now, in the form of `take`; leaves the list of changes alone."""
        self.check(signal)
        return self.change_of(signal)

    cdef object change_of(self, Py_ssize_t signal):
        cdef Slot* slot = &self.slots[signal]
        cdef object value = None if slot.quality == BAD else self.value_of(slot)
        cdef object why = None if slot.why == WHY_NOTHING else self.whys[slot.why]
        cdef object time = None if slot.source_time == NO_TIME else slot.source_time
        return (<object>PyTuple_GET_ITEM(self.numbers, signal), value, <int>slot.quality, why, time)

    cdef object value_of(self, Slot* slot):
        cdef const char* text
        cdef int order
        if slot.kind == FLOAT:
            return slot.value.d
        if slot.kind == UINT:
            return slot.value.u
        if slot.kind == INT:
            return slot.value.i
        if slot.kind == BOOL:
            return slot.value.i != 0
        # What lies in the arena was found to be text of its encoding when it was set: strict decoders cannot fail.
        text = <const char*>self.arena + slot.text_at
        if slot.encoding == LATIN_1:
            return PyUnicode_DecodeLatin1(text, slot.text_length, NULL)
        if slot.encoding == ASCII:
            return PyUnicode_DecodeASCII(text, slot.text_length, NULL)
        if slot.encoding == UTF_8:
            return PyUnicode_DecodeUTF8(text, slot.text_length, NULL)
        if slot.encoding == CP1252:
            return PyUnicode_Decode(text, slot.text_length, "cp1252", NULL)
        order = 1 if slot.encoding == UTF_16_BE else -1  # given, so that a byte order mark stays a character
        return PyUnicode_DecodeUTF16(text, slot.text_length, NULL, &order)

    cdef int32_t why_number(self, str why) except -1:
        number = self.why_numbers.get(why)
        if number is None and len(self.whys) >= MOST_KEPT and why != OTHER_CAUSES:
            return self.why_number(OTHER_CAUSES)
        if number is None:
            number = self.why_numbers[why] = len(self.whys)
            self.whys.append(why)
        return number

    cdef int32_t sent_why(self, str why, str otherwise) except -1:
        """The number of a cause in whose words a device has a part; past so many, `otherwise` stands for all."""
        return self.why_number(why if why in self.why_numbers or len(self.whys) < MOST_SENT else otherwise)

    cdef int32_t too_long(self, Py_ssize_t length, Py_ssize_t capacity) except -1:
        return self.sent_why(f"a text of {length} bytes where length allows {capacity}",
                             f"a text of more bytes than length allows, {capacity}")
