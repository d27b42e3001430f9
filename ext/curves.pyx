# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""A signal's samples over a time, out of packed blocks, as few points that keep each extreme and each gap."""

from libc.stdint cimport INT64_MIN, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from ext.reader cimport Reader, could_read, peek_u32_le, read_u16_le, read_u32_le
from ext.table cimport BOOL, FLOAT, INT, TEXT, UINT, UNCERTAIN

from ext.table import DecodeError

LEAST_POINTS = 10

cdef struct Sample:
    int64_t at                  # UTC ms
    uint64_t value
    uint32_t order              # 0: there is none
    uint8_t what                # kind << 2 | quality; 0 is bad

cdef struct Bucket:
    Sample first
    Sample low
    Sample high
    Sample last
    Sample bad


cdef struct Column:             # one signal's samples within a block
    Py_ssize_t begin
    Py_ssize_t end
    Py_ssize_t m                # samples of the whole block
    const uint8_t* planes


cdef double number_of(const Sample* one) noexcept nogil:
    cdef double number
    if (one.what >> 2) == FLOAT:
        memcpy(&number, &one.value, 8)
        return number
    return <double>one.value if (one.what >> 2) == UINT else <double><int64_t>one.value


cdef bint is_less(const Sample* one, const Sample* other) noexcept nogil:
    """Of whole numbers of one kind exactly, where doubles are not."""
    if one.what >> 2 != other.what >> 2 or (one.what >> 2) == FLOAT:
        return number_of(one) < number_of(other)
    return one.value < other.value if (one.what >> 2) == UINT else <int64_t>one.value < <int64_t>other.value


