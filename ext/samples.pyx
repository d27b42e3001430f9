# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Recent samples of a line's signals: noticed in its tables, kept in the order in which they come, packed by signal."""

from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from libc.stdint cimport INT64_MAX, UINT32_MAX, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from ext.table cimport BAD, BOOL, FLOAT, INT, NONE, TEXT, UINT, SignalTable, Slot

BLOCK = 64                      # signals that are packed together
LONGEST_TEXT = 200              # characters; the rest of a longer text is not kept
MOST_TEXT = 4_000_000           # characters of a log's different texts

cdef enum:
    SIGNALS = 64
    PART_MS = 100               # a signal's changes are kept so often at most, for long
    BURST = 20                  # but so many of them at once
    RATE = 5000                 # changes of all signals together a second, for long
    MOST_SIGNALS = 1 << 26
    LEAST_ROOM = 1 << 18

cdef struct Record:             # 16 bytes
    uint32_t after              # ms since the log began
    uint32_t what               # signal << 5 | kind << 2 | quality
    uint64_t value              # as the table has it; a text's number; 0 where it is bad


cdef class Log:
    """What all signals were at `began`, and each change until `ended` (UTC ms): written on one thread, read on any."""

    cdef readonly tuple names
    cdef readonly int64_t began
    cdef int64_t last
    cdef Py_ssize_t n
    cdef Py_ssize_t room
    cdef Py_ssize_t signals
    cdef Record* records
    cdef uint8_t* first_what    # kind << 2 | quality
    cdef uint64_t* first_value
    cdef list texts
    cdef dict text_numbers
    cdef Py_ssize_t characters  # of all texts

    def __cinit__(self, tuple names, int64_t began):
        self.names, self.began, self.last = names, began, began
        self.signals = len(names)
        self.room = max(<Py_ssize_t>LEAST_ROOM, 4 * self.signals)
        self.records = <Record*>malloc(self.room * sizeof(Record))  # pages that nothing is written to cost nothing
        self.first_what = <uint8_t*>calloc(max(self.signals, 1), 1)
        self.first_value = <uint64_t*>calloc(max(self.signals, 1), sizeof(uint64_t))
        if self.records == NULL or self.first_what == NULL or self.first_value == NULL:
            raise MemoryError
        self.texts, self.text_numbers = [], {}

    def __dealloc__(self):
        free(self.records)
        free(self.first_what)
        free(self.first_value)

    @property
    def ended(self):
        """Until when it has all changes."""
        return self.last

    @property
    def samples(self):
        """How many changes it has."""
        return self.n

    cdef uint32_t number(self, str text) except? 0:
        found = self.text_numbers.get(text)
        if found is None:
            found = self.text_numbers[text] = len(self.texts)
            self.texts.append(text)
            self.characters += len(text)
        return found

    def packed(self, blocks=None):
        """(number, bytes) of each block of signals, or of those `blocks`; `ext.curves` reads them."""
        cdef Py_ssize_t n = self.n, block, n_blocks = (self.signals + SIGNALS - 1) // SIGNALS
        cdef list wanted = sorted(set(range(n_blocks) if blocks is None else blocks))
        if any(not 0 <= number < n_blocks for number in wanted):
            raise IndexError(f"a block of {wanted} is outside 0..{n_blocks - 1}")
        cdef uint32_t* order = <uint32_t*>malloc(max(n, 1) * sizeof(uint32_t))
        cdef uint32_t* begins = <uint32_t*>calloc(self.signals + 1, sizeof(uint32_t))
        cdef Py_ssize_t texts = len(self.texts)     # more than the n samples have, perhaps: it is written to meanwhile
        cdef int32_t* local = <int32_t*>malloc(max(texts, 1) * sizeof(int32_t))
        try:
            if order == NULL or begins == NULL or local == NULL:
                raise MemoryError
            memset(local, 255, texts * sizeof(int32_t))
            with nogil:
                self.sort(n, begins, order)
            return [
                (block, self.pack(block * SIGNALS, min((block + 1) * SIGNALS, self.signals), begins, order, local))
                for block in wanted
            ]
        finally:
            free(order)
            free(begins)
            free(local)

    cdef void sort(self, Py_ssize_t n, uint32_t* begins, uint32_t* order) noexcept nogil:
        """`order` becomes the records by signal, those of signal i from `begins[i]` to `begins[i + 1]`."""
        cdef Py_ssize_t i, signal
        cdef uint32_t total = 0, count
        for i in range(n):
            begins[self.records[i].what >> 5] += 1
        for signal in range(self.signals):
            count, begins[signal] = begins[signal], total
            total += count
        for i in range(n):
            signal = self.records[i].what >> 5
            order[begins[signal]] = <uint32_t>i
            begins[signal] += 1
        for signal in range(self.signals, 0, -1):
            begins[signal] = begins[signal - 1]
        begins[0] = 0

    cdef bytes pack(
        self, Py_ssize_t first, Py_ssize_t end, const uint32_t* begins, const uint32_t* order, int32_t* local
    ):
        """Signals `first` to `end`: how many, how many texts, samples of each, lengths of texts and texts; then of all
        samples, signal by signal, what they are, ms since the one before (four planes of bytes), and value (eight)."""
        cdef Py_ssize_t signals = end - first, m = begins[end] - begins[first] + signals
        cdef list used = self.texts_of(first, end, begins, order, local)
        cdef list texts = [self.texts[number].encode("utf-8", "replace") for number in used]
        cdef bytes text = b"".join(texts)
        cdef Py_ssize_t at = 8 + 4 * signals + 2 * len(texts) + len(text)
        cdef bytes packed = bytes(at + 13 * m)
        cdef uint8_t* out = <uint8_t*><char*>packed
        cdef Py_ssize_t offset = 8 + 4 * signals, i
        (<uint32_t*>out)[0] = <uint32_t>signals
        (<uint32_t*>out)[1] = <uint32_t>len(texts)
        for i in range(signals):
            (<uint32_t*>(out + 8))[i] = begins[first + i + 1] - begins[first + i] + 1
        for one in texts:
            (<uint16_t*>(out + offset))[0] = <uint16_t>len(one)
            offset += 2
        memcpy(out + offset, <char*>text, len(text))
        with nogil:
            self.lay_out(out + at, m, first, end, begins, order, local)
        for i in used:
            local[i] = -1
        return packed

    cdef list texts_of(
        self, Py_ssize_t first, Py_ssize_t end, const uint32_t* begins, const uint32_t* order, int32_t* local
    ):
        """Numbers of the texts that these signals have; `local` becomes the place of each among them."""
        cdef list used = []
        cdef Py_ssize_t i
        cdef uint64_t number
        cdef Record* record
        for i in range(first, end):
            number = self.first_value[i]
            if (self.first_what[i] >> 2) == TEXT and local[number] < 0:
                local[number] = <int32_t>len(used)
                used.append(number)
        for i in range(begins[first], begins[end]):
            record = &self.records[order[i]]
            if ((record.what >> 2) & 7) == TEXT and local[record.value] < 0:
                local[record.value] = <int32_t>len(used)
                used.append(record.value)
        return used

    cdef void lay_out(
        self,
        uint8_t* out,
        Py_ssize_t m,
        Py_ssize_t first,
        Py_ssize_t end,
        const uint32_t* begins,
        const uint32_t* order,
        const int32_t* local,
    ) noexcept nogil:
        cdef uint8_t* afters = out + m
        cdef uint8_t* values = out + 5 * m
        cdef Py_ssize_t at = 0, i, signal, plane
        cdef Record* record
        cdef uint32_t after, before
        cdef uint64_t value, previous, step
        cdef uint8_t what
        for signal in range(first, end):
            what, value, after = self.first_what[signal], self.first_value[signal], 0
            previous, before = 0, 0
            i = begins[signal]
            while True:
                if (what >> 2) == TEXT:
                    value = <uint64_t>local[value]
                out[at] = what
                for plane in range(4):
                    afters[plane * m + at] = <uint8_t>((after - before) >> (8 * plane))
                step = value ^ previous if (what >> 2) == FLOAT else value - previous
                for plane in range(8):
                    values[plane * m + at] = <uint8_t>(step >> (8 * plane))
                at += 1
                if i >= <Py_ssize_t>begins[signal + 1]:
                    break
                previous, before = value, after
                record = &self.records[order[i]]
                what, value, after = <uint8_t>(record.what & 31), record.value, record.after
                i += 1


cdef class Sampler:
    """Notices what changes: each second or so in the tables, and meanwhile what devices hand over, to the millisecond.

    What a signal hands over faster than its part is left to the next look at its table. One thread has it.
    """

    cdef readonly Log log
    cdef readonly long long dropped
    cdef tuple tables
    cdef dict bases
    cdef list texts             # of signals that are texts: what they were last
    cdef Py_ssize_t n
    cdef uint8_t* what
    cdef uint64_t* value
    cdef int64_t* since         # when it became that, UTC ms; 0 where it was so from the first
    cdef uint32_t* due          # when a signal will have its whole burst again, in ms of the log
    cdef int64_t handed_over    # signals that handed a change over
    cdef uint32_t part_ms

    def __cinit__(self, tables, int64_t began, Sampler before=None):
        """`tables` by device; all signals are as they are there at `began` (UTC ms).

        Of tables that the sampler `before` had it is known since when they are so.
        """
        self.tables = tuple(tables.values())
        self.bases = {}
        names = []
        for device, table in tables.items():
            self.bases[device] = len(names)
            names.extend(f"{device}.{name}" for name in table.names)
        self.n = len(names)
        if self.n >= MOST_SIGNALS:
            raise ValueError(f"{self.n} signals are too many")
        self.what = <uint8_t*>calloc(max(self.n, 1), 1)
        self.value = <uint64_t*>calloc(max(self.n, 1), sizeof(uint64_t))
        self.since = <int64_t*>calloc(max(self.n, 1), sizeof(int64_t))
        self.due = <uint32_t*>calloc(max(self.n, 1), sizeof(uint32_t))
        if self.what == NULL or self.value == NULL or self.since == NULL or self.due == NULL:
            raise MemoryError
        self.texts = [None] * self.n
        self.part_ms = PART_MS
        self.log = Log(tuple(names), began)
        self.sample(began)
        self.log = self.begun(began)
        memset(self.since, 0, self.n * sizeof(int64_t))
        cdef SignalTable one
        for device, one in tables.items():
            if before is not None and device in before.bases and one in before.tables:
                memcpy(
                    self.since + <Py_ssize_t>self.bases[device],
                    before.since + <Py_ssize_t>before.bases[device],
                    one.n * sizeof(int64_t),
                )

    def __dealloc__(self):
        free(self.since)
        free(self.what)
        free(self.value)
        free(self.due)

    @property
    def period_ms(self):
        """How often the tables are to be looked at."""
        return max(1000, 1000 * self.n // RATE)

    @property
    def is_full(self):
        """Whether the log has no room for a change of every signal, or hardly any for texts."""
        return self.log.room - self.log.n < 2 * self.n + 1024 or self.log.characters > MOST_TEXT // 2

    def became(self, str device, Py_ssize_t number):
        """When a signal became what it is, UTC ms, as of a look; None where it was so from the first."""
        if device not in self.bases or not 0 <= <Py_ssize_t>self.bases[device] + number < self.n:
            return None
        return self.since[<Py_ssize_t>self.bases[device] + number] or None

    def turn(self, int64_t ended, int64_t began):
        """The log until now, which nothing is added to any more; another goes on, `began` (where UTC stepped) elsewhere."""
        cdef Log log = self.log
        log.last = max(log.last, ended)
        self.log = self.begun(began)
        self.part_ms = <uint32_t>max(<int64_t>PART_MS, 1000 * self.handed_over // RATE)
        self.handed_over = 0
        memset(self.due, 0, self.n * sizeof(uint32_t))
        return log

    cdef Log begun(self, int64_t began):
        cdef Log log = Log(self.log.names, began)
        cdef Py_ssize_t i
        memcpy(log.first_what, self.what, self.n)
        memcpy(log.first_value, self.value, self.n * sizeof(uint64_t))
        for i in range(self.n):
            if (self.what[i] >> 2) == TEXT:
                self.value[i] = log.first_value[i] = log.number(self.texts[i])
        return log

    def feed(self, str device, list changes not None, int64_t at):
        """What a batch of a device brought, in the form of `SignalTable.take`."""
        if device not in self.bases:
            return
        cdef Py_ssize_t base = self.bases[device], i
        cdef uint32_t after = self.moment(at), part = self.part_ms
        cdef tuple change
        cdef Py_ssize_t signal
        for i in range(PyList_GET_SIZE(changes)):
            change = <tuple?>PyList_GET_ITEM(changes, i)
            if len(change) < 3:
                raise ValueError("a change has a signal, a value and a quality")
            signal = base + <Py_ssize_t>change[0]
            if not base <= signal < self.n:
                raise IndexError(f"{device} has no signal {change[0]}")
            if self.due[signal] > after + BURST * part or not self.take(signal, change[1], <int>change[2], after):
                continue
            self.handed_over += self.due[signal] == 0
            self.due[signal] = max(self.due[signal], after) + part

    def sample(self, int64_t at):
        """Look at every signal."""
        cdef uint32_t after = self.moment(at)
        cdef SignalTable table
        cdef Py_ssize_t base = 0
        for table in self.tables:
            with nogil:
                self.look(self.log, table, base, after)
            base += table.n

    cdef int look(self, Log log, SignalTable table, Py_ssize_t base, uint32_t after) except -1 nogil:
        cdef Slot* slot
        cdef Py_ssize_t i
        cdef uint8_t kind
        for i in range(table.n):
            slot = &table.slots[i]
            kind = slot.kind
            if slot.quality == BAD or kind == NONE:
                keep(self, log, base + i, 0, 0, after)
            elif kind == TEXT:
                with gil:
                    self.take_text(base + i, table.value_of(slot), slot.quality, after)
            else:
                if kind == UINT and slot.value.u <= <uint64_t>INT64_MAX:
                    kind = INT      # as a change that is handed over has it
                keep(self, log, base + i, <uint8_t>((kind << 2) | slot.quality), slot.value.u, after)
        return 0

    cdef uint32_t moment(self, int64_t at) noexcept:
        cdef Log log = self.log
        log.last = min(max(log.last, at), log.began + UINT32_MAX // 2)
        return <uint32_t>(log.last - log.began)

    cdef bint take_text(self, Py_ssize_t signal, str text, uint8_t quality, uint32_t after) except -1:
        cdef uint8_t what = (TEXT << 2) | quality
        cdef str kept = text[:LONGEST_TEXT]
        if self.what[signal] == what and self.texts[signal] == kept:
            return False
        if self.log.n == self.log.room or self.log.characters > MOST_TEXT:
            self.dropped += 1
            return False
        self.texts[signal] = kept
        return keep(self, self.log, signal, what, self.log.number(kept), after)

    cdef bint take(self, Py_ssize_t signal, object value, int quality, uint32_t after) except -1:
        """Whether it is kept, since it was otherwise."""
        cdef Log log = self.log
        cdef double number
        cdef uint64_t raw = 0
        cdef uint8_t good = <uint8_t>(quality & 3)
        cdef int kind = NONE
        if quality == BAD or value is None:
            good = BAD
        elif type(value) is float:
            number = value
            kind = FLOAT
            memcpy(&raw, &number, 8)
        elif type(value) is bool:
            kind, raw = BOOL, value is True
        elif type(value) is str:
            return self.take_text(signal, value, good, after)
        elif value > INT64_MAX:
            kind, raw = UINT, <uint64_t>value
        else:
            kind, raw = INT, <uint64_t><int64_t>value
        return keep(self, log, signal, <uint8_t>((kind << 2) | good), raw, after)


cdef inline bint keep(
    Sampler sampler, Log log, Py_ssize_t signal, uint8_t what, uint64_t value, uint32_t after
) noexcept nogil:
    """What a signal is now, if it was otherwise; where there is no room it is still otherwise at the next look."""
    cdef Record* record
    if sampler.what[signal] == what and sampler.value[signal] == value:
        return False
    if log.n == log.room:
        sampler.dropped += 1
        return False
    record = &log.records[log.n]
    record.after, record.what, record.value = after, <uint32_t>(signal << 5) | what, value
    log.n += 1
    sampler.what[signal], sampler.value[signal], sampler.since[signal] = what, value, log.began + after
    return True