cdef class Curve:
    """What a signal was from `begin` to `end` (UTC ms). Blocks are added in the order of their times.

    A value holds until the next sample. Times of which there is no block are gaps, and bad.
    """

    cdef int64_t begin
    cdef int64_t end
    cdef Py_ssize_t most
    cdef Bucket* buckets
    cdef uint32_t order
    cdef Sample held            # what it was last, as far as blocks were added
    cdef int64_t known_until
    cdef bint waits             # whether `held` is from before `begin`, and not in a bucket yet
    cdef list texts
    cdef dict text_numbers

    def __cinit__(self, int64_t begin, int64_t end, Py_ssize_t points):
        """At most so many `points`."""
        if points < LEAST_POINTS:
            raise ValueError(f"{points} points are less than {LEAST_POINTS}")
        if begin >= end:
            raise ValueError("the time is empty")
        self.begin, self.end, self.most = begin, end, points - 2
        self.buckets = <Bucket*>calloc(self.most, sizeof(Bucket))
        if self.buckets == NULL:
            raise MemoryError
        self.known_until = INT64_MIN
        self.texts, self.text_numbers = [], {}

    def __dealloc__(self):
        free(self.buckets)

    def add(self, bytes packed not None, Py_ssize_t index, int64_t began, int64_t ended):
        """The signal at `index` of a packed block, whose times count from `began`; later than `ended` nothing is taken.

        Raises DecodeError where the block is not well-formed.
        """
        cdef Reader reader = Reader(<const uint8_t*><char*>packed, len(packed), -1)
        cdef list words = []
        cdef Column column = self.column_of(&reader, index, words)
        if reader.failed_at >= 0:
            raise DecodeError("a block of samples is cut", reader.failed_at)
        if began > self.known_until:
            self.lose(began)
        with nogil:
            self.take(&column, began, ended, words)
        self.known_until = max(self.known_until, ended)
        if len(self.texts) > 8 * self.most:
            self.forget()

    cdef Column column_of(self, Reader* reader, Py_ssize_t index, list words) except *:
        """Where the signal's samples are; `words` becomes the block's texts, if the signal has any."""
        cdef Py_ssize_t signals = read_u32_le(reader, 0), texts = read_u32_le(reader, 4)
        cdef Py_ssize_t offset = 8 + 4 * signals, at, i, length
        cdef Column column = Column(0, 0, 0, NULL)
        if not 0 <= index < signals:
            raise DecodeError(f"a block has no signal {index}", 0)
        if not could_read(reader, 8, 4 * signals + 2 * texts):
            raise DecodeError("a block of samples is cut", reader.length)
        for i in range(signals):
            if i == index:
                column.begin = column.m
            column.m += peek_u32_le(reader, 8 + 4 * i)
            if i == index:
                column.end = column.m
        at = offset + 2 * texts
        for i in range(texts):
            at += read_u16_le(reader, offset + 2 * i)
        if reader.length - at != 13 * column.m:
            raise DecodeError(f"a block of {column.m} samples is cut, or goes on", reader.length)
        if column.begin == column.end:
            raise DecodeError(f"a block has no sample of its signal {index}", 0)
        column.planes = reader.data + at
        if texts == 0 or not has_text(&column):
            return column
        at = offset + 2 * texts
        for i in range(texts):
            length = read_u16_le(reader, offset + 2 * i)
            words.append(reader.data[at:at + length].decode("utf-8", "replace"))
            at += length
        return column

    cdef int take(self, const Column* column, int64_t began, int64_t ended, list words) except -1 nogil:
        cdef Py_ssize_t m = column.m, i, plane
        cdef const uint8_t* afters = column.planes + m
        cdef const uint8_t* values = column.planes + 5 * m
        cdef uint32_t after
        cdef uint64_t step, raw = 0
        cdef Sample sample
        sample.at = began
        for i in range(column.begin, column.end):
            after, step = 0, 0
            for plane in range(4):
                after |= <uint32_t>afters[plane * m + i] << (8 * plane)
            for plane in range(8):
                step |= <uint64_t>values[plane * m + i] << (8 * plane)
            sample.at += after
            if sample.at > min(ended, self.end):
                break
            sample.what = column.planes[i]
            raw = raw ^ step if (sample.what >> 2) == FLOAT else raw + step
            sample.value = raw
            if (sample.what & 3) == 0:
                sample.what, sample.value = 0, 0
            elif (sample.what >> 2) == TEXT:
                with gil:
                    sample.value = self.text_number(words, raw)
            elif not BOOL <= (sample.what >> 2) <= FLOAT:
                with gil:
                    raise DecodeError(f"{sample.what >> 2} is not a kind of value", 0)
            self.see(&sample)
        return 0

    cdef uint64_t text_number(self, list words, uint64_t number) except? 0:
        if number >= <uint64_t>len(words):
            raise DecodeError(f"a block has no text {number}", 0)
        text = words[number]
        found = self.text_numbers.get(text)
        if found is None:
            found = self.text_numbers[text] = len(self.texts)
            self.texts.append(text)
        return found

    cdef void lose(self, int64_t until) noexcept:
        """What it was is not known from where the last block ended to `until`."""
        cdef Sample sample
        if self.known_until > INT64_MIN:
            be_bad(&sample, self.known_until)
            self.see(&sample)
        elif until > self.begin:
            be_bad(&sample, self.begin)
            self.see(&sample)

    cdef void see(self, Sample* sample) noexcept nogil:
        if self.order > 0 and sample.what == self.held.what and sample.value == self.held.value:
            return
        if sample.at <= self.begin:
            sample.at, self.waits = self.begin, True
            sample.order = self.order = 1
            self.held = sample[0]
            return
        self.settle()
        self.order += 1
        sample.order = self.order
        self.held = sample[0]
        if sample.at <= self.end:
            self.put(sample)

    cdef void settle(self) noexcept nogil:
        """What it was at the begin is known by now."""
        if self.waits:
            self.waits = False
            self.put(&self.held)

    cdef void put(self, const Sample* sample) noexcept nogil:
        cdef double place = <double>(sample.at - self.begin) / <double>(self.end - self.begin)
        cdef Bucket* bucket = &self.buckets[min(<Py_ssize_t>(place * self.most), self.most - 1)]
        cdef Bucket one
        one.first = one.low = one.high = one.last = one.bad = sample[0]
        if sample.what != 0:
            one.bad.order = 0
        if sample.what == 0 or (sample.what >> 2) == TEXT:
            one.low.order = one.high.order = 0
        merge(bucket, &one)

    def points(self):
        """(UTC ms, value), value None where it was bad or is not known, and "uncertain" behind one that is that.

        Of a stretch with more samples than points those stay that are first, last, lowest, highest, and bad.
        """
        cdef Py_ssize_t width = 1
        cdef Sample[5] few
        cdef Bucket bucket
        cdef Py_ssize_t i, j, n
        cdef int64_t until = min(self.end, self.known_until)
        self.settle()
        while self.count(width) > self.most:
            width += 1
        found = []
        for i in range(0, self.most, width):
            n = distinct(self.merged(i, width), few)
            for j in range(n):
                found.append(self.shown(&few[j], few[j].at))
        if self.order > 0 and self.held.what != 0 and self.held.at < until:
            found.append(self.shown(&self.held, until))
        if self.order > 0 and self.held.what != 0 and until < self.end:
            found.append((until, None))
        return found

    cdef Py_ssize_t count(self, Py_ssize_t width) noexcept:
        cdef Sample[5] few
        cdef Py_ssize_t i, n = 0
        for i in range(0, self.most, width):
            n += distinct(self.merged(i, width), few)
        return n

    cdef Bucket merged(self, Py_ssize_t begin, Py_ssize_t width) noexcept:
        cdef Bucket bucket = self.buckets[begin]
        cdef Py_ssize_t i
        for i in range(begin + 1, min(begin + width, self.most)):
            merge(&bucket, &self.buckets[i])
        return bucket

    cdef object shown(self, const Sample* one, int64_t at):
        if one.what == 0:
            return (at, None)
        value = self.value_of(one)
        return (at, value, "uncertain") if (one.what & 3) == UNCERTAIN else (at, value)

    cdef object value_of(self, const Sample* one):
        cdef int kind = one.what >> 2
        if kind == FLOAT:
            return number_of(one)
        if kind == BOOL:
            return one.value != 0
        if kind == TEXT:
            return self.texts[one.value]
        return one.value if kind == UINT else <int64_t>one.value

    cdef void renumber(self, Sample* one, list old):
        if one.order != 0 and (one.what >> 2) == TEXT:
            one.value = self.text_number(old, one.value)

    cdef void forget(self):
        """Keep only the texts that a point may still show."""
        cdef list old = self.texts
        cdef Py_ssize_t i
        self.texts, self.text_numbers = [], {}
        self.renumber(&self.held, old)
        for i in range(self.most):
            self.renumber(&self.buckets[i].first, old)
            self.renumber(&self.buckets[i].last, old)


cdef bint has_text(const Column* column) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(column.begin, column.end):
        if (column.planes[i] >> 2) == TEXT:
            return True
    return False


cdef void be_bad(Sample* one, int64_t at) noexcept:
    one.at, one.value, one.order, one.what = at, 0, 0, 0


cdef void merge(Bucket* bucket, const Bucket* later) noexcept nogil:
    if later.first.order == 0:
        return
    if bucket.first.order == 0:
        bucket[0] = later[0]
        return
    bucket.last = later.last
    if later.low.order and (bucket.low.order == 0 or is_less(&later.low, &bucket.low)):
        bucket.low = later.low
    if later.high.order and (bucket.high.order == 0 or is_less(&bucket.high, &later.high)):
        bucket.high = later.high
    if bucket.bad.order == 0:
        bucket.bad = later.bad


cdef Py_ssize_t distinct(Bucket bucket, Sample* few) noexcept nogil:
    """The samples of a bucket in their order, each once; how many."""
    cdef Sample[5] all
    cdef Py_ssize_t n = 0, i, j, k
    all[0], all[1], all[2], all[3], all[4] = bucket.first, bucket.low, bucket.high, bucket.bad, bucket.last
    for i in range(5):
        if all[i].order == 0:
            continue
        j = n
        while j > 0 and few[j - 1].order > all[i].order:
            j -= 1
        if j > 0 and few[j - 1].order == all[i].order:
            continue
        for k in range(n, j, -1):
            few[k] = few[k - 1]
        few[j] = all[i]
        n += 1
    return n
